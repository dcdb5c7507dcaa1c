//! A Proxmox host made of files: `pct` is pointed at it instead of at the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(crate) struct Host {
    folder: TempDir,
}

pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs what stands behind `--`, in the environment that LXC would leave.
const ATTACH: &str = r#"#!/bin/sh
clear=
while [ "$1" != -- ]; do [ "$1" = --clear-env ] && clear=1; shift; [ $# -gt 0 ] || exec sh; done
shift
cd ROOT/container
if [ "$clear" ]; then
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=lxc TERM=linux "$@"
fi
exec env container=lxc TERM=linux "$@"
"#;
pub(crate) const START: &str =
    "#!/bin/sh\necho \"0: 2 0 10000 1 1 5 @/var/lib/lxc/$2/command\" >> ROOT/proc/net/unix\n";
pub(crate) const STOP: &str =
    "#!/bin/sh\nprintf '%s\\n' \"$*\" >> ROOT/stops\nsed -i \"/lxc.$2.command/d\" ROOT/proc/net/unix\n";
const INFO: &str = "#!/bin/sh\necho 4242\n";
const NOTHING: &str = "#!/bin/sh\nexit 0\n";

impl Host {
    pub(crate) fn new() -> Self {
        let host = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for folder in [
            "etc/pve/nodes/pve/lxc",
            "etc/pve/nodes/pve2/lxc",
            "proc/net",
            "proc/4242/root/etc",
            "run/lock/lxc",
            "run/homelab-lab/faults",
            "var/lib/lxc",
            "bin",
            "container",
        ] {
            fs::create_dir_all(host.path(folder)).unwrap();
        }
        host.write("etc/hostname", "pve\n");
        host.write(
            "proc/net/unix",
            "Num RefCount Protocol Flags Type St Inode Path\n",
        );
        host.write(
            "proc/4242/root/etc/passwd",
            "root:x:0:0::/root:/bin/sh\nkim:x:1234:1235::/:/bin/sh\n",
        );
        host.write("proc/4242/root/etc/group", "root:x:0:\nkims:x:1235:\n");
        for (name, script) in [
            ("lxc-attach", ATTACH),
            ("lxc-start", START),
            ("lxc-stop", STOP),
            ("lxc-info", INFO),
            ("lxc-freeze", NOTHING),
            ("lxc-unfreeze", NOTHING),
        ] {
            host.program(name, script);
        }
        host
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        fs::write(self.path(relative), text).unwrap();
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap()
    }

    pub(crate) fn program(&self, name: &str, script: &str) {
        self.install(
            name,
            &script.replace("ROOT", self.folder.path().to_str().unwrap()),
        );
    }

    /// Another process writes the program: a child that another test starts meanwhile would keep this one's file open, and a
    /// program that is open for writing cannot be run.
    pub(crate) fn install(&self, name: &str, script: &str) {
        let text = self.path("bin").join(format!("{name}.text"));
        fs::write(&text, script).unwrap();
        let program = self.path("bin").join(name);
        let install = Command::new("install")
            .args([Path::new("-m755"), &text, &program])
            .status();
        assert!(install.unwrap().success());
        fs::remove_file(text).unwrap();
    }

    pub(crate) fn stopped(self, vmid: &str) -> Self {
        self.conf(vmid, "")
    }

    pub(crate) fn running(self, vmid: &str) -> Self {
        let host = self.conf(vmid, "");
        let table =
            host.read("proc/net/unix") + &format!("0: 2 0 10000 1 1 5 @/var/lib/lxc/{vmid}/command\n");
        host.write("proc/net/unix", &table);
        host
    }

    pub(crate) fn conf(self, vmid: &str, more: &str) -> Self {
        let text = format!("arch: amd64\nhostname: k3s-1\nmemory: 512\n{more}");
        self.write(&format!("etc/pve/nodes/pve/lxc/{vmid}.conf"), &text);
        self
    }

    pub(crate) fn conf_of(&self, vmid: &str) -> String {
        self.read(&format!("etc/pve/nodes/pve/lxc/{vmid}.conf"))
    }

    pub(crate) fn faults(self, vmid: &str, json: &str) -> Self {
        self.write(&format!("run/homelab-lab/faults/{vmid}.json"), json);
        self
    }

    pub(crate) fn command(&self) -> assert_cmd::Command {
        let mut command = assert_cmd::Command::cargo_bin("pct").unwrap();
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("LAB_PCT_ROOT", self.folder.path())
            .env("LAB_PCT_PROGRAMS", self.path("bin"))
            .current_dir(self.folder.path());
        command
    }

    pub(crate) fn pct(&self, arguments: &[&str]) -> Said {
        said(self.command().args(arguments))
    }
}

pub(crate) fn said(command: &mut assert_cmd::Command) -> Said {
    let output = command.output().unwrap();
    Said {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Said {
    /// Everything at once: a stand-in is right only if code and both streams are.
    #[track_caller]
    pub(crate) fn is(&self, code: i32, stdout: &str, stderr: &str) {
        assert_eq!(
            (self.code, self.stdout.as_str(), self.stderr.as_str()),
            (code, stdout, stderr)
        );
    }
}

/// A lock file that is busy until this is dropped.
pub(crate) struct Busy(fs::File);

pub(crate) fn hold(path: &Path) -> Busy {
    let file = fs::File::options().create(true).append(true).open(path).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    Busy(file)
}

impl Drop for Busy {
    fn drop(&mut self) {
        // To close it is not enough: a child that another test starts just now has the file open too, for a moment.
        rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock).unwrap();
    }
}
