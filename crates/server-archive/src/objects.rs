//! What a cluster holds, by kinds: what is compared before and after a restore.

use anyhow::Result;
use host::{Command, Host, quote};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many there are of each kind: `deployment.apps`, `configmap`.
pub type Objects = BTreeMap<String, u64>;

/// Kinds that come and go by themselves, or are not stored objects, are left out. That one group of the API is away
/// (metrics) does not keep the others from being reported. Nodes are reported by name as well.
const COUNT: &str = r#"set -u
k() { "$k3s" kubectl --request-timeout=30s "$@" 2>/dev/null </dev/null; }
kinds=$(k api-resources --verbs=list -o name | grep -v -e '^events' -e '\.metrics\.k8s\.io$' -e '^componentstatuses' -e '^leases\.' -e '^etcdsnapshotfiles\.' | paste -sd, -)
[ "$kinds" ] || exit 1
all=$(k get "$kinds" -A -o name --ignore-not-found) || exit 1
printf '%s\n' "$all" | sed -n 's|^node/|name |p'
printf '%s\n' "$all" | sed 's|/.*||' | sort | uniq -c
"#;

/// Asks the API for the objects of each kind and the names of the nodes; `None` where it does not answer.
pub fn count(host: &dyn Host, k3s: &str, limit: Duration) -> Result<Option<(Objects, Vec<String>)>> {
    let script = format!("k3s={}\n{COUNT}", quote(k3s));
    let output = host.run(&Command::script(script).within(limit))?;
    Ok(output.ok().then(|| parse(&output.text())))
}

fn parse(text: &str) -> (Objects, Vec<String>) {
    let words = text.lines().filter_map(|line| line.trim().split_once(' '));
    let (names, counts): (Vec<_>, Vec<_>) = words.partition(|(first, _)| *first == "name");
    let counts = counts
        .into_iter()
        .filter_map(|(count, kind)| Some((kind.trim().to_owned(), count.parse().ok()?)));
    (
        counts.collect(),
        names.into_iter().map(|(_, name)| name.to_owned()).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_counts_and_names() {
        let (objects, nodes) =
            parse("name n1\nname n2\n      3 configmap\n     12 deployment.apps\n      2 node\n");
        assert_eq!(nodes, ["n1", "n2"]);
        assert_eq!(
            objects,
            Objects::from([
                ("configmap".to_owned(), 3),
                ("deployment.apps".to_owned(), 12),
                ("node".to_owned(), 2)
            ])
        );
    }
}
