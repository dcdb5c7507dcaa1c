//! What the user asks for.

use ansible_module::defaults::number;
use cluster::{check_program, k3s_kubectl};
use serde::Deserialize;

/// The options; see `cluster_lock.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub state: Wanted,
    pub run_id: String,
    pub purpose: String,
    pub controller: Option<Controller>,
    pub break_lock: bool,
    pub wait: u64,
    pub ttl: u64,
    pub name: String,
    pub namespace: String,
    pub kubectl: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    Held,
    Released,
}

/// The control node and the process that runs the playbook; the action plugin fills it in.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controller {
    pub user: String,
    pub host: String,
    /// Differs between machines, and between two boots of one machine.
    pub boot_id: String,
    pub pid: u32,
    /// When the process started: a process id alone is used again.
    pub start: String,
    /// `pid:start` of the processes that live on the control node now.
    #[serde(default)]
    pub alive: Vec<String>,
}

impl Controller {
    pub fn process(&self) -> String {
        format!("{}:{}", self.pid, self.start)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    #[serde(default = "held")]
    state: Wanted,
    run_id: Option<String>,
    #[serde(default = "a_playbook")]
    purpose: String,
    controller: Option<Controller>,
    #[serde(default)]
    break_lock: bool,
    #[serde(default)]
    wait: u64,
    // Longer than the longest step between two renewals: a drain with its budgets, or an install on a slow line.
    #[serde(default = "number::<7200, _>")]
    ttl: u64,
    #[serde(default = "lease_name")]
    name: String,
    #[serde(default = "lease_namespace")]
    namespace: String,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
}

fn held() -> Wanted {
    Wanted::Held
}

fn a_playbook() -> String {
    "a playbook".to_owned()
}

fn lease_name() -> String {
    "homelab-k3s-run".to_owned()
}

fn lease_namespace() -> String {
    "kube-system".to_owned()
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let of_the_process =
            |controller: &Controller| format!("{}-{}-{}", controller.host, controller.pid, controller.start);
        let run_id = options
            .run_id
            .or_else(|| options.controller.as_ref().map(of_the_process));
        let Some(run_id) = run_id else {
            return Err(
                "run_id: is required where the collection's action plugin does not set it".to_owned(),
            );
        };
        if options.ttl < 60 {
            return Err(
                "ttl: must be at least 60 seconds, or the lock would end under the run that holds it"
                    .to_owned(),
            );
        }
        check_program(&options.kubectl)?;
        Ok(Self {
            vmid: options.vmid,
            state: options.state,
            run_id,
            purpose: options.purpose,
            controller: options.controller,
            break_lock: options.break_lock,
            wait: options.wait,
            ttl: options.ttl,
            name: options.name,
            namespace: options.namespace,
            kubectl: options.kubectl,
        })
    }
}
