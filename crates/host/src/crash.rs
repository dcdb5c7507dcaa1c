//! Test builds only: a host that ends this process at a chosen call, so that tests see what a crash leaves.
//!
//! What can change something is a point: a command, a file that is written or removed. The points of a module are
//! counted over all its processes on this machine: a run without a crash shows how many there are. Where [`FOLDER`] is
//! missing nothing is counted, and nothing ends.

use crate::{Command, FileToWrite, Held, Host, LockRequest, Output};
use anyhow::Result;
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, getpid, kill_process};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// `points` gets a line for each point: module, number, what is done. `took` gets its milliseconds. `order` chooses one
/// by module and number, and says how it crashes; `crashed` is there once it has.
const FOLDER: &str = "/run/homelab-k3s-crash";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    Before,
    /// When it has taken so long, or has ended sooner.
    During {
        after: Duration,
        children_too: bool,
    },
    After,
}

/// Counts the points of a module, and ends it at the one that is chosen.
pub struct Crashing<H> {
    inner: H,
    points: Points,
}

impl<H: Host> Crashing<H> {
    pub fn new(inner: H, module: &'static str) -> Self {
        let folder = PathBuf::from(FOLDER);
        Self {
            inner,
            points: Points { module, folder },
        }
    }

    fn at_point<T>(&self, what: &str, call: impl FnOnce() -> T) -> T {
        let Some(number) = self.points.count(what) else {
            return call();
        };
        let crash = self.points.ordered(number);
        match crash {
            Some(Crash::Before) => self.points.crash(what, false),
            Some(Crash::During { after, children_too }) => {
                let (points, what) = (self.points.clone(), what.to_owned());
                thread::spawn(move || {
                    thread::sleep(after);
                    points.crash(&what, children_too);
                });
            }
            Some(Crash::After) | None => {}
        }
        let started = Instant::now();
        let result = call();
        if crash.is_some() {
            self.points.crash(what, false);
        }
        self.points.took(number, started.elapsed());
        result
    }
}

impl<H: Host> Host for Crashing<H> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn run(&self, command: &Command) -> Result<Output> {
        // Of `pct exec 101 … a loader` these words say all, of a shell those before its script.
        let words = command.argv.iter().map(String::as_str).take(3);
        let what = words.take_while(|word| !word.contains(char::is_whitespace));
        self.at_point(&what.collect::<Vec<_>>().join(" "), || self.inner.run(command))
    }

    /// Not a point: a crash beside it leaves what one after the point before it leaves.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.inner.read(path)
    }

    fn write(&self, file: &FileToWrite) -> Result<()> {
        self.at_point(&format!("write {}", file.path), || self.inner.write(file))
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.at_point(&format!("remove {path}"), || self.inner.remove(path))
    }

    fn now(&self) -> SystemTime {
        self.inner.now()
    }

    fn elapsed(&self) -> Duration {
        self.inner.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        self.inner.sleep(duration);
    }

    fn unique(&self) -> String {
        self.inner.unique()
    }

    fn outside(&self) -> &dyn Host {
        self
    }

    fn lock(&self, request: &LockRequest) -> Result<Held> {
        self.inner.lock(request)
    }

    fn wait_for_holder(&self, request: &LockRequest) -> Result<bool> {
        self.inner.wait_for_holder(request)
    }
}

#[derive(Clone)]
struct Points {
    module: &'static str,
    folder: PathBuf,
}

impl Points {
    /// The number of this point among the module's; `None`: nothing is counted.
    fn count(&self, what: &str) -> Option<usize> {
        if !self.folder.is_dir() {
            return None;
        }
        let path = self.folder.join("points");
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .ok()?;
        flock(&file, FlockOperation::LockExclusive).ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        let is_ours = |line: &&str| line.split(' ').next() == Some(self.module);
        let number = text.lines().filter(is_ours).count() + 1;
        writeln!(file, "{} {number} {}", self.module, what.replace('\n', " ")).ok()?;
        Some(number)
    }

    fn took(&self, number: usize, time: Duration) {
        let path = self.folder.join("took");
        if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(path) {
            let _ = file.write_all(format!("{} {number} {}\n", self.module, time.as_millis()).as_bytes());
        }
    }

    fn ordered(&self, number: usize) -> Option<Crash> {
        let text = fs::read_to_string(self.folder.join("order")).ok()?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let (chosen, how) = words.split_at_checked(2)?;
        if chosen != [self.module, number.to_string().as_str()] {
            return None;
        }
        let during = |after: &str, children_too| {
            let after = Duration::from_millis(after.parse().ok()?);
            Some(Crash::During { after, children_too })
        };
        match how {
            ["before"] => Some(Crash::Before),
            ["after"] => Some(Crash::After),
            ["during", after] => during(after, false),
            ["during-all", after] => during(after, true),
            _ => None,
        }
    }

    /// Ends this process as `kill -9` does: nothing of it is cleaned up.
    fn crash(&self, what: &str, children_too: bool) -> ! {
        let _ = fs::write(self.folder.join("crashed"), format!("{} {what}\n", self.module));
        if children_too {
            for child in stopped_children(getpid()) {
                let _ = kill_process(child, Signal::KILL);
            }
        }
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            thread::park();
        }
    }
}

