//! A node to install on: a folder as its root, real `/bin/sh`, the lab's install script, and small programs in the
//! place of systemd, curl and k3s. The module's own programs run as they are, with their paths moved to the folder;
//! what they print has the paths moved back. Any changing program of theirs can be the one that gets killed.

use anyhow::{Result, anyhow};
use host::{Command, FileToWrite, Held, Host, LockRequest, Output};
use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const PROGRAMS: &str = include_str!("programs.sh");
const INSTALL_SH: &str = include_str!("../../../../lab/release/files/install.sh");
const START: u64 = 1_795_366_949;

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

/// What changes a node: before each of these a kill is tried.
const CHANGING: [&str; 9] = [
    "mv", "rm", "rmdir", "chmod", "mkdir", "tee", "install", "ln", "cp",
];

pub(crate) struct Node {
    root: TempDir,
    elapsed: Cell<Duration>,
    /// Before which changing program to kill everything; 0: never.
    pub(crate) kill_at: Cell<u32>,
    /// After how many commands the module itself is gone; 0: never.
    pub(crate) die_after: Cell<u32>,
    runs: Cell<u32>,
    dead: Cell<bool>,
    unique: Cell<u32>,
    bare: Cell<bool>,
    /// What the node has as /bin/sh.
    pub(crate) shell: Cell<&'static str>,
    /// Standard input of each command, for a look at what was asked.
    pub(crate) fed: RefCell<Vec<String>>,
}

/// The lab's script with the address of the release server of these tests.
pub(crate) fn script(era: &str) -> String {
    let script = INSTALL_SH
        .replace(
            "https://github.com/k3s-io/k3s/releases",
            "http://release.lab/releases",
        )
        .replace("SCRIPT_ERA:-2021", &format!("SCRIPT_ERA:-{era}"));
    if era == "2021" {
        return script;
    }
    script.replace(
        "GITHUB_URL=${GITHUB_URL:-http://release.lab/releases}",
        "INSTALL_K3S_ARTIFACT_URL=${INSTALL_K3S_ARTIFACT_URL:-http://release.lab/releases/download}",
    )
}

impl Node {
    /// An empty node, and a release server with these versions. `era` is the install script's.
    pub(crate) fn new(era: &str, versions: &[&str]) -> Self {
        let node = Self {
            root: tempfile::tempdir().unwrap(),
            elapsed: Cell::default(),
            kill_at: Cell::default(),
            die_after: Cell::default(),
            runs: Cell::default(),
            dead: Cell::default(),
            unique: Cell::default(),
            bare: Cell::default(),
            shell: Cell::new("/bin/sh"),
            fed: RefCell::default(),
        };
        for folder in [
            "bin",
            "state",
            "www",
            "usr/local/bin",
            "etc/systemd/system",
            "etc/rancher/k3s",
            "run/systemd/system",
            "proc/net",
            "etc/default",
        ] {
            fs::create_dir_all(node.path(folder)).unwrap();
        }
        node.put(
            "proc/net/fib_trie",
            "     |-- 10.99.0.101\n        /32 host LOCAL\n",
        );
        node.put("state/count", "0\n");
        let common = r#"now() { read -r n <"$SANDBOX/state/clock"; echo "$n"; }
count() {
    read -r n <"$SANDBOX/state/count"
    n=$((n + 1))
    echo "$n" >"$SANDBOX/state/count"
    [ "$n" != "$KILL_AT" ] || kill -KILL 0
}
"#;
        node.put("state/common", common);
        node.add_programs();
        node.put("www/install.sh", &node.moved(&script(era)));
        for version in versions {
            node.release(version);
        }
        node
    }

    fn add_programs(&self) {
        for part in PROGRAMS.split("\n## ").skip(1) {
            let (name, text) = part.split_once('\n').unwrap();
            let place = if name == "k3s" {
                "state/k3s".to_owned()
            } else {
                format!("bin/{name}")
            };
            self.put(&place, text);
            self.make_executable(&place);
        }
        for name in CHANGING {
            let real = ["/usr/bin", "/bin"].map(|folder| format!("{folder}/{name}"));
            let real = real.iter().find(|path| Path::new(path).exists()).unwrap();
            let place = format!("bin/{name}");
            self.put(
                &place,
                &format!("#!/bin/sh\n. \"$SANDBOX/state/common\"\ncount\nexec {real} \"$@\"\n"),
            );
            self.make_executable(&place);
        }
    }

