//! What the user asks for.

use ansible_module::defaults::number;
use cluster::{Kubectl, Labels, Owner, Pdb, Purpose, Selector, check_program, k3s_kubectl};
use host::Host;
use serde::Deserialize;
use std::time::Duration;

/// The options; see `node_drain.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub node: String,
    /// Whether the cluster may have no such node.
    pub may_be_gone: bool,
    pub state: Wanted,
    pub kubectl: Vec<String>,
    pub run_id: Option<String>,
    pub purpose: Purpose,
    pub force_uncordon: bool,
    pub on_failure: OnFailure,
    pub rules: Rules,
    pub grace_period: Option<u32>,
    pub pdb: Pdb,
    pub bypass_selector: Option<Selector>,
    pub evict_timeout: Duration,
    pub timeout: Duration,
    pub wait_for: bool,
    pub wait_for_timeout: Duration,
    /// The workloads to wait for; none: those that the cordon's record names.
    pub owners: Vec<Owner>,
    pub request_timeout: Duration,
    pub lock_timeout: u64,
}

impl Params {
    pub(crate) fn kubectl<'a>(&'a self, host: &'a dyn Host) -> Kubectl<'a> {
        Kubectl {
            host,
            program: &self.kubectl,
            request_timeout: self.request_timeout,
        }
    }

    /// Whether the budgets of a pod with these labels are not asked, if it comes to that.
    pub fn may_bypass(&self, labels: &Labels) -> bool {
        self.pdb != Pdb::Respect
            && self
                .bypass_selector
                .as_ref()
                .is_none_or(|selector| selector.selects(labels))
    }

    /// Whether they are not asked at all.
    pub fn bypasses(&self, labels: &Labels) -> bool {
        self.pdb == Pdb::Bypass && self.may_bypass(labels)
    }
}

/// Which pods may go.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    pub delete_emptydir_data: bool,
    pub force: bool,
    pub local_volumes: LocalVolumes,
    /// A pod that has been Terminating for longer than this is not waited for; zero: always waited for.
    pub skip_wait_for_delete_timeout: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    #[default]
    Drained,
    Cordoned,
    Uncordoned,
}

/// What to do with a pod whose volume exists on this node only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalVolumes {
    #[default]
    Refuse,
    Wait,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    #[default]
    Restore,
    Keep,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    node: String,
    #[serde(default)]
    may_be_gone: bool,
    #[serde(default)]
    state: Wanted,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
    run_id: Option<String>,
    #[serde(default)]
    purpose: Purpose,
    #[serde(default)]
    force_uncordon: bool,
    #[serde(default)]
    on_failure: OnFailure,
    #[serde(default)]
    delete_emptydir_data: bool,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    local_volumes: LocalVolumes,
    #[serde(default)]
    skip_wait_for_delete_timeout: u32,
    grace_period: Option<u32>,
    #[serde(default)]
    pdb: Pdb,
    bypass_selector: Option<String>,
    #[serde(default = "number::<120, _>")]
    evict_timeout: u32,
    #[serde(default = "number::<600, _>")]
    timeout: u32,
    #[serde(default)]
    wait_for: bool,
    #[serde(default = "number::<300, _>")]
    wait_for_timeout: u32,
    #[serde(default)]
    owners: Vec<Owner>,
    #[serde(default = "number::<10, _>")]
    request_timeout: u32,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u32,
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        check(&options)?;
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Ok(Self {
            rules: Rules {
                delete_emptydir_data: options.delete_emptydir_data,
                force: options.force,
                local_volumes: options.local_volumes,
                skip_wait_for_delete_timeout: seconds(options.skip_wait_for_delete_timeout),
            },
            vmid: options.vmid,
            node: options.node,
            may_be_gone: options.may_be_gone,
            state: options.state,
            kubectl: options.kubectl,
            run_id: options.run_id,
            purpose: options.purpose,
            force_uncordon: options.force_uncordon,
            on_failure: options.on_failure,
            grace_period: options.grace_period,
            pdb: options.pdb,
            bypass_selector: selector("bypass_selector", options.bypass_selector)?,
            evict_timeout: seconds(options.evict_timeout),
            timeout: seconds(options.timeout),
            wait_for: options.wait_for,
            wait_for_timeout: seconds(options.wait_for_timeout),
            owners: options.owners,
            request_timeout: seconds(options.request_timeout),
            lock_timeout: options.lock_timeout.into(),
        })
    }
}

