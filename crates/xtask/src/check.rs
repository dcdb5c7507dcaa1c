//! `cargo xtask check`: each fact has one owner; here the other files are compared with it.

use crate::install::{expected_stub, stub_path};
use crate::repo::{COLLECTION, Repo};
use crate::sidecar::{self, Sidecar};
use crate::{circles, docs, pages, prose, usage, variables, words};
use anyhow::{Context, Result};
use serde_yaml_ng::Value;
use std::collections::BTreeMap;
use std::fs;

/// Folders whose YAML uses the modules.
const YAML_FOLDERS: [&str; 3] = ["playbooks", "molecule", "inventory"];

/// Every disagreement, as a line that says where.
pub(crate) fn faults(repo: &Repo) -> Result<Vec<String>> {
    let sidecars = sidecar::all(repo)?;
    let mut faults = Vec::new();
    faults.extend(names(repo, &sidecars)?);
    faults.extend(action_plugins(repo, &sidecars)?);
    faults.extend(action_group(repo, &sidecars)?);
    faults.extend(deprecations(repo, &sidecars)?);
    faults.extend(version(repo)?);
    faults.extend(stubs(repo, &sidecars)?);
    faults.extend(uses(repo, &sidecars)?);
    faults.extend(circles::faults(repo)?);
    faults.extend(words::faults(repo)?);
    faults.extend(prose::faults(repo)?);
    if docs::expected(repo)? != repo.read("README.md")? {
        faults.push("README.md: its tables are not those of `cargo xtask docs`".to_owned());
    }
    if variables::expected(repo)? != repo.read(variables::PAGE).unwrap_or_default() {
        faults.push(format!(
            "{}: it is not that of `cargo xtask docs`",
            variables::PAGE
        ));
    }
    faults.extend(pages::faults(repo)?);
    Ok(faults)
}

type Sidecars = BTreeMap<String, Sidecar>;

/// Folder name = crate name = sidecar name = module name. A further sidecar in the folder is that of a deprecated name.
fn names(repo: &Repo, sidecars: &Sidecars) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for module in repo.module_crates()? {
        let manifest = repo.read(&format!("modules/{module}/Cargo.toml"))?;
        if !manifest
            .lines()
            .any(|line| line == format!("name = \"{module}\""))
        {
            faults.push(format!(
                "modules/{module}/Cargo.toml: the crate's name is not {module}"
            ));
        }
        if !sidecars.contains_key(&module) {
            faults.push(format!("modules/{module}/{module}.yml: there is no such sidecar"));
        }
    }
    for (module, sidecar) in sidecars {
        let path = &sidecar.path;
        let author = sidecar.documentation.get("author").and_then(Value::as_str);
        if !author.is_some_and(|author| author.contains("(@")) {
            faults.push(format!(
                "{path}: author needs a handle, as in `Name (@handle)`: validate-modules asks for it"
            ));
        }
        if sidecar.documentation.get("module").and_then(Value::as_str) != Some(module) {
            faults.push(format!("{path}: the module's name in it is not {module}"));
        }
        if *path != format!("modules/{module}/{module}.yml") && !sidecar.is_deprecated() {
            faults.push(format!(
                "{path}: a second sidecar is for a deprecated name, and has no `deprecated`"
            ));
        }
    }
    Ok(faults)
}

/// Ansible warns of a deprecated module by meta/runtime.yml, and its pages by the sidecar.
fn deprecations(repo: &Repo, sidecars: &Sidecars) -> Result<Vec<String>> {
    let runtime: Value =
        serde_yaml_ng::from_str(&repo.read("meta/runtime.yml")?).context("reading meta/runtime.yml")?;
    let routed = runtime
        .get("plugin_routing")
        .and_then(|routing| routing.get("modules"));
    let routed = routed.and_then(Value::as_mapping).into_iter().flatten();
    let mut named: Vec<&str> = routed
        .filter(|(_, entry)| entry.get("deprecation").is_some())
        .filter_map(|(name, _)| name.as_str())
        .collect();
    named.sort_unstable();
    let deprecated = sidecars.iter().filter(|(_, sidecar)| sidecar.is_deprecated());
    let deprecated: Vec<&str> = deprecated.map(|(module, _)| module.as_str()).collect();
    let fault = format!(
        "meta/runtime.yml: plugin_routing.modules deprecates {named:?}, the sidecars deprecate {deprecated:?}"
    );
    Ok(if named == deprecated {
        Vec::new()
    } else {
        vec![fault]
    })
}

