//! What the program is made of, for those who must ask about a vulnerability: a bill of materials in the JSON of `CycloneDX`.
//! It has no time and no serial number, so that it is the same for the same Cargo.lock.

use crate::build::rustc;
use crate::repo::Repo;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// In the root of the tarball.
pub(crate) const FILE: &str = "sbom.cdx.json";

/// `name@version`
type Reference = String;

#[derive(Debug, Default, PartialEq)]
struct Crate {
    license: String,
    is_ours: bool,
    uses: BTreeSet<Reference>,
}

/// Writes the crates that are linked into the program for these platforms. Compilers of macros are not: nothing of them
/// is shipped.
pub(crate) fn write(repo: &Repo, program: &str, triples: &[String]) -> Result<()> {
    let crates = crates(&tree(repo, program, triples)?)?;
    let sums = checksums(&repo.read("Cargo.lock")?);
    let text = serde_json::to_string_pretty(&bill(program, &crates, &sums, &beside(repo)?))?;
    fs::write(repo.path(FILE), text + "\n").with_context(|| format!("writing {FILE}"))
}

fn tree(repo: &Repo, program: &str, triples: &[String]) -> Result<String> {
    let mut cargo = cargo(repo, "tree");
    cargo.args(["--package", program, "--edges", "normal,no-proc-macro"]);
    cargo.args(["--prefix", "depth", "--format", " {p}|{l}|"]);
    cargo.args(triples.iter().flat_map(|triple| ["--target", triple]));
    answer(cargo)
}

fn cargo(repo: &Repo, task: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&repo.root).args([task, "--locked"]);
    cargo
}

fn answer(mut command: Command) -> Result<String> {
    let asking = format!("running {command:?}");
    let output = command.output().with_context(|| asking.clone())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{asking}: {}", said.trim());
    String::from_utf8(output.stdout).context(asking)
}

/// Reads lines like `3 anyhow v1.0.104|MIT OR Apache-2.0| (*)`: what is below a line and deeper is used by it.
fn crates(tree: &str) -> Result<BTreeMap<Reference, Crate>> {
    let mut crates: BTreeMap<Reference, Crate> = BTreeMap::new();
    let mut above: Vec<Reference> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let reading = || format!("reading `{line}` of cargo tree");
        let (depth, rest) = line.split_once(' ').with_context(reading)?;
        let (package, license) = rest.split_once('|').with_context(reading)?;
        let (name, rest) = package.split_once(" v").with_context(reading)?;
        let version = rest.split(' ').next().unwrap_or_default();
        let reference = format!("{name}@{version}");
        above.truncate(depth.parse().with_context(reading)?);
        if let Some(user) = above.last().and_then(|user| crates.get_mut(user)) {
            user.uses.insert(reference.clone());
        }
        let entry = crates.entry(reference.clone()).or_default();
        // Some still have the form from before SPDX: a slash between the choices.
        let license = license.split('|').next().unwrap_or_default();
        entry.license = license.replace(" / ", "/").replace('/', " OR ");
        // The folder of a crate of the workspace is behind its version.
        entry.is_ours = package.contains(" (");
        above.push(reference);
    }
    Ok(crates)
}

/// The SHA-256 sums of crates as cargo verifies them.
fn checksums(lock: &str) -> BTreeMap<Reference, String> {
    let packages = lock.split("[[package]]").skip(1);
    let sum = |package: &str| {
        let value = |key: &str| {
            let mut lines = package.lines();
            let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            value.map(|value| value.trim_end_matches('"').to_owned())
        };
        Some((
            format!("{}@{}", value("name")?, value("version")?),
            value("checksum")?,
        ))
    };
    packages.filter_map(sum).collect()
}

/// What is linked besides crates: Rust's library, with the C library that comes with it, and SQLite, which a crate carries.
fn beside(repo: &Repo) -> Result<Vec<Value>> {
    let said = rustc(&["--version"])?;
    let rust = said
        .split(' ')
        .nth(1)
        .context("rustc --version names no version")?;
    let sqlite = sqlite(&answer({
        let mut cargo = cargo(repo, "metadata");
        cargo.args([
            "--format-version",
            "1",
            "--filter-platform",
            crate::build::PROXMOX,
        ]);
        cargo
    })?)?;
    Ok(vec![
        json!({
            "type": "library", "name": "rust", "version": rust, "bom-ref": format!("rust@{rust}"),
            "description": "Rust's standard library, with the musl that it brings",
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
            "purl": format!("pkg:github/rust-lang/rust@{rust}"),
        }),
        json!({
            "type": "library", "name": "sqlite", "version": sqlite, "bom-ref": format!("sqlite@{sqlite}"),
            "description": "compiled from the source in libsqlite3-sys",
            "licenses": [{"expression": "blessing"}],
            "cpe": format!("cpe:2.3:a:sqlite:sqlite:{sqlite}:*:*:*:*:*:*:*"),
            "purl": format!("pkg:generic/sqlite@{sqlite}"),
        }),
    ])
}

