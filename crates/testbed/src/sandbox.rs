//! A node that is a folder: the scripts of modules run unchanged, in a real shell, with their paths moved there and
//! what they print moved back. Small programs stand for systemd and k3s. Any changing program can be the
//! one before which everything is killed.

use crate::programs::write_programs;
use anyhow::{Result, anyhow};
use host::{Command, FileToWrite, Held, Host, LockRequest, Output};
use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// The sandbox's clock begins here, in seconds since 1970.
const START: u64 = 1_795_366_949;

/// What changes a node: before each of these a kill is tried.
const CHANGING: [&str; 9] = [
    "mv", "rm", "rmdir", "chmod", "mkdir", "tee", "install", "ln", "cp",
];

/// What the programs share: `now` is the sandbox's clock, `read_note` reads a line of their notes into `$note`, `count` is a
/// point at which everything may be killed. In the shell itself: a test of all points runs thousands of programs.
const COMMON: &str = r#"now() { read -r n <"$SANDBOX/state/clock"; echo "$n"; }
read_note() { note=; { read -r note <"$SANDBOX/state/$1"; } 2>/dev/null || :; }
count() {
    read -r n <"$SANDBOX/state/count"
    n=$((n + 1))
    echo "$n" >"$SANDBOX/state/count"
    [ "$n" != "$KILL_AT" ] || kill -KILL 0
}
"#;

/// Answers what the module's own binary would inside: its arguments, with paths in the sandbox.
type Ourselves = Box<dyn Fn(&[String]) -> Output>;

pub struct Sandbox {
    root: TempDir,
    /// The folders of a node that are moved under the sandbox's root.
    moved: Vec<&'static str>,
    elapsed: Cell<Duration>,
    /// Before which changing program to kill everything; 0: never.
    pub kill_at: Cell<u32>,
    /// After how many commands the module itself is gone; 0: never.
    pub die_after: Cell<u32>,
    runs: Cell<u32>,
    dead: Cell<bool>,
    unique: Cell<u32>,
    /// Whether PATH is the sandbox's own programs alone.
    pub bare: Cell<bool>,
    /// What the node has as /bin/sh.
    pub shell: Cell<&'static str>,
    /// Standard input of each script, for a look at what was asked.
    pub fed: RefCell<Vec<String>>,
    ourselves: Option<Ourselves>,
}

impl Sandbox {
    /// An empty node with these programs, each the part of `programs` after its line `## <name>`. They find the node's
    /// root in `$SANDBOX`, what [`COMMON`] has in `$SANDBOX/state/common`, and their own notes beside it.
    pub fn new(moved: &[&'static str], programs: &str) -> Self {
        let sandbox = Self {
            root: tempfile::tempdir().unwrap(),
            moved: moved.to_vec(),
            elapsed: Cell::default(),
            kill_at: Cell::default(),
            die_after: Cell::default(),
            runs: Cell::default(),
            dead: Cell::default(),
            unique: Cell::default(),
            bare: Cell::default(),
            shell: Cell::new("/bin/sh"),
            fed: RefCell::default(),
            ourselves: None,
        };
        sandbox.put("state/common", COMMON);
        sandbox.put("state/clock", &format!("{START}\n"));
        sandbox.forget_counts();
        sandbox.make_folder("bin");
        let own = programs.split("\n## ").skip(1).map(|part| {
            let (name, text) = part.split_once('\n').unwrap();
            (name, text.to_owned())
        });
        let changing = CHANGING.map(|name| {
            let real = real(name);
            let text = format!("#!/bin/sh\n. \"$SANDBOX/state/common\"\ncount\nexec {real} \"$@\"\n");
            (name, text)
        });
        let all: Vec<(&str, String)> = own.chain(changing).collect();
        write_programs(all.iter().map(|(name, text)| {
            let path = sandbox.path(&format!("bin/{name}"));
            (path, text.as_str())
        }));
        sandbox
    }

    /// Answers for the module's own binary, which a test cannot carry anywhere.
    #[must_use]
    pub fn answering(mut self, ourselves: impl Fn(&[String]) -> Output + 'static) -> Self {
        self.ourselves = Some(Box::new(ourselves));
        self
    }

    pub fn put_program(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_programs([(path, text)]);
    }

    /// A program of this machine, under its name in the sandbox's own folder.
    pub fn link_program(&self, name: &str) {
        std::os::unix::fs::symlink(real(name), self.path(&format!("bin/{name}"))).unwrap();
    }

    pub fn make_folder(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path.trim_start_matches('/'))
    }

