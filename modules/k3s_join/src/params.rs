//! What the user asks for.

pub use answers::etcd::Member;

use crate::server::Server;
use ansible_module::defaults::{number, yes};
use answers::given;
use host::Secret;
use k3s_node::Role;
use k3s_types::K3sVersion;
use serde::Deserialize;
use serde_json::Value;

/// The options; see `k3s_join.yml` for their words.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Options")]
pub struct Params {
    pub vmid: Option<u32>,
    pub role: Role,
    pub wanted: Wanted,
    pub lock_timeout: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    Read { url: Option<String> },
    Prepared(Box<Joining>),
    Explained,
}

/// What is known when a node is prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct Joining {
    pub node_name: String,
    pub server: Server,
    pub token: Secret,
    pub agent_token: Option<Secret>,
    pub version: K3sVersion,
    pub members: Vec<Member>,
    pub discard: bool,
    pub fail_on_refusal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Goal {
    Read,
    Prepared,
    Explained,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(alias = "pct_id")]
    vmid: Option<u32>,
    state: Goal,
    role: Role,
    url: Option<String>,
    node_name: Option<String>,
    server: Option<Server>,
    token: Option<Secret>,
    agent_token: Option<Secret>,
    version: Option<String>,
    #[serde(default)]
    members: Vec<Value>,
    #[serde(default)]
    discard: bool,
    #[serde(default = "yes")]
    fail_on_refusal: bool,
    #[serde(default = "number::<600, _>")]
    lock_timeout: u64,
}

impl TryFrom<Options> for Params {
    type Error = String;

    fn try_from(options: Options) -> Result<Self, String> {
        let (vmid, role, lock_timeout) = (options.vmid, options.role, options.lock_timeout);
        let wanted = match options.state {
            Goal::Read => Wanted::Read {
                url: url(options.url)?,
            },
            Goal::Prepared => Wanted::Prepared(Box::new(joining(options)?)),
            Goal::Explained => Wanted::Explained,
        };
        Ok(Self {
            vmid,
            role,
            wanted,
            lock_timeout,
        })
    }
}

/// It goes into a file and to programs of the node: only what a URL of a server is made of.
fn url(given: Option<String>) -> Result<Option<String>, String> {
    let Some(url) = given.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let url = url.trim_end_matches('/');
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':' | '[' | ']');
    let fits = url
        .strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty() && rest.chars().all(letter));
    if !fits {
        return Err(format!(
            "url: {url:?} is none of a server, such as https://k3s-controller-1:6443"
        ));
    }
    Ok(Some(url.to_owned()))
}

fn joining(options: Options) -> Result<Joining, String> {
    fn needed<T>(name: &str, value: Option<T>) -> Result<T, String> {
        value.ok_or_else(|| format!("{name}: is needed with state=prepared"))
    }
    let token = options.token.filter(|token| !token.expose().is_empty());
    let version = needed("version", options.version)?;
    let server = needed("server", options.server)?;
    url(Some(server.url.clone()))?;
    Ok(Joining {
        node_name: needed("node_name", options.node_name.filter(|name| !name.is_empty()))?,
        server,
        token: needed("token", token)?,
        agent_token: options.agent_token.filter(|token| !token.expose().is_empty()),
        version: version.parse().map_err(|error| format!("version: {error}"))?,
        members: given::list("members", options.members)?,
        discard: options.discard,
        fail_on_refusal: options.fail_on_refusal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(more: Value) -> Result<Params, String> {
        let mut all = json!({"vmid": 102, "state": "prepared", "role": "server", "node_name": "n2", "token": "t",
            "version": "v1.31.4+k3s1", "server": {"url": "https://10.0.0.1:6443", "version": "v1.31.4+k3s1", "datastore": "etcd",
            "ca": "", "settings": {}}});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_needed_is_named() {
        assert!(read(json!({})).is_ok());
        for name in ["node_name", "token", "version", "server"] {
            let error = read(json!({name: null})).unwrap_err();
            assert!(error.starts_with(&format!("{name}: is needed")), "{error}");
        }
        let read_needs_nothing =
            json!({"state": "read", "node_name": null, "token": null, "version": null, "server": null});
        assert!(read(read_needs_nothing).is_ok());
    }

    #[test]
    fn names_the_option_that_is_invalid() {
        for (more, words) in [
            (json!({"version": "1.31"}), "version: "),
            (json!({"server": {"token": "x"}}), "unknown field"),
            (json!({"members": [1]}), "members: number 1"),
        ] {
            let error = read(more).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        for bad in ["http://a", "https://", "https://a b", "https://a'", "a:6443"] {
            let error = read(json!({"state": "read", "url": bad})).unwrap_err();
            assert!(error.starts_with("url: "), "{error}");
        }
        let good = read(json!({"state": "read", "url": "https://[2001:db8::1]:6443/"})).unwrap();
        assert_eq!(
            good.wanted,
            Wanted::Read {
                url: Some("https://[2001:db8::1]:6443".to_owned())
            }
        );
    }
}
