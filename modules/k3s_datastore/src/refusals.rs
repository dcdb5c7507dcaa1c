//! What is refused before anything is touched, each with its evidence and what to do about it. Pure.

use crate::known_bad;
use crate::params::Params;
use crate::record;
use crate::script;
use crate::state::{Datastore, Recorded, State};
use ansible_module::Refusal;
use k3s_node::settings::Switch;
use k3s_node::{Role, unit};
use k3s_types::K3sVersion;

/// etcd sets its log aside ahead, two files of 64 MiB, and grows by what it gets; MiB.
const ETCD_MB: u64 = 192;

/// Whether this is a server that can be read: asked at every run, also where there is nothing to do.
pub(crate) fn of_server(state: &State) -> Vec<Refusal> {
    let checks = [systemd(state), record(state), server(state), config(state)];
    checks.into_iter().flatten().collect()
}

/// Whether its datastore may be moved: asked where nothing of ours is under way.
pub(crate) fn of_migration(params: &Params, state: &State) -> Vec<Refusal> {
    let hopeless = match state.datastore() {
        Datastore::External => Some(external(state)),
        Datastore::Unfinished => Some(failed_migration(state)),
        Datastore::None => Some(no_datastore(state)),
        Datastore::Sqlite | Datastore::Etcd => None,
    };
    if let Some(refusal) = hopeless {
        return vec![refusal];
    }
    let checks = [
        joins(state),
        api_not_ready(state),
        unsettled_version(state),
        cluster_init(state),
        no_etcd(state),
        odd_config(state),
        other_servers(state),
        database(state),
        space(params, state),
    ];
    let known = known_bad(params, state);
    checks.into_iter().flatten().chain(known).collect()
}

fn systemd(state: &State) -> Option<Refusal> {
    let advice = "k3s runs under systemd here; start the machine with it";
    (!state.systemd).then(|| Refusal::new("no_systemd", "systemd is not the init system there", advice))
}

fn record(state: &State) -> Option<Refusal> {
    let why = match &state.recorded {
        Recorded::Nothing => return None,
        Recorded::Unreadable(why) => why.clone(),
        Recorded::Migration(record) if record.data == state.paths.data => return None,
        Recorded::Migration(record) => format!(
            "it is about the data folder {}, and k3s has {} now",
            record.data, state.paths.data
        ),
    };
    let evidence = format!(
        "there is a record {} of a migration under way, but {why}",
        record::path()
    );
    let advice = format!(
        "check {0}/db: where k3s runs and state.db is there without etcd/member/wal, or the other way round, the record can be removed",
        state.paths.server()
    );
    Some(Refusal::new("record", evidence, advice))
}

fn server(state: &State) -> Option<Refusal> {
    if let Some(name) = state.units.more.first() {
        let evidence = format!("the unit {} starts a k3s too", unit::path(name));
        let advice = "a machine is one node: stop and remove the unit that is not to be, or let its ExecStart run k3s itself where a shell does";
        return Some(Refusal::new("other_unit", evidence, advice));
    }
    let path = unit::path(&state.paths.unit);
    let evidence = match state.setup() {
        Ok(Some(_)) if state.server => return None,
        Ok(Some(_)) => format!("{} has no folder {}", state.location, state.paths.server()),
        Ok(None) if state.units[&Role::Agent].text.is_some() => {
            format!("{} is a k3s agent, which has no datastore", state.location)
        }
        Ok(None) => format!(
            "{} has no {path}: k3s is not installed as a server there",
            state.location
        ),
        Err(why) => {
            let evidence = format!("{path} cannot be read: {why}");
            let advice =
                "repair the unit, or run the install script once by hand with the right role and arguments";
            return Some(Refusal::new("unit", evidence, advice));
        }
    };
    let advice = "check pct_id and the group in the inventory; a server must have run before its datastore can be moved";
    Some(Refusal::new("not_a_server", evidence, advice))
}

fn config(state: &State) -> Option<Refusal> {
    let evidence = format!("{} is not a YAML dictionary", state.config_fault.as_ref()?);
    Some(Refusal::new(
        "config",
        evidence,
        "k3s would not start with it: correct it first",
    ))
}

fn external(state: &State) -> Refusal {
    let location = state.requests.endpoint_at.as_deref().unwrap_or_default();
    Refusal::new(
        "external",
        format!("{} keeps its data outside, as {location} says", state.location),
        "k3s moves only its own SQLite to embedded etcd; an external datastore already serves several servers",
    )
}

fn failed_migration(state: &State) -> Refusal {
    let db = format!("{}/db", state.paths.server());
    let unit = state.paths.short_unit();
    Refusal::new(
        "failed_migration",
        format!(
            "{db} has etcd/member/wal beside a live state.db, and no record of ours says why: a migration failed there, or somebody put a file back"
        ),
        format!(
            "find out which of the two holds the cluster; k3s starts from etcd and never looks at state.db. If it is SQLite: `systemctl stop {unit}`, move {db}/etcd away, take cluster-init out of the configuration, `systemctl start {unit}`, and run this again. If it is etcd: move {db}/state.db away"
        ),
    )
}

fn no_datastore(state: &State) -> Refusal {
    Refusal::new(
        "no_datastore",
        format!(
            "{}/db has neither state.db nor etcd/member/wal",
            state.paths.server()
        ),
        "this server has never served a cluster of its own: start it first, or check pct_id and the data-dir of k3s",
    )
}

fn joins(state: &State) -> Option<Refusal> {
    let joins = state.requests.joins.as_ref()?;
    Some(Refusal::new(
        "joined",
        format!(
            "{} joins {}, as {} says",
            state.location, joins.value, joins.location
        ),
        "the datastore is moved on the server that the others join: run this for that one (k3s_primary_controller_host)",
    ))
}

