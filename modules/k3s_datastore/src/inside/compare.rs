//! Whether etcd has what `SQLite` had, exactly and at any time afterwards.
//!
//! The present contents cannot be compared: the API server serves again, and controllers write and delete from its
//! first moment on. But etcd keeps its history for the first ten minutes, and the migration writes each key once, one
//! revision a key, before anything else runs. So there is a revision at which etcd held the migrated keys and nothing
//! more, and it is found by counting.

use super::kine::{Kine, Object};
use anyhow::{Context, Result};
use etcd_api::{Client, Code, Error, KeyValue};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::VecDeque;

const OBJECTS: &str = "/registry/";
/// No object is larger than 1.5 MiB: so many of them stay below what a client takes in one answer.
const PAGE: i64 = 32;
/// Enough names to see what kind of thing it is.
const NAMED: usize = 5;

/// What came of it. Names of keys only; their values hold secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Objects in the copy of `SQLite`.
    pub before: u64,
    /// Objects in etcd when the migration had ended; where that is not known any more, now.
    pub after: u64,
    /// The revision that was compared; none: etcd has thrown that part of its history away.
    pub revision: Option<i64>,
    pub missing: Keys,
    pub different: Keys,
    pub added: Keys,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    pub count: u64,
    /// The first of them.
    pub names: Vec<String>,
}

impl Keys {
    fn add(&mut self, key: &str) {
        self.count += 1;
        if self.names.len() < NAMED {
            self.names.push(key.to_owned());
        }
    }
}

pub(super) async fn compare(copy: &Kine, etcd: &Client) -> Result<Compared> {
    let before = copy.objects()?;
    let mut compared = Compared {
        before,
        ..Compared::default()
    };
    match end_of_migration(etcd, before).await {
        Ok((revision, count)) => {
            compared.after = count;
            compared.revision = Some(revision);
            walk(copy, etcd, revision, &mut compared).await?;
        }
        Err(Error::Etcd {
            code: Code::OutOfRange,
            ..
        }) => compared.after = count(etcd, 0).await.context("counting the objects in etcd")?,
        Err(error) => return Err(error).context("counting the objects in etcd"),
    }
    Ok(compared)
}

/// The first revision with so many objects, and how many there are; where there never were so many, the newest. A
/// new etcd is at revision 1, and each key brings the next; what k3s writes besides objects brings some more.
async fn end_of_migration(etcd: &Client, objects: u64) -> Result<(i64, u64), Error> {
    let head = etcd.revision().await?;
    let mut revision = (1 + signed(objects)).min(head);
    loop {
        let found = count(etcd, revision).await?;
        if found >= objects || revision == head {
            return Ok((revision, found));
        }
        // At least so many revisions are still to come, since each brings one key at most.
        revision = (revision + signed(objects - found)).min(head);
    }
}

async fn count(etcd: &Client, revision: i64) -> Result<u64, Error> {
    Ok(etcd.count_at(OBJECTS, revision).await?.unsigned_abs())
}

/// Never near the end of either type.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Both sides in the order of their keys, side by side.
async fn walk(copy: &Kine, etcd: &Client, revision: i64, compared: &mut Compared) -> Result<()> {
    let mut statement = copy.ordered()?;
    let mut objects = statement.query_map([], Object::of).context("reading the copy")?;
    let mut next = || objects.next().transpose().context("reading the copy");
    let mut pages = Pages {
        etcd,
        revision,
        from: Some(OBJECTS.into()),
        page: VecDeque::new(),
    };
    let (mut object, mut entry) = (next()?, pages.next().await?);
    loop {
        let order = match (&object, &entry) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(object), Some(entry)) => object.key.as_bytes().cmp(&entry.key),
        };
        match (order, &object, &entry) {
            (Ordering::Less, Some(object), _) if !object.expires => compared.missing.add(&object.key),
            (Ordering::Equal, Some(object), Some(entry)) if object.value != entry.value => {
                compared.different.add(&object.key);
            }
            (Ordering::Greater, _, Some(entry)) => {
                compared.added.add(&String::from_utf8_lossy(&entry.key));
            }
            _ => {}
        }
        if order != Ordering::Greater {
            object = next()?;
        }
        if order != Ordering::Less {
            entry = pages.next().await?;
        }
    }
}

/// etcd's objects one after the other, at a revision.
struct Pages<'a> {
    etcd: &'a Client,
    revision: i64,
    /// Where the next page begins; none: there is no next one.
    from: Option<Vec<u8>>,
    page: VecDeque<KeyValue>,
}

impl Pages<'_> {
    async fn next(&mut self) -> Result<Option<KeyValue>> {
        if self.page.is_empty()
            && let Some(from) = self.from.take()
        {
            let page = self.etcd.page_at(from, OBJECTS, PAGE, self.revision).await;
            self.page = page.context("reading the objects in etcd")?.into();
            self.from = self.page.back().map(|last| [last.key.as_slice(), b"\0"].concat());
        }
        Ok(self.page.pop_front())
    }
}
