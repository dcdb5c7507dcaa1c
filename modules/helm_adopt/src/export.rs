//! What could be lost, brought off the cluster first: objects and custom resources, complete, in private files on the
//! machine outside. They pass from kubectl straight into the file.

use crate::params::Params;
use crate::state::Saved;
use anyhow::{Context, Result, ensure};
use cluster::Kubectl;
use host::{Command, Host, quote, stamp};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fmt::Write as _;

/// The objects before their adoption; and the lists of the definitions' resources.
const OBJECTS: &str = "objects.json";
const RESOURCES: &str = "resources.json";

/// `$1` is the folder of exports, `$2` the one to make in it. Others must not be able to change what is in either.
const MAKE: &str = r#"umask 077
mkdir -p -- "$1" || exit
[ "$(stat -L -c %u -- "$1")" = "$(id -u)" ] || exit 3
case $(stat -L -c %a -- "$1") in *[2367][0-7]|*[2367]) exit 3;; esac
mkdir -m 0700 -- "$2"
"#;
const NOT_PRIVATE: i32 = 3;

/// Where an export lies, and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Export {
    pub(crate) folder: String,
    pub(crate) objects: usize,
    pub(crate) resources: u64,
}

pub(crate) fn export(params: &Params, kubectl: &Kubectl, saved: &[Saved]) -> Result<Export> {
    let outside = kubectl.host.outside();
    let name = stamp::stamped(&params.release.name, kubectl.host.now())?;
    let folder = format!("{}/{name}", params.dest);
    make(outside, &params.dest, &folder)?;

    let objects: Vec<&str> = saved.iter().map(|one| one.object.as_str()).collect();
    let (objects, _) = bring(params, kubectl, &format!("{folder}/{OBJECTS}"), &objects)?;
    let lists: Vec<&str> = saved.iter().filter_map(|one| one.resources.as_deref()).collect();
    let (_, resources) = bring(params, kubectl, &format!("{folder}/{RESOURCES}"), &lists)?;
    Ok(Export {
        folder,
        objects,
        resources,
    })
}

fn make(outside: &dyn Host, dest: &str, folder: &str) -> Result<()> {
    let output = outside.run(&Command::new(["/bin/sh", "-c", MAKE, "sh", dest, folder]))?;
    ensure!(
        output.status != NOT_PRIVATE,
        "{}: the folder {dest} can be changed by others than us: exports may hold secrets; `chmod 700 {dest}`, or give another (option dest)",
        outside.location()
    );
    let making = format!("making the folder {folder} for the export");
    output.succeed(&outside.location(), &making).map(|_| ())
}

#[derive(Deserialize)]
struct Document {
    /// A list has them.
    #[serde(default, deserialize_with = "cluster::null_is_empty")]
    items: Vec<IgnoredAny>,
}

/// The documents of these paths in one file, read again there: how many have come, and how many items in them.
fn bring(params: &Params, kubectl: &Kubectl, path: &str, paths: &[&str]) -> Result<(usize, u64)> {
    let mut script = kubectl.prelude();
    for path in paths {
        let _ = writeln!(script, "k get --raw {} </dev/null || exit", quote(path));
    }
    let host = kubectl.host;
    let command = Command::script(script).within(kubectl.limit(paths.len()));
    let exporting = format!("exporting to {path}");
    host.run(&command.save(path, params.export_most))
        .and_then(|output| output.succeed(&host.location(), &exporting))
        .with_context(|| {
            format!(
                "{exporting}, {} MiB at most (export_max_mb)",
                params.export_most >> 20
            )
        })?;

    let outside = host.outside();
    let bytes = outside
        .read(path)?
        .with_context(|| format!("{}: {exporting}: the file is not there", outside.location()))?;
    let mut items = 0;
    let mut documents = 0;
    for document in serde_json::Deserializer::from_slice(&bytes).into_iter::<Document>() {
        let document = document.with_context(|| format!("{}: reading {path} again", outside.location()))?;
        documents += 1;
        items += document.items.len() as u64;
    }
    ensure!(
        documents == paths.len(),
        "{}: reading {path} again: {documents} documents are in it, where {} were asked for",
        outside.location(),
        paths.len()
    );
    Ok((documents, items))
}
