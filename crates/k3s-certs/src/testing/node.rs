//! A node whose certificates are real and whose k3s is a few lines of shell: a folder as its root, in which the scripts
//! of modules run unchanged, with their paths moved there and what they print moved back.

use super::{Authority, Leaf, NOW};
use anyhow::{Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host::{Command, Failure, FileToWrite, Held, Host, Kind, LockRequest, Output};
use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

const PROGRAMS: &str = include_str!("../../tests/node/programs.sh");
const MOVED: [&str; 6] = [
    "/etc/rancher",
    "/etc/systemd",
    "/var/lib/homelab-k3s",
    "/var/lib/rancher",
    "/run/",
    "/usr/local/bin",
];
pub const DATA: &str = "/var/lib/rancher/k3s";
pub const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";
/// What stands before each key: to be searched for in all that comes out.
pub const KEY_MARK: &str = "private key";

pub struct Node {
    root: TempDir,
    elapsed: Cell<Duration>,
    dead: Cell<bool>,
    /// A killed script was stopped by its limit, and the module lives.
    pub times_out: Cell<bool>,
    /// Files that are written while somebody waits.
    pub late: RefCell<Vec<(String, String)>>,
    /// Whether more than scripts may be run: what a list of processes shows is the module's care then.
    pub any_program: Cell<bool>,
    /// Standard input of each command.
    pub fed: RefCell<Vec<String>>,
}

impl Node {
    /// A server whose leaves end so many days after [`NOW`]; a renewal adds a year.
    pub fn server(until: i64) -> Self {
        let node = Self::bare("k3s.service");
        let (client, server, etcd) = (
            Authority::new("k3s-client-ca@1"),
            Authority::new("k3s-server-ca@1"),
            Authority::new("etcd-server-ca@1"),
        );
        let tls = format!("{DATA}/server/tls");
        for (file, authority) in [
            ("client-ca.crt", &client),
            ("server-ca.crt", &server),
            ("etcd/server-ca.crt", &etcd),
        ] {
            node.put(&format!("{tls}/{file}"), &authority.pem);
        }
        let admin = Leaf::new("system:admin").organization("system:masters");
        let leaves = [
            ("client-admin.crt", admin, &client),
            (
                "client-controller.crt",
                Leaf::new("system:kube-controller-manager"),
                &client,
            ),
            ("serving-kube-apiserver.crt", Leaf::new("kube-apiserver"), &server),
            ("etcd/server-client.crt", Leaf::new("etcd-server"), &etcd),
        ];
        let mut files = Vec::new();
        for (file, leaf, authority) in &leaves {
            let file = format!("{tls}/{file}");
            let keys = node.leaf(&file, leaf, authority, until);
            if file.ends_with("client-admin.crt") {
                for (from, key) in ["old", "fresh"].into_iter().zip(keys) {
                    let yaml = kubeconfig(&server.pem, &node.text(&format!("{from}{file}")), &key);
                    node.put(&format!("{from}{KUBECONFIG}"), &yaml);
                }
            }
            files.push(file);
        }
        node.list("k3s.service.files", &files);
        node.put(KUBECONFIG, &node.text(&format!("old{KUBECONFIG}")));
        node
    }

    /// An agent.
    pub fn agent(until: i64) -> Self {
        let node = Self::bare("k3s-agent.service");
        let (client, server) = (
            Authority::new("k3s-client-ca@1"),
            Authority::new("k3s-server-ca@1"),
        );
        let at = |file: &str| format!("{DATA}/agent/{file}");
        node.put(&at("client-ca.crt"), &client.pem);
        node.put(&at("server-ca.crt"), &server.pem);
        let kubelet = Leaf::new("system:node:n2").organization("system:nodes");
        node.leaf(&at("client-kubelet.crt"), &kubelet, &client, until);
        node.leaf(&at("serving-kubelet.crt"), &Leaf::new("n2"), &server, until);
        node.put(&at("kubelet.kubeconfig"), "apiVersion: v1\nkind: Config\n");
        let files = ["client-kubelet.crt", "serving-kubelet.crt"].map(at);
        node.list("k3s-agent.service.files", &files);
        node.list("renewed-by-start", &files);
        node
    }

    fn bare(unit: &str) -> Self {
        let node = Self {
            root: tempfile::tempdir().unwrap(),
            elapsed: Cell::default(),
            dead: Cell::default(),
            times_out: Cell::default(),
            any_program: Cell::default(),
            late: RefCell::default(),
            fed: RefCell::default(),
        };
        for folder in ["bin", "usr/local/bin", "run/systemd/system"] {
            fs::create_dir_all(node.path(folder)).unwrap();
        }
        testbed::write_programs(PROGRAMS.split("\n## ").skip(1).map(|part| {
            let (name, text) = part.split_once('\n').unwrap();
            let folder = if name == "k3s" { "usr/local/bin" } else { "bin" };
            (node.path(&format!("{folder}/{name}")), text)
        }));
        let role = if unit == "k3s.service" { "server" } else { "agent" };
        let command = format!("[Service]\nExecStart=/usr/local/bin/k3s {role} --token s3cr3t\n");
        node.put(&format!("/etc/systemd/system/{unit}"), &node.moved(&command));
        for (file, content) in [
            (format!("{unit}.load"), "loaded"),
            (format!("{unit}.active"), "active"),
            (format!("{unit}.enabled"), "enabled"),
            ("becomes".to_owned(), "active"),
            ("renewed-by-start".to_owned(), ""),
            ("calls".to_owned(), ""),
        ] {
            node.state(&file, content);
        }
        node
    }

    /// One leaf now, before, and as the next renewal makes it; the keys of the last two.
    fn leaf(&self, file: &str, leaf: &Leaf, authority: &Authority, until: i64) -> [String; 2] {
        let old = authority.sign(&leaf.clone().days(until - 365, until));
        let fresh = authority.sign(&leaf.clone().days(0, 365));
        self.put(&format!("old{file}"), &(old.pem.clone() + &authority.pem));
        self.put(file, &(old.pem + &authority.pem));
        self.put(&format!("fresh{file}"), &(fresh.pem + &authority.pem));
        [old.key_pem, fresh.key_pem]
    }

    fn list(&self, name: &str, files: &[String]) {
        let lines: Vec<&str> = files.iter().map(|file| file.trim_start_matches('/')).collect();
        self.state(name, &lines.join("\n"));
    }

    /// Which leaves a plain start of this server renews; names end like these.
    pub fn renews_by_start(&self, names: &[&str]) {
        let files = self.text("state/k3s.service.files");
        let renewed = files
            .lines()
            .filter(|file| names.iter().any(|name| file.ends_with(name)));
        self.state("renewed-by-start", &renewed.collect::<Vec<_>>().join("\n"));
    }

    /// Sets what systemd or k3s know: see the programs.
    pub fn state(&self, name: &str, content: &str) {
        self.put(&format!("state/{name}"), &format!("{content}\n"));
    }

    pub fn forget(&self, name: &str) {
        fs::remove_file(self.path(&format!("state/{name}"))).unwrap();
    }

    /// What was called for that changes something, in order.
    pub fn calls(&self) -> Vec<String> {
        let calls = self.text("state/calls");
        let looks = ["show", "k3s kubectl", "k3s --version"];
        let changes = |call: &&str| !looks.iter().any(|look| call.starts_with(look));
        calls
            .lines()
            .filter(|call| !call.is_empty())
            .filter(changes)
            .map(str::to_owned)
            .collect()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Whether a renewal is marked as under way.
    pub fn is_marked(&self) -> bool {
        self.has("/var/lib/homelab-k3s/renewal-under-way")
    }

    /// A module was killed; this is the next one.
    pub fn revive(&self) {
        self.dead.set(false);
        self.state("calls", "");
    }

    fn moved(&self, text: &str) -> String {
        let root = self.root.path().display().to_string();
        MOVED.iter().fold(text.to_owned(), |text, folder| {
            text.replace(folder, &format!("{root}{folder}"))
        })
    }

    /// Frames carry lengths, so each is moved back for itself.
    fn frames_moved_back(&self, mut bytes: &[u8]) -> Vec<u8> {
        let root = self.root.path().display().to_string();
        let back = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&root, "");
        let mut all = Vec::new();
        while bytes.starts_with(b"@") {
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
            let head = back(&bytes[..end]);
            let (name, length) = head.rsplit_once(' ').unwrap();
            let length: usize = length.parse().unwrap();
            let content = back(&bytes[end + 1..end + 1 + length]);
            all.extend(format!("{name} {}\n{content}\n", content.len()).into_bytes());
            bytes = &bytes[end + 2 + length..];
        }
        all
    }

    fn moved_back(&self, bytes: &[u8]) -> Vec<u8> {
        if bytes.starts_with(b"@") {
            return self.frames_moved_back(bytes);
        }
        let root = self.root.path().display().to_string();
        String::from_utf8_lossy(bytes).replace(&root, "").into_bytes()
    }

    fn pass(&self, time: Duration) {
        self.elapsed.set(self.elapsed.get() + time);
    }
}

/// As k3s writes it, but for a line before the key by which it is found.
fn kubeconfig(authority: &str, chain: &str, key: &str) -> String {
    let key = format!("{KEY_MARK}\n{key}");
    let [authority, chain, key] = [authority, chain, &key].map(|pem| STANDARD.encode(pem));
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {authority}\n    server: https://127.0.0.1:6443\n  name: default\n\
         contexts:\n- context:\n    cluster: default\n    user: default\n  name: default\ncurrent-context: default\nkind: Config\npreferences: {{}}\n\
         users:\n- name: default\n  user:\n    client-certificate-data: {chain}\n    client-key-data: {key}\n"
    )
}

