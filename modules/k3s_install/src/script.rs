//! The programs that run in the container: their input as variables, then their text. All of it travels by
//! standard input, so no argument, token or record shows in a list of processes, inside or outside.

use crate::params::{Params, Script};
use crate::record;
use host::{Command, quote};
use k3s_node::changes::parent;
use k3s_node::{Changes, FOLDER, Setup, env_file, keep, unit, words};
use k3s_types::K3sVersion;
use std::fmt::{self, Write as _};
use std::time::Duration;

/// The script itself writes a few files; with `prefetch: false` it downloads too, and then gets that time as well.
const SCRIPT_LIMIT: Duration = Duration::from_mins(2);

/// What is to be fetched.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Fetch {
    pub(crate) script: bool,
    pub(crate) binary: bool,
    pub(crate) path: String,
    /// Proxy settings of the node's own environment.
    pub(crate) proxies: Vec<(String, String)>,
}

/// Without the proxies: their addresses may have a password.
impl fmt::Debug for Fetch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetch")
            .field("script", &self.script)
            .field("binary", &self.binary)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Where the script comes from.
pub(crate) fn source(params: &Params) -> &str {
    let (Script::Url(from) | Script::Path(from)) = &params.script;
    from
}

/// What a fetched script is known by: where it came from, and the sum that was asked for.
pub(crate) fn source_mark(params: &Params) -> String {
    let sum = params.script_sha256.as_deref().unwrap_or("any");
    format!("{} {sum}", source(params))
}

pub(crate) fn save(params: &Params, binary: &str, record: &str) -> Command {
    keep(binary, params.lock_timeout, record::FILE, record)
}

/// Puts the staged binary in place of the old one. Where it is not what was verified, nothing is changed.
pub(crate) fn swap(params: &Params, binary: &str, staged: &str) -> Command {
    let gone = format!("{staged} is gone: run this again");
    let other =
        format!("{staged} is not what was verified when it was downloaded; it was removed: run this again");
    Changes::new()
        .require_file(staged, &gone)
        .require_sum(staged, staged_sum(staged), &other)
        .put_in_place(staged, binary)
        .restore_label(binary)
        .command(params.lock_timeout, Command::USUAL_LIMIT)
}

/// The sum that a staged file was verified with, which its name holds.
fn staged_sum(staged: &str) -> &str {
    let parts = staged
        .strip_suffix(".staged")
        .and_then(|name| name.rsplit_once('.'));
    parts.map_or("", |(_, sum)| sum)
}

/// The run of the install script, and what it does not carry. `have_binary`: it is in place, and the script downloads nothing. `links`:
/// it makes kubectl, crictl and ctr of k3s.
pub(crate) fn install(params: &Params, setup: &Setup, have_binary: bool, links: bool) -> Command {
    let script = script_path();
    let gone = format!("the install script is gone from {FOLDER}: run this again");
    let changes = Changes::new()
        .require_file(&script, &gone)
        .run_script(&inputs(params, setup, have_binary, links), &script);
    let changes = match &setup.env {
        Some(text) => changes.write(&unit::env_path(&setup.name), 0o600, text),
        None => changes,
    };
    let changes = if setup.enabled {
        changes
    } else {
        changes.enabled(&setup.name, false)
    };
    let download = if have_binary {
        0
    } else {
        2 * params.download_timeout
    };
    let limit = SCRIPT_LIMIT + Duration::from_secs(download);
    changes
        .reload()
        .settle(parent(&unit::path("")))
        .command(params.lock_timeout, limit)
}

/// Where the fetched script lies.
pub(crate) fn script_path() -> String {
    format!("{FOLDER}/install.sh")
}

/// By which it is known again; without it, it is fetched anew.
pub(crate) fn source_path() -> String {
    format!("{}.source", script_path())
}

/// Has the next run fetch the script again: it may have been the script's fault.
pub(crate) fn forget_script(params: &Params) -> Command {
    Changes::new()
        .remove(&[&source_path()])
        .command(params.lock_timeout, Command::USUAL_LIMIT)
}

