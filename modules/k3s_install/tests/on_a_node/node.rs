//! A node to install on: the lab's install script, and small programs that stand for systemd, curl and k3s.

use host::{Command, Host as _};
use std::fs;
use std::ops::Deref;
use std::time::Duration;
use testbed::Sandbox;

const PROGRAMS: &str = include_str!("programs.sh");
const INSTALL_SH: &str = include_str!("../../../../lab/release/files/install.sh");

/// The folders of a node that are moved under the sandbox's root.
const MOVED: [&str; 10] = [
    "/etc/systemd",
    "/etc/rancher",
    "/etc/default",
    "/etc/sysconfig",
    "/etc/lab",
    "/usr/local/bin",
    "/var/lib/homelab-k3s",
    "/var/lib/rancher",
    "/run/",
    "/proc/net",
];

pub(crate) struct Node(Sandbox);

impl Deref for Node {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

/// The lab's script with the address of the release server of these tests: that of July 2026, or one of "2025", which names
/// that address in `GITHUB_URL` and does not carry variables of kine.
pub(crate) fn script(era: &str) -> String {
    let script = INSTALL_SH.replace(
        "https://github.com/k3s-io/k3s/releases",
        "http://release.lab/releases",
    );
    if era == "2026" {
        return script;
    }
    let changes = [
        (
            "INSTALL_K3S_ARTIFACT_URL=${INSTALL_K3S_ARTIFACT_URL:-http://release.lab/releases/download}",
            "GITHUB_URL=${GITHUB_URL:-http://release.lab/releases}",
        ),
        (
            "echo \"$INSTALL_K3S_ARTIFACT_URL/$(echo \"$VERSION\" | sed 's/+/%2B/g')\"",
            "echo \"$GITHUB_URL/download/$VERSION\"",
        ),
        ("'^(K3S|CONTAINERD|KINE)_'", "'^(K3S|CONTAINERD)_'"),
    ];
    changes.iter().fold(script, |script, (new, old)| {
        assert!(script.contains(new), "the lab's script has no {new}");
        script.replace(new, old)
    })
}

impl Node {
    /// An empty node, and a release server with these versions. `era` is the install script's.
    pub(crate) fn new(era: &str, versions: &[&str]) -> Self {
        let node = Self(Sandbox::new(&MOVED, PROGRAMS));
        for folder in [
            "www",
            "usr/local/bin",
            "etc/systemd/system",
            "etc/rancher/k3s",
            "run/systemd/system",
            "proc/net",
            "etc/default",
        ] {
            node.make_folder(folder);
        }
        // It is a file to be installed, not a program of the node's.
        fs::rename(node.path("bin/k3s"), node.path("state/k3s")).unwrap();
        node.put(
            "proc/net/fib_trie",
            "     |-- 10.99.0.101\n        /32 host LOCAL\n",
        );
        node.put("www/install.sh", &node.moved(&script(era)));
        for version in versions {
            node.release(version);
        }
        node
    }

    pub(crate) fn binary(&self, version: &str) -> String {
        fs::read_to_string(self.path("state/k3s"))
            .unwrap()
            .replace("VERSION", version)
    }

    /// Puts a version and its sums on the release server.
    pub(crate) fn release(&self, version: &str) {
        self.release_as(version, version);
    }

    /// Puts the binary of one version where another one belongs.
    pub(crate) fn release_as(&self, version: &str, name: &str) {
        let folder = format!("www/releases/download/{name}");
        self.put(&format!("{folder}/k3s"), &self.binary(version));
        let output = std::process::Command::new("sha256sum")
            .arg(self.path(&format!("{folder}/k3s")))
            .output()
            .unwrap();
        let sum = String::from_utf8(output.stdout).unwrap();
        let sum = sum.split_whitespace().next().unwrap().to_owned();
        self.put(
            &format!("{folder}/sha256sum-amd64.txt"),
            &format!("{sum}  k3s\n{sum}  k3s-airgap\n"),
        );
    }

    /// Puts another binary in place, and restarts nothing.
    pub(crate) fn swap_by_hand(&self, version: &str) {
        self.put_program("usr/local/bin/k3s", &self.binary(version));
    }

    /// A PATH on which there is neither curl nor wget.
    pub(crate) fn without_downloaders(&self) {
        self.remove_file("bin/curl");
        let needed = [
            "sh",
            "cat",
            "sed",
            "head",
            "tail",
            "sha256sum",
            "stat",
            "df",
            "tr",
            "date",
            "grep",
            "flock",
            "cut",
            "touch",
        ];
        for name in needed {
            self.link_program(name);
        }
        self.bare.set(true);
    }

    /// Runs the install script by hand, as an operator does, and starts what it wrote.
    pub(crate) fn install_by_hand(&self, version: &str, exports: &str, args: &str) {
        self.swap_by_hand(version);
        let program = format!(
            "export INSTALL_K3S_SKIP_DOWNLOAD=true {exports}\nset -- {args}\n. \"$SANDBOX/www/install.sh\"\n"
        );
        let output = self.run(&Command::script(program)).unwrap();
        assert!(output.ok(), "{}", output.error_text());
        for mark in [
            "etc/rancher/k3s/k3s.yaml",
            "var/lib/rancher/k3s/agent/kubelet.kubeconfig",
        ] {
            self.put(mark, "");
        }
        if args.starts_with("server") {
            self.make_folder("var/lib/rancher/k3s/server/tls");
        }
        self.pass(Duration::from_mins(10));
        self.forget_counts();
    }
}
