//! `run_check`: check a run's inventory, limit and variables. It reads only its arguments, which the action plugin
//! takes from Ansible on the control node.

mod chosen;
mod inventory;
mod limit;
mod params;
mod snippet;
mod variables;

pub use chosen::{Gone, Nodes, Pair, Pairs};
pub use params::Params;

use ansible_module::Check;
use anyhow::{Result, bail};
use host::Host;
use serde::Serialize;

pub struct RunCheck;

/// What the variables of the run choose in the inventory.
#[derive(Serialize)]
pub struct Returned {
    node_names: Vec<String>,
    controller_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<Nodes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<Gone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairs: Option<Pairs>,
}

impl Check for RunCheck {
    const NAME: &'static str = "run_check";
    const DOC: &'static str = include_str!("../run_check.yml");

    type Params = Params;
    /// All that is to be known is in the arguments.
    type State = ();
    type Returned = Returned;

    fn observe(_: &Params, _: &dyn Host) -> Result<()> {
        Ok(())
    }

    fn check(params: &Params, (): &()) -> Result<Vec<String>> {
        let faults: Vec<String> = [
            inventory::faults(params),
            limit::faults(params),
            variables::faults(params),
        ]
        .concat();
        if !faults.is_empty() {
            bail!(
                "{} does not begin; nothing was changed.\n{}",
                params.run,
                faults.join("\n")
            );
        }
        Ok(Vec::new())
    }

    fn report(params: &Params, (): &()) -> Returned {
        Returned {
            node_names: params.inventory.names(),
            controller_names: chosen::controller_names(&params.inventory),
            nodes: chosen::nodes(params),
            gone: chosen::gone(params),
            pairs: chosen::pairs(params),
        }
    }
}

#[cfg(test)]
mod module_tests {
    testbed::module_tests!(super::RunCheck);
}
