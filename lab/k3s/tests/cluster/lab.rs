//! One server and its agents as processes, gone when the test is over.

use std::cell::RefCell;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const VERSION: &str = "v1.35.5+k3s1";
/// Recorded delays are divided by this: 40 s of silence become 2.
const PACE: &str = "20";
/// For what must be seen between two delays, on a busy machine too.
pub(crate) const SLOW: &str = "5";
/// For what is seen by two calls of kubectl, each of which may take a second there: 4 s become 2.
pub(crate) const SLOWER: &str = "2";
const PATIENCE: Duration = Duration::from_mins(1);
const READY: &str = "jsonpath={..status.conditions[?(@.type==\"Ready\")].status}";

pub(crate) struct Lab {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    pace: &'static str,
    nodes: RefCell<Vec<(String, Child)>>,
}

/// A port, and the one above it for the server's inner door. Below the range that the kernel assigns to clients.
fn free_port() -> u16 {
    let free = |port: &u16| {
        let open = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        open(*port) && open(*port + 1)
    };
    let start = 20_000 + u16::try_from(std::process::id() % 500).unwrap() * 20;
    let own = RESERVED.fetch_add(2, std::sync::atomic::Ordering::Relaxed);
    (start + own..32_000).step_by(2).find(free).unwrap()
}

/// Tests of one process run side by side.
static RESERVED: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Lab {
    /// A server `n1` and agents `n2`…, all ready.
    pub(crate) fn start(version: &str, nodes: usize) -> Self {
        Self::at_pace(PACE, version, nodes)
    }

    /// Nothing runs yet.
    pub(crate) fn empty(pace: &'static str) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            port: free_port(),
            pace,
            nodes: RefCell::default(),
        }
    }

    pub(crate) fn at_pace(pace: &'static str, version: &str, nodes: usize) -> Self {
        let lab = Self::empty(pace);
        lab.start_server(version);
        lab.wait_for("an answer", || lab.kubectl(&["get", "nodes"]).status.success());
        for number in 2..=nodes {
            lab.start_agent(version, &format!("n{number}"));
        }
        lab.wait_for("ready nodes", || {
            lab.get(&format!("nodes -o {READY}")).matches("True").count() == nodes
        });
        lab
    }

    pub(crate) fn start_server(&self, version: &str) {
        self.start_server_with(version, &[]);
    }

    pub(crate) fn start_server_with(&self, version: &str, more: &[&str]) {
        let port = self.port.to_string();
        let arguments = ["server", "--https-listen-port", &port, "--token", "labtoken"];
        self.spawn(version, "n1", &[&arguments[..], more].concat());
    }

    pub(crate) fn start_agent(&self, version: &str, name: &str) {
        let url = format!("https://127.0.0.1:{}", self.port);
        let door = free_port().to_string();
        self.spawn(
            version,
            name,
            &[
                "agent",
                "--server",
                &url,
                "--token",
                "labtoken",
                "--lb-server-port",
                &door,
            ],
        );
    }

    fn spawn(&self, version: &str, name: &str, arguments: &[&str]) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log(name))
            .unwrap();
        let child = self
            .k3s(version, name)
            .args(arguments)
            .arg("--data-dir")
            .arg(self.folder.path().join(name).join("data"))
            .args(["--node-name", name, "--node-ip", "127.0.0.1"])
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.nodes.borrow_mut().push((name.to_owned(), child));
    }

    pub(crate) fn k3s(&self, version: &str, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_k3s-standin"));
        command
            .env("LAB_ETC", self.etc(name))
            .env("LAB_K3S_VERSION", version)
            .env("LAB_TIME_FACTOR", self.pace);
        command
    }

    pub(crate) fn etc(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name).join("etc");
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    /// As systemd's KILL does.
    pub(crate) fn kill(&self, name: &str) {
        let mut nodes = self.nodes.borrow_mut();
        let at = nodes.iter().position(|(known, _)| known == name).unwrap();
        let (_, mut child) = nodes.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        let program = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
        let mut command = Command::new(&program);
        command.args(arguments).env("HOME", self.folder.path());
        command.env("KUBECONFIG", self.etc("n1").join("rancher/k3s/k3s.yaml"));
        command
            .output()
            .unwrap_or_else(|e| panic!("running {program}: {e}; set KUBECTL"))
    }

    /// What kubectl printed; it must have been content.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        assert!(
            output.status.success(),
            "kubectl {arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    pub(crate) fn get(&self, what: &str) -> String {
        self.run(&[&["get"][..], &what.split(' ').collect::<Vec<_>>()].concat())
    }

    /// Whether the node's Ready condition is `True`, `False` or `Unknown`.
    pub(crate) fn ready(&self, node: &str) -> String {
        self.get(&format!("node {node} -o {READY}"))
    }

    /// Available pods of a workload in `demo`.
    pub(crate) fn available(&self, workload: &str) -> String {
        self.get(&format!(
            "{workload} -n demo -o jsonpath={{.status.availableReplicas}}"
        ))
    }

    /// The nodes of all pods in `demo`.
    pub(crate) fn pod_nodes(&self) -> Vec<String> {
        let nodes = self.get("pods -n demo -o jsonpath={.items[*].spec.nodeName}");
        nodes.split_whitespace().map(str::to_owned).collect()
    }

    /// Those pods in `demo` that are being removed.
    pub(crate) fn terminating(&self) -> String {
        self.get("pods -n demo -o jsonpath={.items[*].metadata.deletionTimestamp}")
    }

    pub(crate) fn apply(&self, manifest: &str) {
        let file = self.folder.path().join("manifest.yaml");
        std::fs::write(&file, manifest).unwrap();
        self.run(&["apply", "--validate=false", "-f", file.to_str().unwrap()]);
    }

    pub(crate) fn wait_for(&self, what: &str, mut reached: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !reached() {
            assert!(Instant::now() < end, "waiting for {what}:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn logs(&self) -> String {
        let nodes = self.nodes.borrow();
        let read = |(name, _): &(String, Child)| std::fs::read_to_string(self.log(name)).unwrap_or_default();
        nodes.iter().map(read).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for (_, child) in self.nodes.borrow_mut().iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A namespace `demo` with a workload of one container.
pub(crate) fn workload(kind: &str, name: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: demo}}\nspec:\n  {more}\n  \
         selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec: {{containers: [{{name: c, image: x}}]}}\n---\n"
    )
}

pub(crate) const DEMO: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: demo}\n---\n";
