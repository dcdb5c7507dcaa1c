//! A machine to install on: its folders, its few tools, and what became of a run.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::Server;

/// The run does not concern the download.
pub(crate) const SKIP: (&str, &str) = ("INSTALL_K3S_SKIP_DOWNLOAD", "true");

/// All that the script may find: the machine's own kubectl or crictl would change what it does.
const TOOLS: &str = "sh bash env id sed grep cat touch rm mktemp sha256sum cut head tail uname chmod chown mv ln ls tee \
                     install sleep find curl";
pub(crate) const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/files/install.sh");

/// A machine to install on: folders for binaries and units, and a PATH with fakes first.
pub(crate) struct Machine {
    pub(crate) server: Server,
    pub(crate) root: TempDir,
    pub(crate) tools: PathBuf,
}

pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let root = TempDir::new().unwrap();
        let tools = root.path().join("tools");
        for folder in ["bin", "units", "tools", "tmp"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let machine = Self {
            server: Server::start(),
            root,
            tools,
        };
        TOOLS.split(' ').for_each(|name| machine.link(name));
        machine.tool("systemctl", "echo \"$@\" >> \"$LOG\"; exit ${SYSTEMCTL_RC:-0}");
        // The machine's own rules must not be touched by a test.
        for name in ["iptables", "ip6tables"] {
            machine.tool(&format!("{name}-save"), "printf '%s\\n' KUBE-X flannel.1 keep");
            machine.tool(&format!("{name}-restore"), &format!("cat > \"$LOG.{name}\""));
        }
        machine
    }

    pub(crate) fn tool(&self, name: &str, body: &str) {
        let path = self.tools.join(name);
        // Never through a link: it would be the machine's own program that is overwritten.
        fs::remove_file(&path).unwrap_or_default();
        testbed::write_programs([(path, format!("#!/bin/sh\n{body}\n").as_str())]);
    }

    pub(crate) fn link(&self, name: &str) {
        let real = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
        let real = real
            .iter()
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("looking for {name}: not installed"));
        let link = self.tools.join(name);
        if !link.exists() {
            symlink(real, link).unwrap();
        }
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.root.path().join(inside)
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_else(|error| panic!("reading {inside}: {error}"))
    }

    pub(crate) fn has(&self, inside: &str) -> bool {
        self.path(inside).symlink_metadata().is_ok()
    }

    /// The calls of systemctl since the last look.
    pub(crate) fn systemctl_calls(&self) -> Vec<String> {
        let log = self.path("log");
        let calls = fs::read_to_string(&log)
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect();
        let _ = fs::remove_file(&log);
        calls
    }

    pub(crate) fn command(&self, shell: &str, environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(shell);
        command
            .env_clear()
            .env("PATH", &self.tools)
            .env("LOG", self.path("log"))
            .env("TMPDIR", self.path("tmp"))
            .env("LAB_PAUSE_FILE", self.path("pause"))
            .env("INSTALL_K3S_BIN_DIR", self.path("bin"))
            .env("INSTALL_K3S_SYSTEMD_DIR", self.path("units"))
            .env("INSTALL_K3S_CHANNEL_URL", self.server.url("/v1-release/channels"))
            .env("INSTALL_K3S_ARTIFACT_URL", self.server.url("/releases/download"))
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, environment: &[(&str, &str)], args: &[&str]) -> Ran {
        ran(&self
            .command("sh", environment)
            .arg(SCRIPT)
            .args(args)
            .output()
            .unwrap())
    }

    /// A binary put in place by hand, as the recorded runs had it.
    pub(crate) fn with_binary(self) -> Self {
        testbed::write_programs([(self.path("bin/k3s"), "#!/bin/sh\n")]);
        self
    }

    pub(crate) fn local(&self, text: &str) -> String {
        text.replace("BIN", self.path("bin").to_str().unwrap())
            .replace("UNITS", self.path("units").to_str().unwrap())
    }
}

pub(crate) fn ran(output: &Output) -> Ran {
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
