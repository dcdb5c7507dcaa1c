//! What is refused before anything is touched, each with its evidence and what to do about it. Pure.

use crate::aim::Aim;
use crate::params::Params;
use crate::record;
use crate::state::{Recorded, State};
use ansible_module::Refusal;
use cluster::Lease;
use k3s_node::unit::{self, Unit};
use k3s_node::{Role, Show};

/// Whether this is the node that is meant, and one that can be read: asked at every run, also where there is
/// nothing to do.
pub(crate) fn of_node(params: &Params, state: &State) -> Vec<Refusal> {
    let checks = [
        systemd(state),
        record(state),
        units(state),
        unit_elsewhere(state),
        replayable(state),
        drop_in(state),
        role(params, state),
        node_name(params, state),
        internal_ip(state),
        config(state),
    ];
    checks.into_iter().flatten().collect()
}

/// Whether this install may be done here: asked only where there is something to install.
pub(crate) fn of_install(params: &Params, state: &State, aim: &Aim) -> Vec<Refusal> {
    let checks = [
        operators_lines(state, aim),
        name_of_unit(aim),
        split_roles(state, aim),
        args(params, state),
        downgrade(params, state),
        space(params, state),
    ];
    checks.into_iter().flatten().collect()
}

/// Whether there is room for a download.
pub(crate) fn of_download(params: &Params, state: &State) -> Vec<Refusal> {
    space(params, state).into_iter().collect()
}

fn systemd(state: &State) -> Option<Refusal> {
    let advice = "k3s runs under systemd here; start the machine with it";
    (!state.systemd).then(|| Refusal::new("no_systemd", "systemd is not the init system there", advice))
}

fn record(state: &State) -> Option<Refusal> {
    let Recorded::Unreadable(why) = &state.recorded else {
        return None;
    };
    let evidence = format!("there is an install record {}, but {why}", record::PATH);
    let advice = "read it: it holds the unit and environment of an interrupted installation; if both files are correct, remove it";
    Some(Refusal::new("record", evidence, advice))
}

fn units(state: &State) -> Option<Refusal> {
    if let Some(name) = state.units.more.first() {
        let evidence = format!("the unit {} starts a k3s too", unit::path(name));
        let advice = "a machine is one node: stop and remove the unit that is not to be, or let its ExecStart run k3s itself where a shell does";
        return Some(Refusal::new("other_unit", evidence, advice));
    }
    two_units(state)
}

/// What the script leaves of an agent without the setting that makes it one.
fn two_units(state: &State) -> Option<Refusal> {
    if Role::ALL.iter().any(|role| state.units[role].text.is_none()) {
        return None;
    }
    let mut alive = Role::ALL
        .into_iter()
        .filter(|role| has_process(&state.units[role].show));
    let only = alive.next().filter(|_| alive.next().is_none());
    let stray = state
        .record()
        .map(|record| record.setup.role)
        .or(only)
        .unwrap_or(Role::Agent)
        .other();
    let name = &state.units[&stray].name;
    let advice = format!(
        "a node has one role; if it is a k3s {}, run `systemctl disable --now {name}` and remove {} and {}",
        stray.other(),
        unit::path(name),
        unit::env_path(name)
    );
    Some(Refusal::new(
        "two_units",
        format!(
            "{} has both {} and {}",
            state.location,
            state.units[&Role::Server].name,
            state.units[&Role::Agent].name
        ),
        advice,
    ))
}

/// Whether its process runs. A unit that restarts over and over has one now and then only, and an agent that has not
/// reported READY yet is `activating` with one.
fn has_process(show: &Show) -> bool {
    show.is_alive() && show.main_pid != 0
}

fn unit_elsewhere(state: &State) -> Option<Refusal> {
    Role::ALL.into_iter().find_map(|role| {
        let (name, show) = (&state.units[&role].name, &state.units[&role].show);
        if show.enabled.starts_with("masked") || show.load == "masked" {
            let advice =
                format!("somebody does not want it to run; `systemctl unmask {name}` if that is over");
            return Some(Refusal::new("masked", format!("{name} is masked"), advice));
        }
        let foreign = !show.fragment.is_empty() && show.fragment != unit::path(name);
        foreign.then(|| {
            let evidence = format!(
                "systemd has {name} from {}, which the install script did not write",
                show.fragment
            );
            Refusal::new(
                "unit_elsewhere",
                evidence,
                "this node is installed in another way; upgrade it in that way",
            )
        })
    })
}