impl Host for Node {
    fn location(&self) -> String {
        "container 101 on pve1".to_owned()
    }

    fn run(&self, command: &Command) -> Result<Output> {
        if self.dead.get() {
            return Err(anyhow!("the module was killed"));
        }
        assert!(
            self.any_program.get() || command.argv == ["/bin/sh", "-s"],
            "what is not a script shows in lists of processes: {:?}",
            command.argv
        );
        self.pass(Duration::from_secs(1));
        let script = String::from_utf8(command.stdin.clone()).unwrap();
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.path("bin").display());
        let argv: Vec<String> = command.argv.iter().map(|word| self.moved(word)).collect();
        let mut child = std::process::Command::new(&argv[0])
            .args(&argv[1..])
            .env_clear()
            .env("PATH", path)
            .env("SANDBOX", self.root.path())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = child.stdin.take().unwrap();
        let text = self.moved(&script);
        self.fed.borrow_mut().push(script);
        let feeder = std::thread::spawn(move || drop(input.write_all(text.as_bytes())));
        let output = child.wait_with_output()?;
        let _ = feeder.join();
        if output.status.signal().is_some() {
            if self.times_out.get() {
                return Err(Failure::new(Kind::TimedOut, self.location(), "/bin/sh was stopped").into());
            }
            self.dead.set(true);
            return Err(anyhow!("the module was killed"));
        }
        Ok(Output {
            status: output.status.code().unwrap(),
            stdout: self.moved_back(&output.stdout),
            stderr: self.moved_back(&output.stderr),
            ..Output::default()
        })
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(fs::read(self.path(path)).ok())
    }

    fn write(&self, file: &FileToWrite) -> Result<()> {
        Err(anyhow!("nothing was to be written: {file:?}"))
    }

    fn remove(&self, path: &str) -> Result<()> {
        let _ = fs::remove_file(self.path(path));
        Ok(())
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + NOW + self.elapsed.get()
    }

    fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    fn sleep(&self, duration: Duration) {
        for (path, text) in self.late.borrow_mut().drain(..) {
            self.put(&path, &text);
        }
        self.pass(duration);
    }

    fn unique(&self) -> String {
        "unique".to_owned()
    }

    fn outside(&self) -> &dyn Host {
        self
    }

    fn lock(&self, _: &LockRequest) -> Result<Held> {
        Ok(Held::nothing())
    }
}
