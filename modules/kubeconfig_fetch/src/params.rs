//! What the user asks for: one of two halves, since the file is read on one machine and written on another.

use crate::server;
use ansible_module::defaults::{number, yes};
use cluster::{check_program, k3s_kubectl};
use host::Secret;
use k3s_certs::rotation::check_renew_before;
use k3s_types::mask;
use serde::Deserialize;

/// The options; see `kubeconfig_fetch.yml` for their words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Options")]
pub enum Params {
    Read(Read),
    Written(Written),
}

/// On the Proxmox host: the kubeconfig of a controller, renewed where need be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub vmid: Option<u32>,
    pub path: String,
    /// The server's own settings say it, where it is not given.
    pub data_dir: Option<String>,
    /// The address that goes into the file: a URL, or a host that gets the original's port.
    pub server: String,
    pub name: String,
    pub renew_before: u64,
    pub rotate_if_expired: bool,
    pub kubectl: Vec<String>,
    pub timeout: u64,
    pub lock_timeout: u64,
}

/// Where the playbook runs: that kubeconfig put into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub content: Secret,
    pub name: Option<String>,
    pub dest: Option<String>,
    pub kubeconfig_env: Option<String>,
    pub home: Option<String>,
    pub cwd: Option<String>,
    pub backup: bool,
    pub backup_keep: usize,
    pub verify: bool,
    pub verify_timeout: u64,
    /// Whether an entry of the cluster's name may be replaced although another authority is in it.
    pub replace: bool,
    pub lock_timeout: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Read,
    Written,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
struct Options {
    state: Wanted,
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    #[serde(default = "k3s_yaml")]
    path: String,
    data_dir: Option<String>,
    node_name: Option<String>,
    server: Option<String>,
    name: Option<String>,
    #[serde(default)]
    renew_before: u64,
    #[serde(default = "yes")]
    rotate_if_expired: bool,
    #[serde(default = "k3s_kubectl")]
    kubectl: Vec<String>,
    // A server with embedded etcd on a slow disk is back within two.
    #[serde(default = "number::<300, _>")]
    timeout: u64,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
    content: Option<Secret>,
    dest: Option<String>,
    kubeconfig_env: Option<String>,
    home: Option<String>,
    cwd: Option<String>,
    #[serde(default = "yes")]
    backup: bool,
    #[serde(default = "number::<5, _>")]
    backup_keep: usize,
    #[serde(default = "yes")]
    verify: bool,
    #[serde(default = "number::<5, _>")]
    verify_timeout: u64,
    #[serde(default)]
    replace: bool,
}

fn k3s_yaml() -> String {
    "/etc/rancher/k3s/k3s.yaml".to_owned()
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        if let Some(name) = &options.name {
            check_name("name", name)?;
        }
        match options.state {
            Wanted::Read => options.read().map(Self::Read),
            Wanted::Written => options.written().map(Self::Written),
        }
    }
}

impl Options {
    fn read(self) -> Result<Read, String> {
        if self.content.is_some() || self.dest.is_some() {
            return Err(
                "content and dest: are for state: written, on the machine that gets the file".to_owned(),
            );
        }
        let data_dir = self.data_dir.iter().map(|path| ("data_dir", path));
        for (option, path) in data_dir.chain([("path", &self.path)]) {
            if !path.starts_with('/') {
                return Err(format!("{option}: {path} is not an absolute path"));
            }
        }
        check_program(&self.kubectl)?;
        check_renew_before(self.renew_before)?;
        let name = match (self.name, &self.node_name) {
            (Some(name), _) => name,
            (None, Some(node)) => format!("k3s-{node}"),
            (None, None) => return Err("name: is needed where node_name is not given".to_owned()),
        };
        check_name("node_name", &name)?;
        let option = if self.server.is_some() {
            "server"
        } else {
            "node_name"
        };
        let Some(server) = self.server.or(self.node_name) else {
            return Err("server: is needed where node_name is not given".to_owned());
        };
        if mask::has_login(&server) {
            return Err(format!(
                "{option}: {} {}",
                mask::address(&server),
                mask::LOGIN_REFUSED
            ));
        }
        server::at(&server, server::USUAL_PORT, option).map_err(|error| format!("{error:#}"))?;
        Ok(Read {
            vmid: self.vmid,
            path: self.path,
            data_dir: self.data_dir,
            server,
            name,
            renew_before: self.renew_before,
            rotate_if_expired: self.rotate_if_expired,
            kubectl: self.kubectl,
            timeout: self.timeout,
            lock_timeout: self.lock_timeout,
        })
    }