fn replayable(state: &State) -> Option<Refusal> {
    let (role, why) = state.before().err()?;
    let evidence = format!(
        "{} cannot be replayed: {why}",
        unit::path(&state.units[&role].name)
    );
    let advice = "run the install script once by hand with the right role and arguments, or repair the unit";
    Some(Refusal::new("unit", evidence, advice))
}

fn drop_in(state: &State) -> Option<Refusal> {
    let before = state.before().ok().flatten()?;
    let replaced = state.units[&before.role].replaced_command()?;
    let word = replaced.words.first().cloned().unwrap_or_default();
    (word != before.role.word() || replaced.binary != before.binary).then(|| {
        let evidence = format!(
            "a drop-in of {} runs {} {word}, where the unit runs {} {}",
            before.name, replaced.binary, before.binary, before.role
        );
        Refusal::new(
            "drop_in",
            evidence,
            "make unit and drop-in agree on binary and role",
        )
    })
}

fn role(params: &Params, state: &State) -> Option<Refusal> {
    let (wanted, is) = (params.role?, state.before().ok().flatten()?.role);
    (wanted != is).then(|| {
        let evidence = format!("{} is a k3s {is}, and {wanted} is expected", state.location);
        let advice = "a role is never changed by an install: check pct_id and the group in the inventory; to make it another node, uninstall k3s first";
        Refusal::new("role", evidence, advice)
    })
}

fn node_name(params: &Params, state: &State) -> Option<Refusal> {
    let (wanted, is) = (params.node_name.as_deref()?, &state.paths.node);
    (wanted != is).then(|| {
        let evidence = format!("{} is the node {is}, and {wanted} is expected", state.location);
        Refusal::new(
            "node_name",
            evidence,
            "check pct_id and node_name in the inventory",
        )
    })
}

fn internal_ip(state: &State) -> Option<Refusal> {
    let node = state.node.as_ref().filter(|_| state.asked == state.paths.node)?;
    // A machine that was off may come back with another address. While the node is alive its address is its own.
    let same_machine = node.machine_id.is_some() && node.machine_id == state.machine_id;
    let alive = node
        .renewed
        .is_some_and(|renewed| renewed + u64::from(Lease::SECONDS) > state.now);
    if same_machine && !alive {
        return None;
    }
    let foreign = node
        .internal_ips
        .iter()
        .find(|ip| !state.addresses.contains(ip))?;
    let evidence = format!(
        "node {} has the address {foreign}, which {} does not have",
        state.asked, state.location
    );
    let advice = "another machine is registered under this name, or the address was changed: check pct_id and node_name in the inventory";
    Some(Refusal::new("internal_ip", evidence, advice))
}

fn config(state: &State) -> Option<Refusal> {
    let evidence = format!("{} is not a YAML dictionary", state.config_fault.as_ref()?);
    Some(Refusal::new(
        "config",
        evidence,
        "k3s would not start with it: correct it first",
    ))
}

fn operators_lines(state: &State, aim: &Aim) -> Option<Refusal> {
    let text = aim.setup.unit.as_deref()?;
    let lines = Unit::parse(text).operators_lines(&aim.setup.name);
    (!lines.is_empty()).then(|| {
        let path = aim.setup.unit_path();
        // A line may be an Environment= with a token.
        let keys: Vec<&str> = lines.iter().map(|line| line.split_once('=').map_or(line.as_str(), |(key, _)| key)).collect();
        let evidence = format!("{path} on {} has lines that the install script does not write: {}", state.location, keys.join(", "));
        let advice = format!("the script rewrites the unit and they would be lost: move them to a drop-in (`systemctl edit {}`)", aim.setup.name);
        Refusal::new("operators_lines", evidence, advice)
    })
}

