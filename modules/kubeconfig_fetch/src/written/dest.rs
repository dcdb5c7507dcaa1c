//! Which file is meant. Pure.

use crate::params::Written;
use anyhow::{Context, Result, bail};

/// Absolute paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// The file that is written.
    pub dest: String,
    /// Those that kubectl reads after it.
    pub others: Vec<String>,
    /// Where kubectl looks when it is not named another; only where it is not among the above.
    pub unmentioned: Option<String>,
    /// Whether kubectl finds `dest` by itself.
    pub is_found: bool,
}

/// Whether some path counts from the home folder.
pub(crate) fn needs_home(params: &Written) -> bool {
    if let Some(dest) = &params.dest {
        return dest.starts_with('~');
    }
    let parts = parts(params);
    parts.is_empty() || parts.iter().any(|part| part.starts_with('~'))
}

pub(crate) fn paths(params: &Written, name: &str, home: Option<&str>) -> Result<Paths> {
    let home = home.or(params.home.as_deref());
    let cwd = params.cwd.as_deref();
    if let Some(dest) = &params.dest {
        let dest = absolute(dest, "dest", home, cwd)?;
        let env = parts(params)
            .first()
            .and_then(|part| absolute(part, "KUBECONFIG", home, cwd).ok());
        let usual = env.or_else(|| home.map(kubectls_own));
        return Ok(Paths {
            is_found: usual.as_ref() == Some(&dest),
            dest,
            others: Vec::new(),
            unmentioned: None,
        });
    }
    let mut paths: Vec<String> = Vec::new();
    for part in parts(params) {
        let path = absolute(part, "KUBECONFIG", home, cwd)?;
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let mut paths = paths.into_iter();
    if let Some(dest) = paths.next() {
        return Ok(Paths {
            dest,
            others: paths.collect(),
            unmentioned: None,
            is_found: true,
        });
    }
    let home = home.context("finding the home folder: it is not known; give home or dest")?;
    Ok(Paths {
        dest: format!("{}/.kube/{name}.config", home.trim_end_matches('/')),
        others: Vec::new(),
        unmentioned: Some(kubectls_own(home)),
        is_found: false,
    })
}

fn kubectls_own(home: &str) -> String {
    format!("{}/.kube/config", home.trim_end_matches('/'))
}

/// The paths in KUBECONFIG; kubectl passes over empty ones too.
fn parts(params: &Written) -> Vec<&str> {
    let env = params.kubeconfig_env.as_deref().unwrap_or_default();
    env.split(':').filter(|part| !part.trim().is_empty()).collect()
}

fn absolute(path: &str, what: &str, home: Option<&str>, cwd: Option<&str>) -> Result<String> {
    if path.chars().any(char::is_control) {
        bail!("{what}: {path:?} is not a path");
    }
    if path.ends_with('/') || path == "~" {
        bail!("{what}: {path} is a folder, a file is expected");
    }
    if path.starts_with('/') {
        return Ok(path.to_owned());
    }
    if let Some(rest) = path.strip_prefix("~/") {
        let home =
            home.with_context(|| format!("{what}: the home folder for {path} is not known; give home"))?;
        return Ok(format!("{}/{rest}", home.trim_end_matches('/')));
    }
    if path.starts_with('~') {
        bail!("{what}: {path}: the home folder of another user is not looked up; give the absolute path");
    }
    let cwd = cwd.with_context(|| {
        format!("{what}: {path} is relative, and the folder that it counts from is not known; give cwd")
    })?;
    Ok(format!(
        "{}/{}",
        cwd.trim_end_matches('/'),
        path.trim_start_matches("./")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Params;
    use serde_json::{Value, json};

    fn written(more: Value) -> Written {
        let mut options = json!({"state": "written", "content": "x", "cwd": "/srv/home", "home": "/home/a"});
        options
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        match serde_json::from_value(options).unwrap() {
            Params::Written(written) => written,
            Params::Read(_) => panic!(),
        }
    }

    fn found(more: Value) -> Result<Paths> {
        paths(&written(more), "k3s-n1", None)
    }

    #[test]
    fn the_first_path_of_kubeconfig_is_written() {
        let cases: [(&str, &str, &[&str]); 9] = [
            ("/a", "/a", &[]),
            ("/a:/b", "/a", &["/b"]),
            ("::/a::/b:", "/a", &["/b"]),
            (" :/a", "/a", &[]),
            ("~/.kube/config:/b", "/home/a/.kube/config", &["/b"]),
            ("kube/config", "/srv/home/kube/config", &[]),
            ("./config:../b", "/srv/home/config", &["/srv/home/../b"]),
            ("/a:/a:/b", "/a", &["/b"]),
            ("/with blank", "/with blank", &[]),
        ];
        for (env, dest, others) in cases {
            let paths = found(json!({"kubeconfig_env": env})).unwrap();
            assert_eq!(
                (paths.dest.as_str(), &paths.others[..]),
                (
                    dest,
                    &others.iter().map(ToString::to_string).collect::<Vec<_>>()[..]
                ),
                "{env}"
            );
            assert!(paths.is_found && paths.unmentioned.is_none(), "{env}");
        }
    }

    #[test]
    fn without_one_the_file_has_the_name_of_the_cluster() {
        for env in ["", ":", "::"] {
            let paths = found(json!({"kubeconfig_env": env})).unwrap();
            assert_eq!(paths.dest, "/home/a/.kube/k3s-n1.config");
            assert_eq!(paths.unmentioned.as_deref(), Some("/home/a/.kube/config"));
            assert!(!paths.is_found);
        }
    }

    #[test]
    fn dest_goes_before_it() {
        let cases = [
            (
                json!({"dest": "~/x", "kubeconfig_env": "/a:/b"}),
                "/home/a/x",
                false,
            ),
            (json!({"dest": "/a", "kubeconfig_env": "/a:/b"}), "/a", true),
            (json!({"dest": "x/y"}), "/srv/home/x/y", false),
            (json!({"dest": "~/.kube/config"}), "/home/a/.kube/config", true),
        ];
        for (options, dest, is_found) in cases {
            let paths = found(options.clone()).unwrap();
            assert_eq!(
                (paths.dest.as_str(), paths.is_found),
                (dest, is_found),
                "{options}"
            );
            assert!(paths.others.is_empty());
        }
    }

    #[test]
    fn refuses_other_destinations_than_files() {
        let cases = [
            (json!({"dest": "/a/"}), "dest: /a/ is a folder"),
            (json!({"dest": "~"}), "dest: ~ is a folder"),
            (
                json!({"dest": "~else/config"}),
                "dest: ~else/config: the home folder of another user",
            ),
            (json!({"dest": "a\nb"}), "dest: \"a\\nb\" is not a path"),
            (json!({"dest": "x", "cwd": null}), "dest: x is relative"),
            (
                json!({"dest": "~/x", "home": null}),
                "dest: the home folder for ~/x is not known",
            ),
            (
                json!({"kubeconfig_env": "/tmp/"}),
                "KUBECONFIG: /tmp/ is a folder",
            ),
            (json!({"home": null}), "finding the home folder"),
        ];
        for (options, words) in cases {
            let error = found(options.clone()).unwrap_err().to_string();
            assert!(error.starts_with(words), "{options}: {error}");
        }
    }

    #[test]
    fn the_home_folder_is_asked_for_only_where_it_matters() {
        for (options, needs) in [
            (json!({"dest": "/a"}), false),
            (json!({"dest": "~/a"}), true),
            (json!({"kubeconfig_env": "/a:/b"}), false),
            (json!({"kubeconfig_env": "/a:~/b"}), true),
            (json!({}), true),
        ] {
            assert_eq!(needs_home(&written(options.clone())), needs, "{options}");
        }
    }
}