fn api_not_ready(state: &State) -> Option<Refusal> {
    let show = state.show();
    let said = match &state.api {
        Some(api) if api.ready => return None,
        Some(api) => format!("its API is not ready ({})", api.said),
        None => format!("{} is {}", state.paths.unit, show.active),
    };
    Some(Refusal::new(
        "api_not_ready",
        format!("{}: {said}", state.location),
        "bring k3s up first; what fails now would fail after the migration too, and would look like its fault",
    ))
}

fn installed(state: &State) -> Result<&K3sVersion, Refusal> {
    state.installed.as_ref().ok_or_else(|| {
        Refusal::new(
            "version",
            format!("{} does not report its version", state.paths.binary),
            "see what `k3s --version` says there",
        )
    })
}

/// The next start runs the installed binary, and should change one thing only.
fn unsettled_version(state: &State) -> Option<Refusal> {
    let installed = match installed(state) {
        Ok(installed) => installed,
        Err(refusal) => return Some(refusal),
    };
    let running = state.api.as_ref()?.version.as_ref()?;
    (running != installed).then(|| {
        Refusal::new(
            "unsettled_version",
            format!(
                "{} runs k3s {running}, and {installed} is installed",
                state.location
            ),
            "finish the upgrade first: playbook-upgrade-k3s.yaml",
        )
    })
}

fn known_bad(params: &Params, state: &State) -> Vec<Refusal> {
    let Some(installed) = &state.installed else {
        return Vec::new();
    };
    let rules = known_bad::all().unwrap_or_default();
    let bad = rules
        .iter()
        .filter(|rule| rule.is_about(installed) && !params.allow_known_bad.contains(&rule.rule));
    bad.map(|rule| {
        let evidence = format!(
            "{} has k3s {installed}: {} ({})",
            state.location,
            rule.why,
            rule.source.join(", ")
        );
        let advice = format!("{}; allow_known_bad={} lifts this", rule.next, rule.rule);
        Refusal::new("known_bad", evidence, advice)
    })
    .collect()
}

/// Where somebody else has set it, going back would not take it away, and k3s would migrate again.
fn cluster_init(state: &State) -> Option<Refusal> {
    let Switch { on, location } = state.requests.cluster_init.as_ref()?;
    if *on {
        return Some(Refusal::new(
            "cluster_init",
            format!(
                "{location} sets cluster-init already, and {} still runs on SQLite: its next start would migrate, with no way back",
                state.location
            ),
            format!(
                "take it out without restarting k3s (an argument: by `systemctl edit --full {}`), and run this again, which sets it itself",
                state.paths.short_unit()
            ),
        ));
    }
    let ours = format!("{}.d/{}", state.paths.config, script::DROP_IN);
    let stronger = location.starts_with("the argument") || (location.starts_with('/') && *location > ours);
    stronger.then(|| {
        Refusal::new(
            "cluster_init",
            format!("{location} says that cluster-init is off, which would overrule {ours}"),
            "take it out",
        )
    })
}

fn no_etcd(state: &State) -> Option<Refusal> {
    state.requests.without_etcd.then(|| {
        Refusal::new(
            "no_etcd",
            format!("{} is configured with disable-etcd", state.location),
            "take it out: this server is to run etcd",
        )
    })
}

fn odd_config(state: &State) -> Option<Refusal> {
    let path = state.requests.odd_config.as_ref()?;
    Some(Refusal::new(
        "odd_config",
        format!(
            "the configuration of k3s on {} is {path}, which has no folder beside it",
            state.location
        ),
        "give k3s a configuration file by its absolute path: cluster-init is written into the folder beside it",
    ))
}

fn other_servers(state: &State) -> Option<Refusal> {
    let api = state.api.as_ref().filter(|api| api.ready)?;
    let evidence = match &api.servers {
        Some(servers) if servers.len() <= 1 => return None,
        Some(servers) => format!(
            "the cluster has {} servers: {}",
            servers.len(),
            servers.join(", ")
        ),
        None => format!(
            "the servers of the cluster could not be listed through {}",
            state.location
        ),
    };
    Some(Refusal::new(
        "other_servers",
        evidence,
        "SQLite serves one server: delete the Nodes of servers that are gone (`kubectl delete node`), and run this again",
    ))
}

fn database(state: &State) -> Option<Refusal> {
    let evidence = match state.objects.as_ref()? {
        Ok(0) => format!("{} holds no object of a cluster", state.paths.database()),
        Ok(_) => return None,
        Err(why) => format!("{}: {why}", state.paths.database()),
    };
    Some(Refusal::new(
        "database",
        evidence,
        "what cannot be read cannot be moved: check the database, or restore a backup of it, first",
    ))
}

/// What the copy takes, and what goes where the databases are: the copy put back, and etcd.
fn space(params: &Params, state: &State) -> Option<Refusal> {
    let size = state.database?.div_ceil(1 << 20);
    let (data, dest) = (&state.data_disk, &state.dest_disk);
    let in_data = 2 * size + ETCD_MB + params.min_free_mb;
    // A file system shows at each path where it is mounted.
    let is_one = (&data.device, data.free_mb) == (&dest.device, dest.free_mb);
    let short = if is_one {
        (data, in_data + size)
    } else if dest.free_mb < size + params.min_free_mb {
        (dest, size + params.min_free_mb)
    } else {
        (data, in_data)
    };
    let (disk, needed) = short;
    (disk.free_mb < needed).then(|| {
        Refusal::new(
            "no_space",
            format!(
                "{} has {} MiB free on {}, and a copy of {size} MiB, the same put back, and etcd want {needed}",
                state.location, disk.free_mb, disk.mounted
            ),
            "make room there, or lower min_free_mb",
        )
    })
}

#[cfg(test)]
mod tests;