/// The script writes the unit anew, under a name that it forms itself.
fn name_of_unit(aim: &Aim) -> Option<Refusal> {
    let evidence = aim.setup.script_name().err()?;
    let advice = "rename the unit to k3s-<name>.service with its drop-ins, enable it, and run this again";
    Some(Refusal::new("unit_name", evidence, advice))
}

/// After a restart each server is asked for its own API and, where it keeps etcd, for its vote.
fn split_roles(state: &State, aim: &Aim) -> Option<Refusal> {
    let parts = ["disable-apiserver", "disable-etcd"];
    let split = state.split.iter().find(|part| parts.contains(part))?;
    (aim.setup.role == Role::Server).then(|| {
        let evidence = format!("{} is a server with {split}, which does part of a server's work", state.location);
        let advice = "servers are seen ready by their own API and their own etcd, which this one has not both of: upgrade it by hand";
        Refusal::new("split_roles", evidence, advice)
    })
}

/// Arguments are for fresh installs: one that is there keeps its own.
fn args(params: &Params, state: &State) -> Option<Refusal> {
    let (wanted, before) = (params.args.as_ref()?, state.before().ok().flatten()?);
    // An interrupted fresh install is still fresh.
    (before.unit.is_some() && *wanted != before.args).then(|| {
        let (is, wanted) = (k3s_types::mask::arguments(&before.args), k3s_types::mask::arguments(wanted));
        let evidence = format!("{} runs with the arguments {is:?}, and args has {wanted:?}", state.location);
        Refusal::new("args", evidence, "args is for a fresh install; leave it out, or put what shall change into /etc/rancher/k3s/config.yaml")
    })
}

fn downgrade(params: &Params, state: &State) -> Option<Refusal> {
    // A binary that never ran has changed nothing: then what runs is what counts.
    let is = state.running().or(state.binary.version.as_ref())?;
    (params.version < *is && !params.allow_downgrade).then(|| {
        let evidence = format!("{} has {is}, and {} is older", state.location, params.version);
        Refusal::new(
            "downgrade",
            evidence,
            "k3s does not support it; set allow_downgrade where you know that it works",
        )
    })
}

fn space(params: &Params, state: &State) -> Option<Refusal> {
    if state.binary.version.as_ref() == Some(&params.version) {
        return None;
    }
    // Only the script itself downloads to /tmp.
    let counts = |folder: &str| !params.prefetch || folder != "/tmp";
    let (folder, free) = state
        .free
        .iter()
        .find(|(folder, free)| counts(folder) && *free < params.min_free_mb)?;
    let evidence = format!(
        "{} has {free} MiB free on {folder}, and {} are wanted",
        state.location, params.min_free_mb
    );
    let advice =
        "a new k3s needs its binary twice and room to unpack itself: make room, or lower min_free_mb";
    Some(Refusal::new("no_space", evidence, advice))
}

/// Why a machine without a unit is not fit for a fresh install.
pub(crate) fn of_fresh(params: &Params, state: &State) -> Vec<Refusal> {
    if state.data.server || state.data.agent {
        let evidence = format!(
            "{} has data of k3s in {} but no unit, and there is no install record",
            state.location, state.paths.data
        );
        let advice = "arguments and token of this node are lost: put unit and environment file back from a backup, or run the uninstall script for a fresh start";
        return vec![Refusal::new("unit_missing", evidence, advice)];
    }
    let (Some(role), Some(_)) = (params.role, &params.args) else {
        let advice = "for a fresh install give role and args (an empty list will do), and for a joining node environment";
        return vec![Refusal::new(
            "not_installed",
            format!("k3s is not installed in {}", state.location),
            advice,
        )];
    };
    if role == Role::Agent && !state.has_server_to_join {
        let evidence = "an agent is to be installed, and nothing says which server it joins".to_owned();
        return vec![Refusal::new(
            "agent_without_url",
            evidence,
            "give K3S_URL and K3S_TOKEN in environment",
        )];
    }
    Vec::new()
}

#[cfg(test)]
mod tests;