    pub fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A file of the node as the node itself would see it.
    pub fn text(&self, path: &str) -> String {
        let bytes = fs::read(self.path(path)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace(&self.root.path().display().to_string(), "")
    }

    pub fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// The names in a folder of the node.
    pub fn names(&self, folder: &str) -> Vec<String> {
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
    pub fn files(&self, folder: &str) -> Vec<(String, String)> {
        let mut files = Vec::new();
        for name in self.names(folder) {
            let path = format!("{folder}/{name}");
            if self.path(&path).is_dir() {
                files.extend(self.files(&path));
            } else {
                files.push((path.clone(), self.text(&path)));
            }
        }
        files
    }

    pub fn remove_file(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    /// Changes a file.
    pub fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from:?}");
        fs::write(self.path(path), text.replace(from, to)).unwrap();
    }

    /// Alive again, for the next run.
    pub fn revive(&self) {
        self.dead.set(false);
        self.kill_at.set(0);
        self.die_after.set(0);
        self.forget_counts();
    }

    pub fn forget_counts(&self) {
        self.runs.set(0);
        self.put("state/count", "0\n");
    }

    pub fn was_killed(&self) -> bool {
        self.dead.get()
    }

    /// A text with the paths in it moved under the sandbox's root.
    pub fn moved(&self, text: &str) -> String {
        let root = self.root.path().display().to_string();
        self.moved.iter().fold(text.to_owned(), |text, folder| {
            text.replace(folder, &format!("{root}{folder}"))
        })
    }

    pub fn pass(&self, time: Duration) {
        self.elapsed.set(self.elapsed.get() + time);
    }

    fn set_clock(&self) {
        let clock = START + self.elapsed.get().as_secs();
        self.put("state/clock", &format!("{clock}\n"));
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

    /// A script in the node's shell, or a program that only looks.
    fn run_there(&self, command: &Command) -> Result<Output> {
        // Whatever is in it, a list of processes shows the arguments.
        let receives = command.send.is_some() && command.argv[1] == "-c";
        let harmless = command.argv == ["/bin/sh", "-s"] || command.argv[0] == "journalctl" || receives;
        assert!(harmless && command.environment.is_empty(), "{:?}", command.argv);
        let stdin = String::from_utf8(command.stdin.clone()).unwrap();
        self.fed.borrow_mut().push(stdin.clone());
        let program = if command.argv[0] == "/bin/sh" {
            self.shell.get()
        } else {
            &command.argv[0]
        };
        let mut child = std::process::Command::new(program)
            .args(command.argv[1..].iter().map(|word| self.moved(word)))
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
        // A file is brought unchanged.
        let bytes = match &command.send {
            Some(path) => fs::read(path)?,
            None => self.moved(&stdin).into_bytes(),
        };
        let feeder = std::thread::spawn(move || drop(input.write_all(&bytes)));
        let output = child.wait_with_output()?;
        let _ = feeder.join();
        if output.status.signal().is_some() {
            return Err(self.gone());
        }
        Ok(Output {
            status: output.status.code().unwrap(),
            stdout: self.moved_back(&output.stdout),
            stderr: self.moved_back(&output.stderr),
            ..Output::default()
        })
    }
}

fn real(name: &str) -> String {
    let real = ["/usr/bin", "/bin"].map(|folder| format!("{folder}/{name}"));
    real.into_iter().find(|path| Path::new(path).exists()).unwrap()
}

impl Host for Sandbox {
    fn location(&self) -> String {
        "container 101 on pve1".to_owned()
    }

    fn run(&self, command: &Command) -> Result<Output> {
        if self.dead.get() {
            return Err(self.gone());
        }
        self.pass(Duration::from_secs(1));
        self.set_clock();
        let output = match (&self.ourselves, command.argv.get(1)) {
            (Some(ourselves), Some(first)) if first.starts_with("--inside") => {
                let arguments: Vec<String> = command.argv[1..].iter().map(|word| self.moved(word)).collect();
                ourselves(&arguments)
            }
            _ => self.run_there(command)?,
        };
        self.runs.set(self.runs.get() + 1);
        if self.runs.get() == self.die_after.get() {
            return Err(self.gone());
        }
        Ok(output)
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
