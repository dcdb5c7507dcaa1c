//! Which files are others than they should be, and what is done about it. Pure.

use crate::params::{OnInstalled, Params};
use crate::state::{CONFIG, REGISTRIES, State};
use ansible_module::{Diff, Plan, Refusal};
use anyhow::{Context, Result, bail};
use k3s_node::settings::{DEFAULT_CONFIG, reads_drop_ins};
use k3s_types::{K3sVersion, mask};
use serde_json::{Map, Value};
use std::fmt;

/// By this line we know our own files.
pub(crate) const OURS: &str = "# Written by homelab.k3s.k3s_config: a change here is lost.\n";

#[derive(Clone, PartialEq, Eq)]
pub enum Step {
    Write {
        file: &'static str,
        content: String,
        keep: bool,
    },
    Remove {
        file: &'static str,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write {
                file, keep: false, ..
            } => write!(f, "write {file}"),
            Self::Write { file, .. } => write!(f, "write {file}, and keep what was there"),
            Self::Remove { file } => write!(f, "remove {file}"),
        }
    }
}

/// A file that is not as it should be.
struct Difference {
    file: &'static str,
    before: Option<String>,
    after: Option<String>,
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let differences = differences(params, state)?;
    let mut plan = Plan::default();
    plan.diff.extend(differences.iter().map(shown));
    let old = version(params, state).filter(|version| !reads_drop_ins(version));
    if state.installed && params.on_installed == OnInstalled::Leave {
        let counts = |difference: &&Difference| old.is_none() || difference.file != CONFIG;
        plan.warnings
            .extend(left_alone(state, differences.iter().filter(counts)));
        let unread = old.and_then(|old| unread(params, state, old));
        plan.warnings
            .extend(unread.map(|unread| format!("{}: {unread}", state.place)));
        return Ok(plan);
    }
    if let Some(unread) = old.and_then(|old| unread(params, state, old)) {
        bail!("{}: nothing was touched. {unread}", state.place);
    }
    plan.steps.extend(differences.into_iter().map(|difference| {
        let file = difference.file;
        match difference.after {
            Some(content) => Step::Write {
                file,
                content,
                keep: difference.before.is_some_and(|text| !text.starts_with(OURS)),
            },
            None => Step::Remove { file },
        }
    }));
    Ok(plan)
}

/// Of the k3s that the files are for: the one that is there, or else the one that is to be.
fn version<'a>(params: &'a Params, state: &'a State) -> Option<&'a K3sVersion> {
    let version = if state.installed {
        &state.version
    } else {
        &params.version
    };
    version.as_ref()
}

/// What an old k3s would not read.
fn unread(params: &Params, state: &State, old: &K3sVersion) -> Option<Refusal> {
    let evidence = format!("k3s {old} does not read {CONFIG}: only v1.21 and newer ones do");
    let keys: Vec<&str> = params
        .config
        .iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .collect();
    let advice = if !keys.is_empty() {
        format!(
            "write {} into {DEFAULT_CONFIG} there by hand and take them out of config and secrets (k3s_*_config in the inventory), or install a newer k3s",
            keys.join(", ")
        )
    } else if params.joins && !state.installed {
        format!(
            "nor would it read there which cluster it joins; install a newer k3s, for which the cluster has to be upgraded first where there is one, or let it join by hand with server and token in {DEFAULT_CONFIG}"
        )
    } else {
        return None;
    };
    Some(Refusal::new("drop_ins", evidence, advice))
}

/// The paths of the files that are others than they should be.
pub(crate) fn different(params: &Params, state: &State) -> Vec<&'static str> {
    let differences = differences(params, state).unwrap_or_default();
    differences.iter().map(|difference| difference.file).collect()
}

fn differences(params: &Params, state: &State) -> Result<Vec<Difference>> {
    let mut differences = Vec::new();
    if let Some(config) = &params.config {
        let after = (!config.is_empty()).then(|| rendered(config)).transpose()?;
        let wanted = after.as_ref().map(|_| Value::Object(config.clone()));
        differences.extend(difference(CONFIG, state.config.as_ref(), after, wanted));
    }
    if let Some(registries) = &params.registries {
        let after = format!("{OURS}{}", registries.text);
        let wanted = Some(registries.value.clone());
        differences.extend(difference(
            REGISTRIES,
            state.registries.as_ref(),
            Some(after),
            wanted,
        ));
    }
    Ok(differences)
}

/// What a file means counts, not how it is written.
fn difference(
    file: &'static str,
    before: Option<&String>,
    after: Option<String>,
    wanted: Option<Value>,
) -> Option<Difference> {
    let means = |text: &String| serde_yaml_ng::from_str::<Value>(text).ok();
    let same = match (before, &wanted) {
        (None, None) => true,
        (Some(text), Some(wanted)) => means(text).as_ref() == Some(wanted),
        _ => false,
    };
    (!same).then(|| Difference {
        file,
        before: before.cloned(),
        after,
    })
}