/// The version in the header that libsqlite3-sys has.
fn sqlite(metadata: &str) -> Result<String> {
    let metadata: Value = serde_json::from_str(metadata).context("reading cargo metadata")?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let carrier = packages.find(|package| package["name"] == "libsqlite3-sys");
    let manifest = carrier.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.context("cargo metadata has no libsqlite3-sys")?;
    let header = Path::new(manifest).with_file_name("sqlite3/sqlite3.h");
    let text = fs::read_to_string(&header).with_context(|| format!("reading {}", header.display()))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("#define SQLITE_VERSION "));
    let version = line.map(|rest| rest.trim().trim_matches('"').to_owned());
    version.with_context(|| format!("{} has no SQLITE_VERSION", header.display()))
}

fn bill(
    program: &str,
    crates: &BTreeMap<Reference, Crate>,
    sums: &BTreeMap<Reference, String>,
    beside: &[Value],
) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let root = format!("{program}@{version}");
    let others = crates.iter().filter(|(reference, _)| **reference != root);
    let mut components: Vec<Value> = others
        .map(|(reference, one)| component(reference, one, sums.get(reference)))
        .collect();
    components.extend_from_slice(beside);
    let carried: Vec<&Value> = beside.iter().map(|one| &one["bom-ref"]).collect();
    let uses = crates.iter().map(|(reference, one)| {
        let crates = one.uses.iter().map(|used| json!(used));
        let carried = carried
            .iter()
            .filter(|_| *reference == root)
            .map(|carried| (*carried).clone());
        json!({"ref": reference, "dependsOn": crates.chain(carried).collect::<Vec<_>>()})
    });
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {
            "type": "application", "name": program, "version": version, "bom-ref": root,
            "licenses": [{"expression": "GPL-3.0-or-later"}],
        }},
        "components": components,
        "dependencies": uses.collect::<Vec<_>>(),
    })
}

/// A crate of ours has no address in a registry: there another one may have its name.
fn component(reference: &str, one: &Crate, sum: Option<&String>) -> Value {
    let (name, version) = reference.split_once('@').unwrap_or((reference, ""));
    let mut component = json!({
        "type": "library", "name": name, "version": version, "bom-ref": reference,
        "licenses": [{"expression": one.license}],
    });
    if !one.is_ours {
        component["purl"] = json!(format!("pkg:cargo/{reference}"));
    }
    if let Some(sum) = sum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0 homelab-k3s v0.1.0 (/somewhere/crates/homelab-k3s)|GPL-3.0-or-later|\n\
        1 host v0.1.0 (/somewhere/crates/host)|GPL-3.0-or-later|\n\
        2 serde v1.0.2|MIT/Apache-2.0|\n\
        3 serde_core v1.0.2|MIT|\n\
        1 serde v1.0.2|MIT/Apache-2.0| (*)\n";

    fn made() -> Value {
        let lock = "version = 4\n\n[[package]]\nname = \"host\"\nversion = \"0.1.0\"\n\n\
            [[package]]\nname = \"serde\"\nversion = \"1.0.2\"\nsource = \"registry\"\nchecksum = \"abc\"\n";
        let beside = [json!({"name": "sqlite", "bom-ref": "sqlite@3.50.4"})];
        bill("homelab-k3s", &crates(TREE).unwrap(), &checksums(lock), &beside)
    }

    #[test]
    fn each_crate_is_listed_once_and_the_program_is_the_subject() {
        let bill = made();
        let names: Vec<_> = bill["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["name"])
            .collect();
        assert_eq!(names, ["host", "serde", "serde_core", "sqlite"]);
        assert_eq!(bill["metadata"]["component"]["bom-ref"], "homelab-k3s@0.1.0");
    }

    #[test]
    fn only_a_crate_of_a_registry_has_an_address_there_and_a_sum() {
        let bill = made();
        assert_eq!(bill["components"][0].get("purl"), None);
        assert_eq!(bill["components"][0].get("hashes"), None);
        assert_eq!(bill["components"][1]["purl"], "pkg:cargo/serde@1.0.2");
        assert_eq!(bill["components"][1]["hashes"][0]["content"], "abc");
        assert_eq!(
            bill["components"][1]["licenses"][0]["expression"],
            "MIT OR Apache-2.0"
        );
    }

    #[test]
    fn what_a_crate_uses_is_what_is_below_it() {
        let uses = made()["dependencies"].clone();
        let expected = json!([
            {"ref": "homelab-k3s@0.1.0", "dependsOn": ["host@0.1.0", "serde@1.0.2", "sqlite@3.50.4"]},
            {"ref": "host@0.1.0", "dependsOn": ["serde@1.0.2"]},
            {"ref": "serde@1.0.2", "dependsOn": ["serde_core@1.0.2"]},
            {"ref": "serde_core@1.0.2", "dependsOn": []},
        ]);
        assert_eq!(uses, expected);
    }

    #[test]
    fn another_form_of_a_line_is_refused() {
        assert!(crates("no depth").is_err());
        assert!(crates("1 serde 1.0|MIT|").is_err());
    }
}
