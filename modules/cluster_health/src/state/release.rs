//! Releases of Helm, by the labels of their Secrets: what is in a Secret stays there.

use anyhow::{Result, bail};
use std::collections::BTreeMap;

/// Of a table the API server sends the metadata alone, where JSON would bring every value of every release along. The last
/// label is missing where k3s has not deployed the revision, so it is the last column.
pub(crate) const RELEASES: &str =
    "k get secrets -A -l owner=helm --no-headers -L name,version,status,helmcharts.helm.cattle.io/configHash";

/// The newest revision of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub revision: u32,
    /// `deployed`, `failed`, `pending-upgrade` …
    pub status: String,
    /// What the Job that deployed it was made of; empty where another one did, or a k3s of before mid-2026.
    pub config_hash: String,
}

/// By namespace and name.
pub type Releases = BTreeMap<(String, String), Release>;

pub(crate) fn releases(table: &str) -> Result<Releases> {
    let mut releases = Releases::new();
    // Others may put the label on Secrets of their own.
    for line in table.lines().filter(|line| line.contains(" sh.helm.release.v1.")) {
        let Some((id, release)) = row(line) else {
            bail!("kubectl prints no table of releases that can be read: {line:?}");
        };
        let is_older = |known: &Release| known.revision > release.revision;
        if !releases.get(&id).is_some_and(is_older) {
            releases.insert(id, release);
        }
    }
    Ok(releases)
}

/// A row begins with the Secret's namespace and name, and ends with its labels. The name is made of the first two labels,
/// which finds them, whatever columns a server puts between.
fn row(line: &str) -> Option<((String, String), Release)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (namespace, secret) = (words.first()?, words.get(1)?);
    let is_name = |labels: &[&str]| *secret == format!("sh.helm.release.v1.{}.v{}", labels[0], labels[1]);
    let at = words.windows(2).skip(2).position(is_name)? + 2;
    let (name, revision, status) = (words[at], words[at + 1], words.get(at + 2)?);
    let release = Release {
        revision: revision.parse().ok()?,
        status: (*status).to_owned(),
        config_hash: words.get(at + 3).copied().unwrap_or_default().to_owned(),
    };
    Some((((*namespace).to_owned(), name.to_owned()), release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_revision_of_a_release_counts() {
        let table = "\
kube-system   sh.helm.release.v1.traefik.v9       helm.sh/release.v1   1   9d   traefik       9    superseded   A9
kube-system   sh.helm.release.v1.traefik.v10      helm.sh/release.v1   1   1d   traefik       10   deployed     B2
kube-system   sh.helm.release.v1.traefik-crd.v1   helm.sh/release.v1   1   9d   traefik-crd   1    failed
demo          sh.helm.release.v1.traefik.v1       helm.sh/release.v1   1   9d   traefik       1    deployed
demo          of-our-own                          Opaque               1   9d
";
        let found: Vec<String> = releases(table)
            .unwrap()
            .into_iter()
            .map(|((namespace, name), release)| {
                format!(
                    "{namespace}/{name} {} {} {:?}",
                    release.revision, release.status, release.config_hash
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                r#"demo/traefik 1 deployed """#,
                r#"kube-system/traefik 10 deployed "B2""#,
                r#"kube-system/traefik-crd 1 failed """#,
            ]
        );
        assert!(releases("").unwrap().is_empty());
    }

    #[test]
    fn refuses_another_table() {
        for line in [
            "kube-system sh.helm.release.v1.traefik.v1 helm.sh/release.v1 1 9d",
            "kube-system sh.helm.release.v1.traefik.v1 helm.sh/release.v1 1 9d traefik 2 deployed",
            "kube-system sh.helm.release.v1.traefik.vx helm.sh/release.v1 1 9d traefik x deployed",
        ] {
            let error = releases(line).unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
        }
    }
}