fn rendered(config: &Map<String, Value>) -> Result<String> {
    let text = serde_yaml_ng::to_string(config).context("writing the configuration as YAML")?;
    Ok(format!("{OURS}{text}"))
}

fn left_alone<'a>(state: &State, differences: impl Iterator<Item = &'a Difference>) -> Option<String> {
    let files: Vec<&str> = differences.map(|difference| difference.file).collect();
    (!files.is_empty()).then(|| {
        format!(
            "{}: k3s is installed, and {} is not what the inventory says (--diff shows it); it is left as it is, since the next start \
             of k3s would take it, whenever that is",
            state.place,
            files.join(" and ")
        )
    })
}

fn shown(difference: &Difference) -> Diff {
    Diff {
        before_header: difference.file.to_owned(),
        after_header: difference.file.to_owned(),
        before: masked(difference.before.as_deref()),
        after: masked(difference.after.as_deref()),
    }
}

/// The file without its secrets. What cannot be read is not shown.
fn masked(text: Option<&str>) -> String {
    let Some(text) = text else {
        return String::new();
    };
    let Ok(mut value) = serde_yaml_ng::from_str::<Value>(text) else {
        return "(no YAML)\n".to_owned();
    };
    hide(&mut value);
    serde_yaml_ng::to_string(&value).unwrap_or_default()
}

