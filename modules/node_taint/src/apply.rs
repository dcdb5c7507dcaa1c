//! Patches one node in its state at that moment.

use crate::outcome::is_as_wanted;
use crate::params::Params;
use crate::plan::{Step, patch};
use crate::state::node;
use anyhow::{Result, bail};
use cluster::Node;
use host::Host;

#[derive(Default)]
pub struct Journal {
    pub(crate) changed: bool,
}

/// Looks, decides, patches; and looks again where the patch did not go through: somebody else may have written to the
/// node (its kubelet does all the time), or the answer was lost on its way.
pub(crate) fn step(params: &Params, host: &dyn Host, step: &Step, journal: &mut Journal) -> Result<()> {
    let kubectl = params.kubectl(host);
    let name = step.node();
    let found: Node = kubectl.patiently(&format!("changing the taints of {name}"), || {
        let found = node(&kubectl, name)?;
        if is_as_wanted(params, &found) {
            return Ok(found);
        }
        // Until its answer is there, the patch may have gone through or not.
        journal.changed = true;
        kubectl.patch_node(name, &patch(params, &found))
    })?;
    if !is_as_wanted(params, &found) {
        bail!(
            "{}: the API server accepted the patch, but the taints of {name} are not as wanted: something there changes them back",
            host.location()
        );
    }
    Ok(())
}

/// What a failure leaves.
pub(crate) fn left(journal: &Journal) -> Option<String> {
    let changed = "The taints that were changed stay so; run the same again for the others";
    journal.changed.then(|| changed.to_owned())
}