    fn written(self) -> Result<Written, String> {
        if self.vmid.is_some() {
            return Err(
                "vmid: is for state: read; state: written works on the machine where its task runs"
                    .to_owned(),
            );
        }
        let Some(content) = self.content.filter(|content| !content.expose().trim().is_empty()) else {
            return Err("content: is needed for state: written: what state: read has returned".to_owned());
        };
        if self.backup_keep == 0 {
            return Err("backup_keep: must be at least 1; backup: false makes none".to_owned());
        }
        if self.verify_timeout == 0 {
            return Err("verify_timeout: must be at least 1 second; verify: false asks nobody".to_owned());
        }
        for (option, folder) in [("home", &self.home), ("cwd", &self.cwd)] {
            if let Some(folder) = folder.as_ref().filter(|folder| !folder.starts_with('/')) {
                return Err(format!("{option}: {folder} is not an absolute path"));
            }
        }
        Ok(Written {
            content,
            name: self.name,
            dest: self.dest,
            kubeconfig_env: self.kubeconfig_env,
            home: self.home,
            cwd: self.cwd,
            backup: self.backup,
            backup_keep: self.backup_keep,
            verify: self.verify,
            verify_timeout: self.verify_timeout,
            replace: self.replace,
            lock_timeout: self.lock_timeout,
        })
    }
}

/// It becomes the name of a file, and a word of commands.
fn check_name(option: &str, name: &str) -> Result<(), String> {
    let word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(word) {
        return Err(format!(
            "{option}: {name:?} may hold only letters, digits, `.`, `_` and `-`"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(options: Value) -> Result<Params, String> {
        serde_json::from_value(options).map_err(|error| error.to_string())
    }

    #[test]
    fn the_name_and_the_address_follow_the_node() {
        let Params::Read(params) = read(json!({"state": "read", "node_name": "k3s-1"})).unwrap() else {
            panic!()
        };
        assert_eq!(
            (params.name.as_str(), params.server.as_str()),
            ("k3s-k3s-1", "k3s-1")
        );
        let given = json!({"state": "read", "node_name": "k3s-1", "server": "https://api.example.net", "name": "home"});
        let Params::Read(params) = read(given).unwrap() else {
            panic!()
        };
        assert_eq!(
            (params.name.as_str(), params.server.as_str()),
            ("home", "https://api.example.net")
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let cases = [
            (json!({"state": "read"}), "name: is needed"),
            (json!({"state": "read", "name": "x"}), "server: is needed"),
            (json!({"state": "read", "node_name": "a b"}), "node_name: "),
            (
                json!({"state": "read", "node_name": "n", "name": "../x"}),
                "name: ",
            ),
            (
                json!({"state": "read", "node_name": "n", "server": "https://me:pw-1@api.example:6443"}),
                "server: https://********@api.example:6443 has a login in it",
            ),
            (
                json!({"state": "read", "node_name": "n", "server": "http://x"}),
                "server: ",
            ),
            (
                json!({"state": "read", "node_name": "n", "path": "k3s.yaml"}),
                "path: ",
            ),
            (
                json!({"state": "read", "node_name": "n", "data_dir": "x"}),
                "data_dir: ",
            ),
            (
                json!({"state": "read", "node_name": "n", "kubectl": []}),
                "kubectl: ",
            ),
            (
                json!({"state": "read", "node_name": "n", "renew_before": 365}),
                "renew_before: k3s signs a certificate for 365 days",
            ),
            (
                json!({"state": "read", "node_name": "n", "content": "x"}),
                "content and dest: ",
            ),
            (
                json!({"state": "read", "node_name": "n", "dest": "x"}),
                "content and dest: ",
            ),
            (json!({"state": "written"}), "content: "),
            (json!({"state": "written", "content": " "}), "content: "),
            (json!({"state": "written", "content": "x", "vmid": 101}), "vmid: "),
            (
                json!({"state": "written", "content": "x", "backup_keep": 0}),
                "backup_keep: ",
            ),
            (
                json!({"state": "written", "content": "x", "verify_timeout": 0}),
                "verify_timeout: ",
            ),
            (json!({"state": "written", "content": "x", "home": "~"}), "home: "),
            (json!({"state": "written", "content": "x", "cwd": "."}), "cwd: "),
            (json!({"state": "fetched"}), "unknown variant"),
        ];
        for (options, words) in cases {
            let error = read(options.clone()).unwrap_err();
            assert!(error.contains(words), "{options}: {error}");
        }
    }
}
