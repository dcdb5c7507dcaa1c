//! The return values.

use crate::checks::{self, Check, Names};
use crate::params::Params;
use crate::plan::{self, Refused};
use crate::state::{Os, State};
use host::pct::config_path;
use serde::Serialize;

#[derive(Serialize)]
pub struct Returned {
    os: Os,
    kernel: String,
    cgroup_version: u8,
    kmsg: Option<String>,
    packages_missing: Vec<String>,
    checks: Vec<Check>,
    refusals: Vec<Refused>,
    config_file: Option<String>,
    config_lines: Vec<String>,
}

pub(crate) fn report(params: &Params, before: &State, after: &State) -> Returned {
    let checks = checks::all(params, after, &Names::general(after));
    let mut config_lines: Vec<String> = checks
        .iter()
        .filter(|check| check.verdict == checks::Verdict::Refused)
        .filter_map(|check| check.config_line.clone())
        .collect();
    config_lines.dedup();
    Returned {
        os: after.os.clone(),
        kernel: after.kernel.clone(),
        cgroup_version: after.cgroup.version,
        kmsg: after.kmsg.kind.clone(),
        packages_missing: before.missing_packages(params),
        refusals: plan::refusals(&checks),
        config_file: params.vmid.map(config_path),
        config_lines,
        checks,
    }
}