    fn make_executable(&self, place: &str) {
        fs::set_permissions(self.path(place), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn path(&self, place: &str) -> PathBuf {
        self.root.path().join(place.trim_start_matches('/'))
    }

    pub(crate) fn put(&self, place: &str, text: &str) {
        let path = self.path(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A file of the node as the node itself would see it.
    pub(crate) fn text(&self, place: &str) -> String {
        let text = fs::read_to_string(self.path(place)).unwrap_or_default();
        text.replace(&self.root.path().display().to_string(), "")
    }

    pub(crate) fn has(&self, place: &str) -> bool {
        self.path(place).exists()
    }

    /// The names in a folder of the node.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Every file below a folder with its content.
    pub(crate) fn files(&self, folder: &str) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for name in self.names(folder) {
            let place = format!("{folder}/{name}");
            if self.path(&place).is_dir() {
                files.extend(self.files(&place));
            } else {
                files.push((place.clone(), self.text(&place)));
            }
        }
        files
    }

    pub(crate) fn remove_file(&self, place: &str) {
        fs::remove_file(self.path(place)).unwrap();
    }

    /// Changes a file of the node or of the release server.
    pub(crate) fn edit(&self, place: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(place)).unwrap();
        assert!(text.contains(from), "{place} has no {from:?}");
        fs::write(self.path(place), text.replace(from, to)).unwrap();
    }

    fn binary(&self, version: &str) -> String {
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
        self.put("usr/local/bin/k3s", &self.binary(version));
        self.make_executable("usr/local/bin/k3s");
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
            let real = ["/usr/bin", "/bin"].map(|folder| format!("{folder}/{name}"));
            let real = real.iter().find(|path| Path::new(path).exists()).unwrap();
            std::os::unix::fs::symlink(real, self.path(&format!("bin/{name}"))).unwrap();
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
            fs::create_dir_all(self.path("var/lib/rancher/k3s/server/tls")).unwrap();
        }
        self.pass(Duration::from_mins(10));
        self.forget_counts();
    }

    /// Alive again, for the next run.
    pub(crate) fn revive(&self) {
        self.dead.set(false);
        self.kill_at.set(0);
        self.die_after.set(0);
        self.forget_counts();
    }

    fn forget_counts(&self) {
        self.runs.set(0);
        self.put("state/count", "0\n");
    }

    pub(crate) fn was_killed(&self) -> bool {
        self.dead.get()
    }

    fn moved(&self, text: &str) -> String {
        let root = self.root.path().display().to_string();
        MOVED.iter().fold(text.to_owned(), |text, folder| {
            text.replace(folder, &format!("{root}{folder}"))
        })
    }

    fn pass(&self, time: Duration) {
        self.elapsed.set(self.elapsed.get() + time);
    }

    /// Frames carry lengths, so each is moved back for itself.
    fn moved_back(&self, mut bytes: &[u8]) -> Vec<u8> {
        let root = self.root.path().display().to_string();
        let back = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&root, "").into_bytes();
        let mut all = Vec::new();
        while bytes.starts_with(b"@") {
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
            let head = String::from_utf8_lossy(&bytes[..end]).replace(&root, "");
            let (name, length) = head.rsplit_once(' ').unwrap();
            let length: usize = length.parse().unwrap();
            let content = back(&bytes[end + 1..end + 1 + length]);
            all.extend(format!("{name} {}\n", content.len()).into_bytes());
            all.extend(content);
            all.push(b'\n');
            bytes = &bytes[end + 2 + length..];
        }
        all.extend(back(bytes));
        all
    }

    fn search_path(&self) -> String {
        let own = self.path("bin").display().to_string();
        if self.bare.get() {
            own
        } else {
            format!("{own}:/usr/bin:/bin:/usr/sbin:/sbin")
        }
    }

    fn gone(&self) -> anyhow::Error {
        self.dead.set(true);
        anyhow!("the module was killed")
    }
}

impl Host for Node {
    fn place(&self) -> String {
        "container 101 on pve1".to_owned()
    }

    fn run(&self, command: &Command) -> Result<Output> {
        if self.dead.get() {
            return Err(self.gone());
        }
        // Whatever is in it, a list of processes shows the arguments.
        let harmless = command.argv == ["/bin/sh", "-s"] || command.argv[0] == "journalctl";
        assert!(harmless && command.environment.is_empty(), "{:?}", command.argv);
        self.pass(Duration::from_secs(1));
        let clock = START + self.elapsed.get().as_secs();
        self.put("state/clock", &format!("{clock}\n"));
        let stdin = String::from_utf8(command.stdin.clone()).unwrap();
        self.fed.borrow_mut().push(stdin.clone());
        let program = if command.argv[0] == "/bin/sh" {
            self.shell.get()
        } else {
            &command.argv[0]
        };
        let mut child = std::process::Command::new(program)
            .args(&command.argv[1..])
            .env_clear()
            .env("PATH", self.search_path())
            .env("SANDBOX", self.root.path())
            .env("KILL_AT", self.kill_at.get().to_string())
            .process_group(0)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().unwrap();
        let text = self.moved(&stdin);
        let feeder = std::thread::spawn(move || drop(input.write_all(text.as_bytes())));
        let output = child.wait_with_output()?;
        let _ = feeder.join();
        self.runs.set(self.runs.get() + 1);
        if output.status.signal().is_some() || self.runs.get() == self.die_after.get() {
            return Err(self.gone());
        }
        Ok(Output {
            status: output.status.code().unwrap(),
            stdout: self.moved_back(&output.stdout),
            stderr: self.moved_back(&output.stderr),
            ..Output::default()
        })
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(fs::read(path).ok())
    }

    fn write(&self, _file: &FileToWrite) -> Result<()> {
        Err(anyhow!("this module writes by its own programs"))
    }

    fn remove(&self, _path: &str) -> Result<()> {
        Err(anyhow!("this module removes by its own programs"))
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(START) + self.elapsed.get()
    }

    fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    fn sleep(&self, duration: Duration) {
        self.pass(duration);
    }

    fn unique(&self) -> String {
        self.unique.set(self.unique.get() + 1);
        format!("unique-{}", self.unique.get())
    }

    fn outside(&self) -> &dyn Host {
        self
    }

    fn lock(&self, _request: &LockRequest) -> Result<Held> {
        Ok(Held::nothing())
    }
}