fn hide(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                // `auth` of a registry is a login and password in one word, or a dictionary of them.
                let secret = mask::is_secret(key) || matches!(key.as_str(), "auth" | "username");
                match value {
                    Value::Object(_) | Value::Array(_) if !mask::is_secret(key) => hide(value),
                    _ if secret => *value = "********".into(),
                    _ => hide(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        // kubelet-arg and the like are flags with values of their own; a mirror's address may carry a login.
        Value::String(text) => *text = mask::log_line(text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn params(options: Value) -> Params {
        serde_json::from_value(options).unwrap()
    }

    fn state(config: Option<&str>, registries: Option<&str>) -> State {
        State {
            place: "container 111 on pve1".into(),
            config: config.map(str::to_owned),
            registries: registries.map(str::to_owned),
            ..State::default()
        }
    }

    fn steps(options: Value, state: &State) -> Vec<String> {
        let plan = plan(&params(options), state).unwrap();
        plan.steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_new_node_gets_its_files_whole() {
        let options = json!({"config": {"disable": ["traefik"], "node-label": ["tier=work"]}, "secrets": {"token": "s3cr3t"},
            "registries": "configs:\n  r.example:\n    auth: {username: me, password: pw-1}\n"});
        let plan = plan(&params(options), &state(None, None)).unwrap();
        let Step::Write { content, keep, .. } = &plan.steps[0] else {
            panic!("nothing is written");
        };
        assert_eq!(
            content,
            "# Written by homelab.k3s.k3s_config: a change here is lost.\ndisable:\n- traefik\nnode-label:\n- tier=work\ntoken: s3cr3t\n"
        );
        assert!(!keep);
        let shown: String = plan.diff.iter().map(|diff| diff.after.clone()).collect();
        assert!(
            shown.contains("tier=work") && shown.contains("r.example") && shown.contains("token: '********'"),
            "{shown}"
        );
        assert!(
            !shown.contains("s3cr3t") && !shown.contains("pw-1") && !shown.contains("me\n"),
            "{shown}"
        );
    }

    #[test]
    fn what_a_file_means_counts() {
        let options =
            json!({"config": {"disable": ["traefik"], "debug": true}, "registries": "mirrors: {}\n"});
        let same = state(
            Some("debug: true\n# mine\ndisable: [traefik]\n"),
            Some("mirrors:\n  {}\n"),
        );
        assert_eq!(steps(options.clone(), &same), Vec::<String>::new());
        let other = state(Some("debug: 'true'\ndisable: [traefik]\n"), Some("mirrors: {}"));
        assert_eq!(
            steps(options, &other),
            ["write /etc/rancher/k3s/config.yaml.d/50-homelab-k3s.yaml, and keep what was there"]
        );
    }

    #[test]
    fn a_file_of_ours_is_replaced_or_removed() {
        let ours = state(Some(&format!("{OURS}debug: true\n")), None);
        assert_eq!(
            steps(json!({"config": {"debug": false}}), &ours),
            ["write /etc/rancher/k3s/config.yaml.d/50-homelab-k3s.yaml"]
        );
        assert_eq!(
            steps(json!({"config": {}}), &ours),
            ["remove /etc/rancher/k3s/config.yaml.d/50-homelab-k3s.yaml"]
        );
        assert_eq!(steps(json!({}), &ours), Vec::<String>::new());
    }

    #[test]
    fn an_installed_node_is_left_alone_and_told() {
        let mut installed = state(Some("debug: true\n"), None);
        installed.installed = true;
        let options = json!({"config": {"debug": false}});
        let plan = plan(&params(options.clone()), &installed).unwrap();
        assert!(plan.steps.is_empty() && plan.diff.len() == 1);
        assert!(
            plan.warnings[0]
                .contains("container 111 on pve1: k3s is installed, and /etc/rancher/k3s/config.yaml.d")
        );
        let mut written = options;
        written["on_installed"] = json!("write");
        assert_eq!(steps(written, &installed).len(), 1);
        assert_eq!(
            different(&params(json!({"config": {"debug": false}})), &installed),
            [CONFIG]
        );
    }

    #[test]
    fn nothing_is_written_that_an_old_k3s_would_not_read() {
        let empty = state(None, None);
        let asked = |more: Value| {
            let mut options = json!({"version": "v1.20.15+k3s1"});
            options
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            plan(&params(options), &empty).map(|plan| plan.steps.len())
        };
        let written = json!({"config": {"disable": ["traefik"]}, "secrets": {"token": "s3cr3t"}});
        let refused = asked(written.clone()).unwrap_err().to_string();
        assert_eq!(
            refused,
            "container 111 on pve1: nothing was touched. k3s v1.20.15+k3s1 does not read /etc/rancher/k3s/config.yaml.d/50-homelab-k3s.yaml: \
             only v1.21 and newer ones do (drop_ins): write disable, token into /etc/rancher/k3s/config.yaml there by hand and take them \
             out of config and secrets (k3s_*_config in the inventory), or install a newer k3s"
        );
        let mut newer = written;
        newer["version"] = json!("v1.21.0+k3s1");
        assert_eq!(asked(newer).unwrap(), 1);
        // Where nothing has to be said, an old one is as good; but one that joins has to be told where.
        assert_eq!(
            asked(json!({"config": {}, "registries": "mirrors: {}\n"})).unwrap(),
            1
        );
        let refused = asked(json!({"config": {}, "joins": true}))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("(drop_ins): nor would it read there which cluster it joins"),
            "{refused}"
        );
        assert_eq!(
            asked(json!({"joins": true, "version": "v1.21.0+k3s1"})).unwrap(),
            0
        );
    }

    #[test]
    fn of_a_node_that_is_installed_its_own_version_counts() {
        let mut old = state(Some("debug: true\n"), None);
        old.installed = true;
        old.version = Some("v1.20.8+k3s1".parse().unwrap());
        let options = json!({"config": {"debug": false}, "registries": "mirrors: {}\n", "version": "v1.31.4+k3s1", "joins": true});
        let left = plan(&params(options.clone()), &old).unwrap();
        assert!(left.steps.is_empty());
        let [other, unread] = left.warnings.as_slice() else {
            panic!("{:?}", left.warnings);
        };
        assert!(
            other.contains("installed, and /etc/rancher/k3s/registries.yaml is not what"),
            "{other}"
        );
        assert!(
            unread.contains("k3s v1.20.8+k3s1 does not read") && unread.contains("write debug into"),
            "{unread}"
        );
        let mut written = options;
        written["on_installed"] = json!("write");
        let refused = plan(&params(written.clone()), &old).err().unwrap().to_string();
        assert!(
            refused.contains("nothing was touched. k3s v1.20.8+k3s1 does not read"),
            "{refused}"
        );
        // It has joined.
        written["config"] = json!({});
        assert_eq!(
            steps(written.clone(), &old),
            [
                "remove /etc/rancher/k3s/config.yaml.d/50-homelab-k3s.yaml",
                "write /etc/rancher/k3s/registries.yaml"
            ]
        );
        written["config"] = json!({"debug": false});
        written["version"] = json!("v1.20.8+k3s1");
        old.version = Some("v1.21.2+k3s1".parse().unwrap());
        assert_eq!(steps(written, &old).len(), 2);
    }

    #[test]
    fn addresses_and_arguments_are_shown_without_their_logins() {
        let mut value = json!({"mirrors": {"a": {"endpoint": ["https://me:pw-1@r.example"]}}, "kubelet-arg": ["x-token=t0k3n"],
            "configs": {"a": {"auth": {"password": "pw-2", "auth": "bWU6cHc="}}}});
        hide(&mut value);
        let shown = value.to_string();
        assert!(shown.contains("r.example"), "{shown}");
        for secret in ["pw-1", "t0k3n", "pw-2", "bWU6cHc="] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