/// What the script is passed, as the first lines of its own program.
fn inputs(params: &Params, setup: &Setup, have_binary: bool, links: bool) -> String {
    let mut text = String::new();
    let mut export = |key: &str, value: &str| {
        let _ = writeln!(text, "export {key}={}", quote(value));
    };
    export("INSTALL_K3S_VERSION", &params.version.to_string());
    export("INSTALL_K3S_SKIP_START", "true");
    // It would add a package repository; a container has no SELinux of its own, and a host's policy is the host's.
    export("INSTALL_K3S_SKIP_SELINUX_RPM", "true");
    export("INSTALL_K3S_BIN_DIR", folder_of(&setup.binary));
    if have_binary {
        export("INSTALL_K3S_SKIP_DOWNLOAD", "true");
    }
    if let Ok(Some(name)) = setup.script_name() {
        export("INSTALL_K3S_NAME", name);
    }
    // Whoever installed it without wanted none.
    if !links {
        export("INSTALL_K3S_SYMLINK", "skip");
    }
    if let Some(url) = &params.download_url {
        // Scripts since 2026 ask for the second and warn about the first, which older ones ask for.
        export("GITHUB_URL", url);
        export("INSTALL_K3S_ARTIFACT_URL", &format!("{url}/download"));
    }
    for (key, value) in setup
        .variables()
        .iter()
        .filter(|(key, _)| env_file::is_carried(key))
    {
        export(key, value);
    }
    text.push_str("set -- ");
    text.push_str(setup.role.word());
    for arg in &setup.args {
        text.push(' ');
        text.push_str(&quote(&words::for_script(arg)));
    }
    text
}

pub(crate) fn folder_of(binary: &str) -> &str {
    binary
        .rsplit_once('/')
        .map_or("/usr/local/bin", |(folder, _)| folder)
}

/// `record`: the text that says that the files are proven, where there is a record; it is written first.
pub(crate) fn restart(params: &Params, setup: &Setup, record: Option<&str>) -> Command {
    let changes = Changes::new();
    let changes = match record {
        Some(text) => changes.write(&format!("{FOLDER}/{}", record::FILE), 0o600, text),
        None => changes,
    };
    let changes = changes.reload().restart(&setup.name);
    changes.command(params.lock_timeout, Command::USUAL_LIMIT)
}

/// Puts unit and environment file back; restarts nothing. `unit` is the unit's old text; `intruder` a unit that was not there before.
pub(crate) fn restore(params: &Params, setup: &Setup, unit: &str, intruder: Option<&str>) -> Command {
    // It was the script's fault, or may have been: the next run fetches it again.
    let changes = Changes::new().remove(&[&source_path()]);
    let changes = match intruder {
        Some(name) => changes
            .enabled(name, false)
            .remove(&[&unit::path(name), &unit::env_path(name)]),
        None => changes,
    };
    let changes = match &setup.env {
        Some(text) => changes.write(&unit::env_path(&setup.name), 0o600, text),
        None => changes,
    };
    changes
        .write(&unit::path(&setup.name), 0o644, unit)
        .enabled(&setup.name, setup.enabled)
        .reload()
        .settle(parent(&unit::path("")))
        .command(params.lock_timeout, Command::USUAL_LIMIT)
}

/// The proof holds: nothing of ours stays. The record goes last, so that a run that ends early here is begun again.
pub(crate) fn drop_record(params: &Params, binary: &str) -> Command {
    let bin = folder_of(binary);
    Changes::new()
        .remove(&[&script_path(), &source_path()])
        .remove_matching(FOLDER, "*.part")
        .remove_matching(bin, ".k3s-*.staged")
        .remove_matching(bin, ".k3s-*.part")
        .remove_matching(parent(&unit::path("")), "k3s*.service*.part")
        .settle(bin)
        .remove(&[&format!("{FOLDER}/{}", record::FILE)])
        .remove_empty(&[FOLDER])
        .settle(parent(FOLDER))
        .command(params.lock_timeout, Command::USUAL_LIMIT)
}

pub(crate) fn journal(unit: &str) -> Command {
    Command::new(["journalctl", "-u", unit, "-n", "15", "--no-pager", "-o", "cat"])
}

