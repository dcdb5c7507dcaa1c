//! Keys and values.

use crate::proto::{
    CompactionRequest, CompactionResponse, Compare, CompareTarget, DeleteRangeRequest, DeleteRangeResponse,
    KeyValue, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp, ResponseHeader, TxnRequest,
    TxnResponse, compare, request_op,
};
use crate::{Client, Error};

/// Keys with their values, and the store's revision at which this was true.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    pub entries: Vec<KeyValue>,
    pub revision: i64,
}

impl Client {
    /// The newest revision, with the consent of the quorum.
    pub async fn revision(&self) -> Result<i64, Error> {
        // Any key will do: asked is only the header.
        let request = RangeRequest {
            key: vec![0],
            count_only: true,
            ..RangeRequest::default()
        };
        let answer: RangeResponse = self.call("/etcdserverpb.KV/Range", request).await?;
        revision_of(answer.header.as_ref())
    }

    pub async fn get(&self, key: impl Into<Vec<u8>>) -> Result<Option<KeyValue>, Error> {
        let request = RangeRequest {
            key: key.into(),
            ..RangeRequest::default()
        };
        let answer: RangeResponse = self.call("/etcdserverpb.KV/Range", request).await?;
        Ok(answer.kvs.into_iter().next())
    }

    /// Every key that begins with `prefix`, in order.
    pub async fn list(&self, prefix: impl Into<Vec<u8>>) -> Result<Listing, Error> {
        let (key, range_end) = span(prefix.into());
        let request = RangeRequest {
            key,
            range_end,
            ..RangeRequest::default()
        };
        let answer: RangeResponse = self.call("/etcdserverpb.KV/Range", request).await?;
        Ok(Listing {
            revision: revision_of(answer.header.as_ref())?,
            entries: answer.kvs,
        })
    }

    /// How many keys began with `prefix` at a revision of the past. [`crate::Code::OutOfRange`]: that one is gone.
    pub async fn count_at(&self, prefix: impl Into<Vec<u8>>, revision: i64) -> Result<i64, Error> {
        let (key, range_end) = span(prefix.into());
        let request = RangeRequest {
            key,
            range_end,
            revision,
            count_only: true,
            ..RangeRequest::default()
        };
        let answer: RangeResponse = self.call("/etcdserverpb.KV/Range", request).await?;
        Ok(answer.count)
    }

    /// The next keys from `from` on that begin with `prefix`, at a revision of the past.
    pub async fn page_at(
        &self,
        from: impl Into<Vec<u8>>,
        prefix: impl Into<Vec<u8>>,
        limit: i64,
        revision: i64,
    ) -> Result<Vec<KeyValue>, Error> {
        let request = RangeRequest {
            key: from.into(),
            range_end: span(prefix.into()).1,
            limit,
            revision,
            ..RangeRequest::default()
        };
        let answer: RangeResponse = self.call("/etcdserverpb.KV/Range", request).await?;
        Ok(answer.kvs)
    }

    /// Writes whatever was there before. Answers the new revision.
    pub async fn put(&self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Result<i64, Error> {
        let request = PutRequest {
            key: key.into(),
            value: value.into(),
        };
        let answer: PutResponse = self.call("/etcdserverpb.KV/Put", request).await?;
        revision_of(answer.header.as_ref())
    }

    /// Removes every key that begins with `prefix`. Answers how many there were.
    pub async fn delete_all(&self, prefix: impl Into<Vec<u8>>) -> Result<i64, Error> {
        let (key, range_end) = span(prefix.into());
        let request = DeleteRangeRequest { key, range_end };
        let answer: DeleteRangeResponse = self.call("/etcdserverpb.KV/DeleteRange", request).await?;
        Ok(answer.deleted)
    }

    /// Writes if the key was last changed at `expected` (0: does not exist). Answers the new revision, or
    /// `None` if somebody else was there first.
    pub async fn put_if(
        &self,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
        expected: i64,
    ) -> Result<Option<i64>, Error> {
        let key = key.into();
        let put = PutRequest {
            key: key.clone(),
            value: value.into(),
        };
        self.change_if(key, expected, request_op::Request::Put(put)).await
    }

    /// Removes the key if it was last changed at `expected`.
    pub async fn delete_if(&self, key: impl Into<Vec<u8>>, expected: i64) -> Result<Option<i64>, Error> {
        let key = key.into();
        let delete = DeleteRangeRequest {
            key: key.clone(),
            range_end: Vec::new(),
        };
        self.change_if(key, expected, request_op::Request::DeleteRange(delete))
            .await
    }

    async fn change_if(
        &self,
        key: Vec<u8>,
        expected: i64,
        change: request_op::Request,
    ) -> Result<Option<i64>, Error> {
        let unchanged = Compare {
            result: 0,
            target: CompareTarget::Mod.into(),
            key,
            value: Some(compare::Value::ModRevision(expected)),
        };
        let request = TxnRequest {
            compare: vec![unchanged],
            success: vec![RequestOp {
                request: Some(change),
            }],
        };
        let answer: TxnResponse = self.call("/etcdserverpb.KV/Txn", request).await?;
        let revision = revision_of(answer.header.as_ref())?;
        Ok(answer.succeeded.then_some(revision))
    }

    /// Throws away the history before `revision`; what is there now stays.
    pub async fn compact(&self, revision: i64) -> Result<(), Error> {
        let _: CompactionResponse = self
            .call("/etcdserverpb.KV/Compact", CompactionRequest { revision })
            .await?;
        Ok(())
    }
}

/// The first key that begins with `prefix`, and the first after all that do. A zero byte stands for "from the
/// start" and "to the end": etcd takes no empty key.
pub(crate) fn span(prefix: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    let Some(last) = prefix.iter().rposition(|&byte| byte < 0xff) else {
        return (if prefix.is_empty() { vec![0] } else { prefix }, vec![0]);
    };
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    (prefix, end)
}

fn revision_of(header: Option<&ResponseHeader>) -> Result<i64, Error> {
    header
        .map(|header| header.revision)
        .ok_or_else(|| Error::Malformed("it has no header".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn a_prefix_ends_before_its_successor() {
        let pair = |from: &[u8], to: &[u8]| (from.to_vec(), to.to_vec());
        assert_eq!(span(b"/registry/".to_vec()), pair(b"/registry/", b"/registry0"));
        assert_eq!(span(b"a\xff\xff".to_vec()), pair(b"a\xff\xff", b"b"));
        assert_eq!(span(b"\xff".to_vec()), pair(b"\xff", b"\0"));
        assert_eq!(span(b"".to_vec()), pair(b"\0", b"\0"));
    }
}
