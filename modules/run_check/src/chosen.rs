//! What the run's variables choose in the inventory: nodes, nodes that are gone for good, pairs of workers. Pure.

use crate::inventory::name_of;
use crate::params::{CLUSTER, CONTROLLERS, Inventory, PAIR_VARIABLES, PROFILE, Params, WORKERS};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a profile may say of an operating system.
const PROFILE_KEYS: [&str; 5] = ["os_id", "os_version", "min_kernel", "cgroup_version", "packages"];

/// The nodes that a variable names, and those that it leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nodes {
    named: Vec<String>,
    workers_first: Vec<String>,
    limited: Vec<String>,
    unknown: Vec<String>,
    others: Vec<String>,
    other_controllers: Vec<String>,
    has_all_controllers: bool,
    leaving_servers: Vec<String>,
}

/// Nodes that are gone for good, and those among them that the inventory still has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gone {
    named: Vec<String>,
    in_inventory: Vec<String>,
}

/// Pairs of an old and a new worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pairs {
    workers: Vec<String>,
    of: BTreeMap<String, Pair>,
    not_workers: Vec<String>,
    is_ambiguous: bool,
    is_repeated: bool,
    profile_fault: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pair {
    old: String,
    new: String,
    is_new: bool,
}

pub(crate) fn nodes(params: &Params) -> Option<Nodes> {
    let value = text(params, params.nodes_of.as_deref()?);
    let inventory = &params.inventory;
    let parts: Vec<&str> = value.split(',').map(str::trim).collect();
    let named = matching(inventory, &parts);
    let all_but = |group: &str| without(inventory.group(group), &named);
    let (controllers, workers): (Vec<String>, Vec<String>) = named
        .iter()
        .cloned()
        .partition(|host| inventory.group(CONTROLLERS).contains(host));
    let other_controllers = all_but(CONTROLLERS);
    // Without another server there is no etcd to leave.
    let leaving_servers = if other_controllers.is_empty() {
        Vec::new()
    } else {
        controllers.clone()
    };
    Some(Nodes {
        leaving_servers,
        workers_first: [workers, controllers].concat(),
        limited: both(&named, &inventory.limited_to),
        unknown: parts
            .into_iter()
            .filter(|name| !has_name(inventory, name))
            .map(str::to_owned)
            .collect(),
        others: all_but(CLUSTER),
        has_all_controllers: other_controllers.is_empty(),
        other_controllers,
        named,
    })
}

/// What the controllers are called in the cluster.
pub(crate) fn controller_names(inventory: &Inventory) -> Vec<String> {
    let controllers = inventory.group(CONTROLLERS);
    let nodes = inventory.nodes.iter();
    nodes
        .filter(|node| controllers.contains(&node.host))
        .filter_map(name_of)
        .collect()
}

/// The hosts of the cluster that these names of hosts and groups stand for, each once.
fn matching(inventory: &Inventory, names: &[&str]) -> Vec<String> {
    let hosts = names.iter().flat_map(|name| match inventory.groups.get(*name) {
        Some(hosts) => hosts.clone(),
        None => vec![(*name).to_owned()],
    });
    let cluster = inventory.group(CLUSTER);
    unique(hosts.filter(|host| cluster.contains(host)))
}

fn has_name(inventory: &Inventory, name: &str) -> bool {
    let is_host = |hosts: &Vec<String>| hosts.iter().any(|host| host == name);
    inventory.groups.contains_key(name) || inventory.groups.values().any(is_host)
}

pub(crate) fn gone(params: &Params) -> Option<Gone> {
    let value = params.values.get(params.gone_of.as_deref()?);
    let texts: Vec<String> = match value {
        Some(Value::Array(items)) => items.iter().map(word).collect(),
        Some(one) => vec![word(one)],
        None => Vec::new(),
    };
    let named: Vec<String> = texts
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let in_inventory = unique(both(&named, &params.inventory.names()).into_iter());
    Some(Gone { named, in_inventory })
}

pub(crate) fn pairs(params: &Params) -> Option<Pairs> {
    if !params.worker_pairs {
        return None;
    }
    let [list, old, new] = PAIR_VARIABLES;
    let single = Pair {
        old: text(params, old),
        new: text(params, new),
        is_new: false,
    };
    let listed: Vec<Pair> = match params.values.get(list) {
        Some(Value::Array(pairs)) => pairs.iter().map(pair).collect(),
        _ => Vec::new(),
    };
    let has_single = !single.old.is_empty() || !single.new.is_empty();
    let is_ambiguous = has_single && !listed.is_empty();
    let pairs = if listed.is_empty() { vec![single] } else { listed };
    let workers: Vec<String> = pairs
        .iter()
        .flat_map(|pair| [pair.new.clone(), pair.old.clone()])
        .collect();
    Some(Pairs {
        of: by_worker(&pairs),
        not_workers: without(&workers, params.inventory.group(WORKERS)),
        is_ambiguous,
        is_repeated: unique(workers.iter().cloned()).len() != workers.len(),
        profile_fault: profile_fault(params.values.get(PROFILE)),
        workers,
    })
}