fn selector(name: &str, text: Option<String>) -> Result<Option<Selector>, String> {
    text.map(|text| Selector::parse(&text).map_err(|error| format!("{name}: {error}")))
        .transpose()
}

fn check(options: &Options) -> Result<(), String> {
    // It becomes part of paths of the API, and an argument of kubectl.
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let name = &options.node;
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(letter) {
        return Err(format!(
            "node: {name:?} cannot be the name of a node (lower-case letters, digits, - and .)"
        ));
    }
    check_program(&options.kubectl)?;
    let limits = [
        ("timeout", options.timeout),
        ("wait_for_timeout", options.wait_for_timeout),
        ("request_timeout", options.request_timeout),
    ];
    if let Some((name, _)) = limits.iter().find(|(_, seconds)| *seconds == 0) {
        return Err(format!("{name}: must be at least 1 second"));
    }
    if !options.owners.is_empty() && options.state != Wanted::Uncordoned {
        return Err(
            "owners: is what to wait for after an uncordon, and applies to no other state".to_owned(),
        );
    }
    if options.wait_for && options.state == Wanted::Cordoned {
        return Err("wait_for: a cordon moves no pods, so there is nothing to wait for".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(more: Value) -> Result<Params, String> {
        let mut all = json!({"node": "k3s-worker-1"});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).map_err(|error| error.to_string())
    }

    #[test]
    fn a_node_is_enough() {
        let params = read(json!({})).unwrap();
        assert_eq!(
            (params.state, params.pdb, params.on_failure),
            (Wanted::Drained, Pdb::Respect, OnFailure::Restore)
        );
        assert!(!params.rules.force && !params.rules.delete_emptydir_data);
    }

    #[test]
    fn waits_for_the_lock_up_to_its_timeout() {
        use ansible_module::{Module as _, Target};
        let params = read(json!({"pct_id": 101, "lock_timeout": 5})).unwrap();
        let expected = Target {
            vmid: Some(101),
            lock_timeout: Some(5),
        };
        assert_eq!(crate::NodeDrain::target(&params), expected);
    }

    #[test]
    fn drains_of_different_nodes_do_not_wait_for_each_other() {
        use ansible_module::Module as _;
        let lock =
            |node: &str| crate::NodeDrain::lock_name(&read(json!({"vmid": 101, "node": node})).unwrap());
        assert_eq!(lock("w1").as_deref(), Some("node-w1"));
        assert_eq!(lock("w1"), lock("w1"));
        assert_ne!(lock("w1"), lock("w2"));
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let table = [
            (json!({"node": "-o"}), "node: "),
            (json!({"node": "a b"}), "node: "),
            (json!({"node": ""}), "node: "),
            (json!({"kubectl": []}), "kubectl: "),
            (json!({"timeout": 0}), "timeout: "),
            (json!({"request_timeout": 0}), "request_timeout: "),
            (
                json!({"owners": [{"namespace": "a", "kind": "b", "name": "c", "ready": 1}]}),
                "owners: ",
            ),
            (json!({"state": "cordoned", "wait_for": true}), "wait_for: "),
            (json!({"bypass_selector": "a b"}), "bypass_selector: "),
            (json!({"bypass_selector": "=x"}), "bypass_selector: "),
        ];
        for (options, start) in table {
            let error = read(options.clone()).unwrap_err();
            assert!(error.starts_with(start), "{options}: {error}");
        }
    }
}