fn action_plugins(repo: &Repo, sidecars: &Sidecars) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for module in sidecars.keys() {
        let path = format!("plugins/action/{module}.py");
        let text = repo.read(&path).unwrap_or_default();
        if !text.contains(&format!("MODULE = \"{module}\"")) {
            faults.push(format!(
                "{path}: there is no action plugin with MODULE = \"{module}\""
            ));
        }
    }
    for entry in fs::read_dir(repo.path("plugins/action")).context("listing plugins/action")? {
        let path = entry.context("listing plugins/action")?.path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_file() && !sidecars.contains_key(&name) {
            faults.push(format!("plugins/action/{name}.py: there is no such module"));
        }
    }
    Ok(faults)
}

fn action_group(repo: &Repo, sidecars: &Sidecars) -> Result<Vec<String>> {
    let runtime: Value =
        serde_yaml_ng::from_str(&repo.read("meta/runtime.yml")?).context("reading meta/runtime.yml")?;
    let group = runtime.get("action_groups").and_then(|groups| groups.get("all"));
    let named: Vec<&str> = group
        .and_then(Value::as_sequence)
        .map(|names| names.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let expected: Vec<&str> = sidecars.keys().map(String::as_str).collect();
    let fault = format!("meta/runtime.yml: action_groups.all is {named:?}, the modules are {expected:?}");
    Ok(if named == expected {
        Vec::new()
    } else {
        vec![fault]
    })
}

fn version(repo: &Repo) -> Result<Vec<String>> {
    let galaxy: Value = serde_yaml_ng::from_str(&repo.read("galaxy.yml")?).context("reading galaxy.yml")?;
    let text = |key: &str| {
        galaxy
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut faults = Vec::new();
    if text("version") != env!("CARGO_PKG_VERSION") {
        faults.push(format!(
            "galaxy.yml: version is {}, the workspace's is {}",
            text("version"),
            env!("CARGO_PKG_VERSION")
        ));
    }
    let changelog = repo.read("CHANGELOG.md")?;
    if newest_release(&changelog) != Some(env!("CARGO_PKG_VERSION")) {
        faults.push(format!(
            "CHANGELOG.md: its newest release is {:?}, the workspace's version is {}",
            newest_release(&changelog),
            env!("CARGO_PKG_VERSION")
        ));
    }
    let name = format!("{}.{}", text("namespace"), text("name"));
    if name != COLLECTION {
        faults.push(format!("galaxy.yml: the collection is {name}, not {COLLECTION}"));
    }
    Ok(faults)
}

/// The first section that is a version's: what is not released yet stands above it.
fn newest_release(changelog: &str) -> Option<&str> {
    let mut heads = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    heads.find(|head| head.starts_with(|letter: char| letter.is_ascii_digit()))
}

fn stubs(repo: &Repo, sidecars: &Sidecars) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for module in sidecars.keys() {
        // What is not built yet cannot be stale.
        let Some(expected) = expected_stub(repo, module)? else {
            continue;
        };
        let path = stub_path(module);
        if repo.read(&path).unwrap_or_default() != expected {
            faults.push(format!(
                "{path}: is not what the sidecar says now; run `make install`"
            ));
        }
    }
    Ok(faults)
}

fn uses(repo: &Repo, sidecars: &Sidecars) -> Result<Vec<String>> {
    let mut known = usage::Known::new();
    for (module, sidecar) in sidecars {
        known.insert(module.clone(), sidecar.option_names()?);
    }
    let mut faults = Vec::new();
    for sidecar in sidecars.values() {
        let location = format!("{}, EXAMPLES", sidecar.path);
        faults.extend(usage::faults(&location, &sidecar.examples, &known));
    }
    for path in repo.yaml_files(&YAML_FOLDERS) {
        faults.extend(usage::faults(&path, &repo.read(&path)?, &known));
    }
    for block in usage::yaml_blocks(&repo.read("README.md")?) {
        faults.extend(usage::faults("README.md", &block, &known));
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_is_the_first_numbered_section() {
        let changelog = "# Changelog\n\n## Unreleased\n\n- a\n\n## 0.2.0\n\n## 0.1.0\n";
        assert_eq!(newest_release(changelog), Some("0.2.0"));
        assert_eq!(newest_release("# Changelog\n\n## Unreleased\n"), None);
    }
}
