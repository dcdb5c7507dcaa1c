//! The wait until the workloads are ready again.

use crate::params::Params;
use anyhow::{Result, bail};
use cluster::owners::now;
use cluster::{Owner, unless_passing};
use host::{Host, Waited, wait_until};
use std::time::Duration;

/// A replica needs seconds to start; looking more often costs the API server more than it is worth.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// A workload's count of ready replicas lags behind its pods for a moment.
const SETTLE: Duration = Duration::from_secs(1);

/// Waits until the workloads are ready again.
pub(crate) fn wait(params: &Params, host: &dyn Host, owners: &[Owner], excuse_pinned: bool) -> Result<()> {
    let kubectl = params.kubectl(host);
    host.sleep(SETTLE);
    let waited = wait_until(host, params.wait_for_timeout, LOOK_EVERY, || {
        let seen = match unless_passing(now(&kubectl, owners))? {
            Ok(seen) => seen,
            Err(text) => return Ok(Err(text)),
        };
        let missing: Vec<String> = seen
            .iter()
            .filter_map(|seen| seen.missing(excuse_pinned))
            .collect();
        Ok(if missing.is_empty() {
            Ok(())
        } else {
            Err(missing.join("; "))
        })
    })?;
    if let Waited::GaveUp { missing, after } = waited {
        bail!(
            "{}: waiting for the workloads of {} took longer than {} s: {missing}. Look at their pods (kubectl describe), or raise wait_for_timeout",
            host.location(),
            params.node,
            after.as_secs()
        );
    }
    Ok(())
}