/// The file that a fetch leaves for a version, if it is among these.
pub(crate) fn staged_for<'a>(version: &K3sVersion, staged: &'a [String]) -> Option<&'a String> {
    let begin = format!(".k3s-{version}.");
    staged.iter().find(|path| {
        path.rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with(&begin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k3s_node::Role;
    use serde_json::json;

    fn params() -> Params {
        serde_json::from_value(
            json!({"version": "v1.31.5+k3s1", "download_url": "http://10.99.0.1:8080/releases/"}),
        )
        .unwrap()
    }

    fn setup() -> Setup {
        Setup {
            role: Role::Agent,
            name: Role::Agent.unit().to_owned(),
            binary: "/opt/bin/k3s".to_owned(),
            args: ["--token", "s3cr3t", "--kubelet-arg=a  b", "it's"]
                .map(str::to_owned)
                .into(),
            unit: Some("[Service]\n".to_owned()),
            env: Some("K3S_URL=https://a:6443\nGOGC=50\n".to_owned()),
            enabled: true,
        }
    }

    #[test]
    fn the_script_gets_its_inputs_and_nothing_of_them_is_an_argument() {
        let command = install(&params(), &setup(), true, true);
        assert_eq!(command.argv, ["/bin/sh", "-s"]);
        let expected = "export INSTALL_K3S_VERSION='v1.31.5+k3s1'
export INSTALL_K3S_SKIP_START='true'
export INSTALL_K3S_SKIP_SELINUX_RPM='true'
export INSTALL_K3S_BIN_DIR='/opt/bin'
export INSTALL_K3S_SKIP_DOWNLOAD='true'
export GITHUB_URL='http://10.99.0.1:8080/releases'
export INSTALL_K3S_ARTIFACT_URL='http://10.99.0.1:8080/releases/download'
export K3S_URL='https://a:6443'
set -- agent '--token' 's3cr3t' '--kubelet-arg=a\\x20\\x20b' 'it'\\''s'";
        assert_eq!(inputs(&params(), &setup(), true, true), expected);
        assert!(!inputs(&params(), &setup(), false, true).contains("SKIP_DOWNLOAD"));
        let node = Setup {
            name: "k3s-node.service".to_owned(),
            ..setup()
        };
        let text = inputs(&params(), &node, true, false);
        assert!(
            text.contains("INSTALL_K3S_NAME='node'\n") && text.contains("INSTALL_K3S_SYMLINK='skip'\n"),
            "{text}"
        );
    }

    /// What a program says that runs on a node.
    fn text(command: &Command) -> String {
        String::from_utf8(command.stdin.clone()).unwrap()
    }

    #[test]
    fn what_the_script_does_not_carry_is_put_back() {
        let disabled = Setup {
            enabled: false,
            ..setup()
        };
        let other = text(&install(&params(), &disabled, true, true));
        assert!(other.contains("systemctl disable 'k3s-agent.service'"));
        let unit = text(&install(&params(), &setup(), true, true));
        assert!(!unit.contains("systemctl disable"));
        let env =
            "write '/etc/systemd/system/k3s-agent.service.env' 600 'K3S_URL=https://a:6443\nGOGC=50\n'\n";
        assert!(unit.contains(env), "{unit}");
        let bare = Setup { env: None, ..setup() };
        assert!(!text(&install(&params(), &bare, true, true)).contains("write '/etc"));
    }

    #[test]
    fn a_staged_binary_is_verified_by_the_sum_in_its_name() {
        let staged = "/opt/bin/.k3s-v1.31.5+k3s1.0a1b.staged";
        let swap = text(&swap(&params(), "/opt/bin/k3s", staged));
        assert!(swap.contains("= '0a1b  -'"), "{swap}");
        assert_eq!(staged_sum("/opt/bin/k3s"), "");
    }

    #[test]
    fn a_staged_file_is_known_by_its_version() {
        let staged = [
            "/usr/local/bin/.k3s-v1.31.5+k3s1.abc.staged".to_owned(),
            "/usr/local/bin/.k3s-v1.31.50+k3s1.abc.staged".to_owned(),
        ];
        assert_eq!(
            staged_for(&"v1.31.50+k3s1".parse().unwrap(), &staged),
            Some(&staged[1])
        );
        assert_eq!(staged_for(&"v1.31.4+k3s1".parse().unwrap(), &staged), None);
    }

    #[test]
    fn shows_no_proxy_when_it_is_printed() {
        let proxies = vec![("HTTPS_PROXY".to_owned(), "http://me:secret@proxy".to_owned())];
        let fetch = Fetch {
            script: true,
            binary: true,
            path: "/tmp".to_owned(),
            proxies,
        };
        assert!(!format!("{fetch:?}").contains("secret"), "{fetch:?}");
    }
}