fn pair(given: &Value) -> Pair {
    let of = |key: &str| given.get(key).map(word).unwrap_or_default();
    Pair {
        old: of("old"),
        new: of("new"),
        is_new: false,
    }
}

fn by_worker(pairs: &[Pair]) -> BTreeMap<String, Pair> {
    let mut of = BTreeMap::new();
    for pair in pairs {
        for (worker, is_new) in [(&pair.new, true), (&pair.old, false)] {
            let pair = Pair {
                is_new,
                ..pair.clone()
            };
            of.entry(worker.clone()).or_insert(pair);
        }
    }
    of
}

/// What is wrong with the profile of the new operating system, as the predicate of a sentence about it.
fn profile_fault(profile: Option<&Value>) -> Option<String> {
    let has = |key: &str| profile.is_some_and(|profile| profile.get(key).is_some());
    if !(has("os_id") && has("os_version")) {
        return Some("has no os_id and os_version".to_owned());
    }
    let keys = profile
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|map| map.keys());
    let unknown: Vec<&str> = keys
        .map(String::as_str)
        .filter(|key| !PROFILE_KEYS.contains(key))
        .collect();
    (!unknown.is_empty()).then(|| format!("has {}, which is unknown", unknown.join(", ")))
}

fn text(params: &Params, variable: &str) -> String {
    params.values.get(variable).map(word).unwrap_or_default()
}

/// YAML reads a host that is called 101 as a number.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn both(some: &[String], others: &[String]) -> Vec<String> {
    some.iter().filter(|one| others.contains(one)).cloned().collect()
}

fn without(all: &[String], some: &[String]) -> Vec<String> {
    all.iter().filter(|one| !some.contains(one)).cloned().collect()
}

fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn params(more: &Value) -> Params {
        let mut all = json!({"run": "The removal", "inventory": {
            "groups": {
                "all": ["pve1", "c1", "w1", "c2", "w2"], "pve": ["pve1"], "k3s_controllers": ["c1", "c2"],
                "k3s_workers": ["w1", "w2"], "k3s_cluster": ["c1", "w1", "c2", "w2"], "attic": ["w2"],
            },
            "nodes": [{"host": "c1", "node_name": "k3s-c1"}, {"host": "w1"}],
            "limited_to": ["w1", "c2"],
        }});
        let fields = all.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn nodes_of(value: &str) -> Nodes {
        nodes(&params(&json!({"nodes_of": "k3s_x", "values": {"k3s_x": value}}))).unwrap()
    }

    #[test]
    fn nothing_is_chosen_without_its_option() {
        let plain = params(&json!({}));
        assert_eq!((nodes(&plain), gone(&plain), pairs(&plain)), (None, None, None));
    }

    #[test]
    fn a_controller_is_called_by_its_node_name_else_as_in_the_inventory() {
        assert_eq!(controller_names(&params(&json!({})).inventory), ["k3s-c1"]);
        let nodes = json!({"groups": {"k3s_controllers": ["c2"]}, "nodes": [{"host": "c2"}, {"host": "w1"}]});
        assert_eq!(
            controller_names(&params(&json!({"inventory": nodes})).inventory),
            ["c2"]
        );
    }

    #[test]
    fn names_stand_for_hosts_and_groups() {
        for (value, named) in [
            ("w2", vec!["w2"]),
            ("w2, c1 ,w2", vec!["w2", "c1"]),
            ("attic,k3s_controllers", vec!["w2", "c1", "c2"]),
            ("k3s_cluster", vec!["c1", "w1", "c2", "w2"]),
            // Neither a Proxmox host nor an unknown name is a node.
            ("pve1,pve,w9", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(nodes_of(value).named, named, "{value}");
        }
    }

    #[test]
    fn workers_are_removed_before_controllers() {
        assert_eq!(nodes_of("c1,w1,c2,w2").workers_first, ["w1", "w2", "c1", "c2"]);
    }

    #[test]
    fn lists_names_that_are_neither_host_nor_group() {
        assert_eq!(nodes_of("w1,w9,all,pve1,w*").unknown, ["w9", "w*"]);
        assert_eq!(nodes_of("k3s_workers").unknown, [""; 0]);
    }

    #[test]
    fn lists_what_stays() {
        let some = nodes_of("c1,w1");
        assert_eq!(some.others, ["c2", "w2"]);
        assert_eq!(
            (some.other_controllers, some.has_all_controllers),
            (vec!["c2".to_owned()], false)
        );
        let servers = nodes_of("k3s_controllers");
        assert!(servers.has_all_controllers);
        assert_eq!(some.leaving_servers, ["c1"]);
        assert_eq!(servers.leaving_servers, [""; 0]);
        assert_eq!(nodes_of("k3s_workers").leaving_servers, [""; 0]);
        assert_eq!(servers.others, ["w1", "w2"]);
        assert_eq!(nodes_of("all").others, [""; 0]);
    }

    #[test]
    fn lists_the_nodes_that_a_limit_leaves() {
        assert_eq!(nodes_of("k3s_cluster").limited, ["w1", "c2"]);
        assert_eq!(nodes_of("w2").limited, [""; 0]);
    }

    #[test]
    fn finds_a_node_that_is_called_gone_and_is_in_the_inventory() {
        let gone_of =
            |value: Value| gone(&params(&json!({"gone_of": "k3s_x", "values": {"k3s_x": value}}))).unwrap();
        for (value, named, there) in [
            (json!([]), vec![], vec![]),
            (json!("n7,n8"), vec!["n7", "n8"], vec![]),
            (
                json!(["n7", "w1, k3s-c1", ""]),
                vec!["n7", "w1", "k3s-c1"],
                vec!["w1", "k3s-c1"],
            ),
            (json!("c1,c1"), vec!["c1", "c1"], vec!["c1"]),
            (json!([101]), vec!["101"], vec![]),
        ] {
            let found = gone_of(value.clone());
            assert_eq!(
                (found.named, found.in_inventory),
                (names(&named), names(&there)),
                "{value}"
            );
        }
    }

    fn names(of: &[&str]) -> Vec<String> {
        of.iter().map(|&name| name.to_owned()).collect()
    }

    fn pairs_of(values: Value) -> Pairs {
        pairs(&params(&json!({"worker_pairs": true, "values": values}))).unwrap()
    }

    #[test]
    fn each_new_worker_comes_before_its_old_one() {
        let list = json!([{"old": "w1", "new": "w2"}, {"old": "w3", "new": "w4"}]);
        let found = pairs_of(json!({"k3s_upgrade_canary_pairs": list}));
        assert_eq!(found.workers, ["w2", "w1", "w4", "w3"]);
        assert_eq!(found.not_workers, ["w4", "w3"]);
        assert_eq!((found.is_ambiguous, found.is_repeated), (false, false));
        let of = |worker: &str| {
            (
                found.of[worker].old.clone(),
                found.of[worker].new.clone(),
                found.of[worker].is_new,
            )
        };
        assert_eq!(of("w2"), ("w1".to_owned(), "w2".to_owned(), true));
        assert_eq!(of("w1"), ("w1".to_owned(), "w2".to_owned(), false));
    }

    #[test]
    fn two_variables_are_a_pair_without_a_list() {
        let single =
            json!({"k3s_upgrade_canary_old_worker_host": "w1", "k3s_upgrade_canary_new_worker_host": "w2"});
        let found = pairs_of(single.clone());
        assert_eq!(
            (found.workers, found.not_workers),
            (names(&["w2", "w1"]), names(&[]))
        );
        let mut also = single;
        also["k3s_upgrade_canary_pairs"] = json!([{"old": "w1", "new": "w2"}]);
        assert!(pairs_of(also).is_ambiguous);
        // Nothing is given: neither name is a worker.
        assert_eq!(pairs_of(json!({})).not_workers, ["", ""]);
    }

    #[test]
    fn finds_a_worker_that_is_named_twice_and_a_pair_that_lacks_one() {
        let found =
            pairs_of(json!({"k3s_upgrade_canary_pairs": [{"old": "w1", "new": "w2"}, {"old": "w2"}]}));
        assert!(found.is_repeated);
        assert_eq!(found.not_workers, [""]);
        assert_eq!(
            pairs_of(json!({"k3s_upgrade_canary_pairs": ["w1"]})).not_workers,
            ["", ""]
        );
    }

    #[test]
    fn a_profile_names_the_system_and_nothing_unknown() {
        for (profile, fault) in [
            (json!({}), Some("has no os_id and os_version")),
            (json!({"os_id": "rocky"}), Some("has no os_id and os_version")),
            (
                json!({"os_id": "rocky", "os_version": "10", "packages": []}),
                None,
            ),
            (
                json!({"os_id": "rocky", "os_version": "10", "kernel": "6"}),
                Some("has kernel, which is unknown"),
            ),
        ] {
            let found = pairs_of(json!({"k3s_prereqs_profile": profile}));
            assert_eq!(found.profile_fault.as_deref(), fault, "{profile}");
        }
    }
}