/// All that a process has started and their children, also in containers. Each is stopped when it is found, so that none can
/// start another one, nor end and leave its children to a stranger.
fn stopped_children(of: Pid) -> HashSet<Pid> {
    let mut family = HashSet::from([of]);
    loop {
        let mut found: Vec<Pid> = Vec::new();
        for (child, parent) in parents() {
            if family.contains(&parent) && !family.contains(&child) {
                found.push(child);
            }
        }
        if found.is_empty() {
            family.remove(&of);
            return family;
        }
        for child in found {
            let _ = kill_process(child, Signal::STOP);
            family.insert(child);
        }
    }
}

/// Each process with its parent.
fn parents() -> Vec<(Pid, Pid)> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    folders.filter_map(|folder| parent(&folder.path())).collect()
}

fn parent(folder: &Path) -> Option<(Pid, Pid)> {
    let pid = |text: &str| Pid::from_raw(text.parse().ok()?);
    let child = pid(folder.file_name()?.to_str()?)?;
    let mut text = String::new();
    File::open(folder.join("stat"))
        .ok()?
        .read_to_string(&mut text)
        .ok()?;
    // After the name, which may have spaces and brackets: state, parent.
    let parent = text.rsplit_once(')')?.1.split_whitespace().nth(1)?;
    Some((child, pid(parent)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalHost;

    fn points(folder: &Path) -> Points {
        Points {
            module: "node_drain",
            folder: folder.to_owned(),
        }
    }

    #[test]
    fn counts_the_points_of_each_module() {
        let folder = tempfile::tempdir().unwrap();
        let other = Points {
            module: "node_drain_too",
            ..points(folder.path())
        };
        assert_eq!(points(folder.path()).count("a"), Some(1));
        assert_eq!(other.count("b"), Some(1));
        assert_eq!(points(folder.path()).count("c\nd"), Some(2));
        let text = fs::read_to_string(folder.path().join("points")).unwrap();
        assert_eq!(text, "node_drain 1 a\nnode_drain_too 1 b\nnode_drain 2 c d\n");
    }

    #[test]
    fn counts_nothing_without_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(points(&folder.path().join("none")).count("a"), None);
        let host = Crashing::new(LocalHost::new(), "node_drain");
        assert_eq!(host.points.folder, Path::new(FOLDER));
    }

    #[test]
    fn commands_and_files_that_are_written_or_removed_are_points() {
        let folder = tempfile::tempdir().unwrap();
        let host = Crashing {
            inner: LocalHost::new(),
            points: points(folder.path()),
        };
        let path = folder.path().join("file").to_str().unwrap().to_owned();
        let file = FileToWrite {
            path: path.clone(),
            content: b"text".to_vec(),
            mode: 0o600,
            owner: (0, 0),
        };
        assert_eq!(
            host.run(&Command::new(["echo", "a", "b", "c"])).unwrap().text(),
            "a b c\n"
        );
        host.write(&file).unwrap();
        assert_eq!(host.read(&path).unwrap().as_deref(), Some(&b"text"[..]));
        host.outside().remove(&path).unwrap();
        let seen = fs::read_to_string(folder.path().join("points")).unwrap();
        let wanted =
            format!("node_drain 1 echo a b\nnode_drain 2 write {path}\nnode_drain 3 remove {path}\n");
        assert_eq!(seen, wanted);
        let took = fs::read_to_string(folder.path().join("took")).unwrap();
        assert_eq!(took.lines().count(), 3);
    }

    #[test]
    fn an_order_names_a_module_a_point_and_how() {
        let folder = tempfile::tempdir().unwrap();
        let half = |children_too| {
            let after = Duration::from_millis(500);
            Some(Crash::During { after, children_too })
        };
        let cases = [
            ("node_drain 2 before\n", Some(Crash::Before)),
            ("node_drain 2 after\n", Some(Crash::After)),
            ("node_drain 2 during 500\n", half(false)),
            ("node_drain 2 during-all 500\n", half(true)),
            ("node_drain 3 before\n", None),
            ("node_taint 2 before\n", None),
            ("node_drain 2 during\n", None),
            ("", None),
        ];
        for (order, crash) in cases {
            fs::write(folder.path().join("order"), order).unwrap();
            assert_eq!(points(folder.path()).ordered(2), crash, "{order}");
        }
    }

    #[test]
    fn finds_children_and_their_children() {
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sh -c 'sleep 60 & echo started; wait' & wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut started = [0; 8];
        shell.stdout.take().unwrap().read_exact(&mut started).unwrap();
        let id = Pid::from_raw(i32::try_from(shell.id()).unwrap()).unwrap();
        let children = stopped_children(id);
        assert_eq!(children.len(), 2);
        assert!(parents().contains(&(id, getpid())));
        for process in children.into_iter().chain([id]) {
            kill_process(process, Signal::KILL).unwrap();
        }
        shell.wait().unwrap();
    }
}
