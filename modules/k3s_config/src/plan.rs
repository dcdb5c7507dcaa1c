//! Which files are others than they should be, and what is done about it. Pure.

use crate::flags;
use crate::params::{OnInstalled, Params};
use crate::state::{CONFIG, REGISTRIES, State};
use ansible_module::{Diff, Plan};
use k3s_types::{K3sVersion, mask};
use serde_json::{Map, Value};
use std::fmt;
use yaml_tree::{parse, to_yaml};

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

pub(crate) fn plan(params: &Params, state: &State) -> Plan<Step> {
    let differences = differences(params, state);
    let mut plan = Plan::default();
    plan.diff.extend(differences.iter().map(shown));
    if state.installed && params.on_installed == OnInstalled::Leave {
        plan.warnings.extend(left_alone(state, &differences));
        return plan;
    }
    if differences.iter().any(|difference| difference.file == CONFIG) {
        plan.warnings.extend(unknown_flags(params, state));
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
    plan
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

/// What the file would say that this k3s does not have.
fn unknown_flags(params: &Params, state: &State) -> impl Iterator<Item = String> {
    let keys = params.config.iter().flat_map(Map::keys).map(String::as_str);
    let unknown = flags::unknown(keys, params.role, version(params, state));
    unknown
        .into_iter()
        .map(|warning| format!("{}: {warning}", state.location))
}

/// The paths of the files that are others than they should be.
pub(crate) fn different(params: &Params, state: &State) -> Vec<&'static str> {
    differences(params, state)
        .iter()
        .map(|difference| difference.file)
        .collect()
}

fn differences(params: &Params, state: &State) -> Vec<Difference> {
    let mut differences = Vec::new();
    if let Some(config) = &params.config {
        let after = (!config.is_empty()).then(|| rendered(config));
        differences.extend(difference(CONFIG, state.config.as_ref(), after));
    }
    if let Some(registries) = &params.registries {
        let after = format!("{OURS}{}", registries.text);
        differences.extend(difference(REGISTRIES, state.registries.as_ref(), Some(after)));
    }
    differences
}

/// What a file means counts, not how it is written.
fn difference(file: &'static str, before: Option<&String>, after: Option<String>) -> Option<Difference> {
    let same = match (before, &after) {
        (None, None) => true,
        (Some(before), Some(after)) => before == after || mean_the_same(before, after),
        _ => false,
    };
    (!same).then(|| Difference {
        file,
        before: before.cloned(),
        after,
    })
}

fn mean_the_same(one: &str, other: &str) -> bool {
    let read = |text: &str| parse(text).ok().flatten();
    matches!((read(one), read(other)), (Some(one), Some(other)) if one.means_the_same(&other))
}

/// As k3s reads it: YAML 1.1.
fn rendered(config: &Map<String, Value>) -> String {
    format!("{OURS}{}", to_yaml(config))
}

fn left_alone(state: &State, differences: &[Difference]) -> Option<String> {
    let files: Vec<&str> = differences.iter().map(|difference| difference.file).collect();
    (!files.is_empty()).then(|| {
        format!(
            "{}: k3s is installed, and {} is not what the inventory says (--diff shows it); it is left unchanged, since the next start \
             of k3s would take it, whenever that is",
            state.location,
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
    value.as_object().map(to_yaml).unwrap_or_default()
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
            location: "container 111 on pve1".into(),
            config: config.map(str::to_owned),
            registries: registries.map(str::to_owned),
            ..State::default()
        }
    }

    fn steps(options: Value, state: &State) -> Vec<String> {
        let plan = plan(&params(options), state);
        plan.steps.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn writes_all_files_of_a_new_node() {
        let options = json!({"config": {"disable": ["traefik"], "node-label": ["tier=work"]}, "secrets": {"token": "s3cr3t"},
            "registries": "configs:\n  r.example:\n    auth: {username: me, password: pw-1}\n"});
        let plan = plan(&params(options), &state(None, None));
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
            shown.contains("tier=work")
                && shown.contains("r.example")
                && shown.contains("token: \"********\""),
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

    /// What the steps leave of the two files.
    fn after(state: &State, steps: Vec<Step>) -> State {
        let mut after = state.clone();
        for step in steps {
            let (file, content) = match step {
                Step::Write { file, content, .. } => (file, Some(content)),
                Step::Remove { file } => (file, None),
            };
            if file == CONFIG {
                after.config = content;
            } else {
                after.registries = content;
            }
        }
        after
    }

    /// Options with values that a reader of YAML could take for something else.
    fn wanted() -> Vec<Value> {
        let texts = json!({"node-label": ["yes", "0.1", "a: b", "#x", " ", "a\nb", "~", "1_0"], "node-name": "0x1F", "tls-san": [],
            "debug": true, "kubelet-arg": ["v=9", "x=\u{e9}\u{1f600}\u{85}\u{2028}"], "data-dir": "/srv/a b ", "node-ip": null,
            "https-listen-port": u64::MAX, "etcd-arg": [["a"], {"b": {}}]});
        let mut all = Vec::new();
        for config in [Value::Null, json!({}), json!({"debug": true}), texts] {
            for secrets in [json!({}), json!({"token": "1_0", "agent-token": "'\"\\\t"})] {
                for registries in [
                    Value::Null,
                    json!("mirrors: {}"),
                    json!("mirrors:\r\n  a:\r\n    endpoint: [\"https://a\"]"),
                ] {
                    all.extend(["leave", "write"].map(|on_installed| {
                        json!({"config": config, "secrets": secrets, "registries": registries, "on_installed": on_installed})
                    }));
                }
            }
        }
        all
    }

    #[test]
    fn plans_nothing_after_it_was_applied() {
        let ours = format!("{OURS}debug: false\n");
        let configs = [
            None,
            Some("debug: true\n"),
            Some(&*ours),
            Some("not: [yaml"),
            Some(""),
        ];
        let registries = [
            None,
            Some("mirrors: {}\n"),
            Some("mirrors: {mine: {}}\n"),
            Some("{"),
        ];
        for options in wanted() {
            for (config, registries) in configs
                .iter()
                .flat_map(|one| registries.map(|other| (*one, other)))
            {
                for installed in [false, true] {
                    let before = State {
                        installed,
                        ..state(config, registries)
                    };
                    let params = params(options.clone());
                    let first = plan(&params, &before);
                    let leaves = installed && params.on_installed == OnInstalled::Leave;
                    // It says the same of the difference, whether it is written or left.
                    assert_eq!(first.steps.len(), if leaves { 0 } else { first.diff.len() });
                    let case = format!("{options} on {config:?} and {registries:?}");
                    let after = after(&before, first.steps);
                    assert!(plan(&params, &after).steps.is_empty(), "{case}");
                    assert!(leaves || different(&params, &after).is_empty(), "{case}");
                }
            }
        }
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
    fn leaves_an_installed_node_unchanged_with_a_warning() {
        let mut installed = state(Some("debug: true\n"), None);
        installed.installed = true;
        let options = json!({"config": {"debug": false}});
        let plan = plan(&params(options.clone()), &installed);
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
    fn k3s_reads_what_was_given() {
        let texts = json!({"secrets": {"etcd-s3-secret-key": "123_456"}, "config": {"node-label": ["yes", "a=1_000"], "secrets-encryption": true,
            "node-name": "0.1_5", "write-kubeconfig-mode": "0644"}});
        let plan = plan(&params(texts.clone()), &state(None, None));
        let Step::Write { content, .. } = &plan.steps[0] else {
            panic!("nothing is written");
        };
        assert_eq!(
            content.strip_prefix(OURS).unwrap(),
            "etcd-s3-secret-key: \"123_456\"\nnode-label:\n- \"yes\"\n- a=1_000\nnode-name: \"0.1_5\"\nsecrets-encryption: true\n\
             write-kubeconfig-mode: \"0644\"\n"
        );
        // As an earlier version of this module wrote it.
        let bare = content.replace("\"123_456\"", "123_456");
        assert_eq!(steps(texts.clone(), &state(Some(&bare), None)).len(), 1);
        let ordered = content.replace("secrets-encryption: true\n", "") + "secrets-encryption: true\n";
        assert!(steps(texts, &state(Some(&ordered), None)).is_empty());
    }

    #[test]
    fn warns_of_unsupported_flags_before_writing_them() {
        let warned = |more: Value, state: &State| {
            let mut options = json!({"role": "server", "config": {"helm-controller-arg": ["a=b"]}});
            options
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            plan(&params(options), state).warnings.join(" | ")
        };
        let mut there = state(None, None);
        let warnings = warned(json!({"version": "v1.35.1+k3s1"}), &there);
        assert_eq!(
            warnings,
            "container 111 on pve1: the flag helm-controller-arg is known of k3s from v1.36.3 on, and this is v1.35.1+k3s1: a server passes over it"
        );
        assert_eq!(warned(json!({"version": "v1.37.0+k3s1"}), &there), "");
        // Of a node that is installed, its own version counts, and nothing is said of what is not written.
        there.installed = true;
        there.version = Some("v1.36.2+k3s1".parse().unwrap());
        let options = json!({"version": "v1.37.0+k3s1", "on_installed": "write"});
        assert!(warned(options.clone(), &there).contains("this is v1.36.2+k3s1"));
        there.config = Some("helm-controller-arg: [a=b]\n".to_owned());
        assert_eq!(warned(options, &there), "");
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
