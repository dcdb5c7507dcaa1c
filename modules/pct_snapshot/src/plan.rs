//! Which snapshot to take, and which older ones to remove. Pure.

use crate::params::Params;
use crate::state::State;
use ansible_module::Plan;
use anyhow::Result;
use host::{pct, stamp};
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Take { vmid: u32, name: String },
    Remove { vmid: u32, name: String },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Take { vmid, name } => write!(f, "take the snapshot {name} of container {vmid}"),
            Self::Remove { vmid, name } => write!(f, "remove the snapshot {name} of container {vmid}"),
        }
    }
}

pub(crate) fn plan(params: &Params, state: &State) -> Result<Plan<Step>> {
    let vmid = params.vmid;
    if let Some(lock) = &state.status.lock {
        return Err(pct::locked(&state.location, vmid, lock).into());
    }
    let mut steps = vec![Step::Take {
        vmid,
        name: stamp::stamped(&params.name, state.now)?,
    }];
    let mut ours: Vec<&String> = state
        .snapshots
        .iter()
        .filter(|snapshot| stamp::is_stamped(snapshot, &params.name))
        .collect();
    ours.sort();
    // The new one is taken first: a storage that cannot take it must not cost an old one.
    let surplus = match params.keep {
        0 => 0,
        keep => (ours.len() + 1).saturating_sub(keep),
    };
    steps.extend(ours[..surplus].iter().map(|name| Step::Remove {
        vmid,
        name: (*name).clone(),
    }));
    Ok(Plan::of(steps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::pct::Status;
    use host::{Failure, Kind};
    use serde_json::json;
    use std::time::{Duration, SystemTime};

    fn state(snapshots: &[&str], lock: Option<&str>) -> State {
        State {
            location: "container 111 on pve1".to_owned(),
            status: Status {
                running: true,
                lock: lock.map(str::to_owned),
            },
            snapshots: snapshots.iter().map(|&name| name.to_owned()).collect(),
            now: SystemTime::UNIX_EPOCH + Duration::from_hours(490_896),
        }
    }

    fn steps(options: serde_json::Value, state: &State) -> Result<Vec<String>> {
        let params = serde_json::from_value(options).unwrap();
        let plan = plan(&params, state)?;
        Ok(plan.steps.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_name_carries_the_time() {
        let taken = steps(json!({"vmid": 111, "name": "nightly"}), &state(&[], None)).unwrap();
        assert_eq!(
            taken,
            ["take the snapshot nightly-20260101T000000Z of container 111"]
        );
    }

    #[test]
    fn all_are_kept_unless_a_number_is_given() {
        let old = ["pre-upgrade-20251201T000000Z", "pre-upgrade-20251101T000000Z"];
        assert_eq!(steps(json!({"vmid": 111}), &state(&old, None)).unwrap().len(), 1);
        let kept = steps(json!({"vmid": 111, "keep": 2}), &state(&old, None)).unwrap();
        assert_eq!(
            kept[1..],
            ["remove the snapshot pre-upgrade-20251101T000000Z of container 111"]
        );
    }

    #[test]
    fn snapshots_of_others_are_theirs() {
        let others = ["pre-upgrade", "pre-upgrade-mine", "other-20251101T000000Z"];
        let taken = steps(json!({"vmid": 111, "keep": 1}), &state(&others, None)).unwrap();
        assert_eq!(taken.len(), 1, "{taken:?}");
    }

    /// The snapshots that a container has after one more run, a minute later.
    fn run_again(keep: usize, state: &mut State) {
        let params: Params = serde_json::from_value(json!({"vmid": 111, "keep": keep})).unwrap();
        for step in plan(&params, state).unwrap().steps {
            match step {
                Step::Take { name, .. } => state.snapshots.push(name),
                Step::Remove { name, .. } => state.snapshots.retain(|there| *there != name),
            }
        }
        state.now += Duration::from_mins(1);
    }

    #[test]
    fn each_run_leaves_the_newest_and_all_that_others_took() {
        // In the order in which the configuration has them, which is not their age.
        let ours = [3, 1, 4, 2].map(|day| format!("pre-upgrade-202512{day:02}T000000Z"));
        let others = [
            "mine",
            "pre-upgrade",
            "pre-upgrade-nightly-20251101T000000Z",
            "pre-20251101T000000Z",
        ];
        for (keep, there) in (0..=5).flat_map(|keep| (0..=ours.len()).map(move |there| (keep, there))) {
            let names: Vec<&str> = ours[..there].iter().map(String::as_str).chain(others).collect();
            let mut state = state(&names, None);
            let mut all = ours[..there].to_vec();
            for run in 0..3 {
                run_again(keep, &mut state);
                all.push(format!("pre-upgrade-20260101T00{run:02}00Z"));
                all.sort();
                let newest = if keep == 0 { all.len() } else { keep.min(all.len()) };
                let mut left: Vec<&str> = all[all.len() - newest..]
                    .iter()
                    .map(String::as_str)
                    .chain(others)
                    .collect();
                left.sort_unstable();
                let mut found = state.snapshots.clone();
                found.sort();
                assert_eq!(found, left, "keep {keep} of {there}, run {run}");
            }
        }
    }

    #[test]
    fn a_locked_container_is_refused() {
        let error = steps(json!({"vmid": 111}), &state(&[], Some("backup"))).unwrap_err();
        assert_eq!(Failure::of(&error).unwrap().kind, Kind::ContainerLocked);
    }

    #[test]
    fn names_that_proxmox_would_not_take_are_refused() {
        for name in ["", "1st", "Pre", "a b", "a-name-that-is-much-too-long"] {
            let refused = serde_json::from_value::<Params>(json!({"vmid": 111, "name": name}));
            assert!(refused.unwrap_err().to_string().contains("name"), "{name}");
        }
    }
}
