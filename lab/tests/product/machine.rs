//! The product's door to a Proxmox host made of files. The stand-in `pct` is run unchanged; Proxmox's own files are those of
//! the folder; time passes by being slept.

use crate::common::Host as Files;
use ansible_module::{Call, Module, params};
use anyhow::Result;
use host::{Command, Failure, FileToWrite, Held, Host, InContainer, LocalHost, LockRequest, Output};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// What the container has in /usr/local/sbin.
const SYSTEMCTL: &str = "#!/bin/sh\n[ \"$1\" != is-system-running ] || echo running\n";
/// Files that are not the containers': lock files, and what `lab fault` has asked for.
const ASIDE: [&str; 2] = ["run/", "stops"];

type Meanwhile = Box<dyn Fn(&Files)>;

pub(crate) struct Machine {
    pub(crate) files: Files,
    local: LocalHost,
    slept: Cell<Duration>,
    /// The verb that hangs: it is not waited for as long as it may take.
    hangs: Cell<Option<&'static str>>,
    calls: RefCell<Vec<String>>,
    meanwhile: RefCell<Option<(&'static str, Meanwhile)>>,
}

impl Machine {
    pub(crate) fn new(files: Files) -> Self {
        fs::create_dir(files.path("inside")).unwrap();
        files.program("systemctl", SYSTEMCTL);
        fs::rename(files.path("bin/systemctl"), files.path("inside/systemctl")).unwrap();
        std::os::unix::fs::symlink("nodes/pve/lxc", files.path("etc/pve/lxc")).unwrap();
        Self {
            files,
            local: LocalHost::new(),
            slept: Cell::default(),
            hangs: Cell::default(),
            calls: RefCell::default(),
            meanwhile: RefCell::default(),
        }
    }

    /// Something else happens on the host just before our first call of this verb, or before we first `sleep`.
    pub(crate) fn before(self, verb: &'static str, what: impl Fn(&Files) + 'static) -> Self {
        *self.meanwhile.borrow_mut() = Some((verb, Box::new(what)));
        self
    }

    /// Whatever is run in the container hangs.
    pub(crate) fn frozen(self) -> Self {
        self.files.program("lxc-attach", "#!/bin/sh\nexec sleep 30\n");
        self.hanging("exec")
    }

    pub(crate) fn hanging(self, verb: &'static str) -> Self {
        self.hangs.set(Some(verb));
        self
    }

    /// The verbs of all our calls of `pct`, in order.
    pub(crate) fn verbs(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    pub(crate) fn slept(&self) -> Duration {
        self.slept.get()
    }

    /// Every file with its content: what is the same before and after was not changed.
    pub(crate) fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        gather(&self.files.path(""), "", &mut found);
        found.retain(|path, _| !ASIDE.iter().any(|aside| path.starts_with(aside)));
        found
    }

    fn about_to(&self, verb: &str) {
        let due = |(when, _): &mut (&str, Meanwhile)| *when == verb;
        let meanwhile = self.meanwhile.borrow_mut().take_if(due);
        if let Some((_, what)) = meanwhile {
            what(&self.files);
        }
    }

    /// The answer of a complete run of the module.
    pub(crate) fn answer<M: Module>(&self, options: &Value) -> Value {
        let call = Call::parse(options.to_string().as_bytes()).unwrap();
        let params = params::<M>(&call).unwrap();
        let vmid = M::target(&params).vmid.unwrap();
        ansible_module::run::<M>(&params, &call, &InContainer::new(self, vmid)).into_json()
    }
}

fn gather(folder: &Path, name: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{name}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            gather(&entry.path(), &format!("{name}/"), into);
        } else if kind.is_file() {
            into.insert(name, fs::read(entry.path()).unwrap());
        }
    }
}

impl Host for &Machine {
    fn location(&self) -> String {
        "pve".to_owned()
    }

    fn run(&self, command: &Command) -> Result<Output> {
        let mut command = command.clone();
        if command.program() == "pct" {
            let verb = command.argv[1].clone();
            self.about_to(&verb);
            if self.hangs.get() == Some(&verb) {
                command.limit = Duration::from_millis(100);
            }
            self.calls.borrow_mut().push(verb);
            env!("CARGO_BIN_EXE_pct").clone_into(&mut command.argv[0]);
            let path = |name: &str| self.files.path(name).to_str().unwrap().to_owned();
            command = command
                .env("LAB_PCT_ROOT", path(""))
                .env("LAB_PCT_PROGRAMS", path("bin"));
            command.stdin = beginning_with(&path("inside"), &command.stdin);
        }
        // Not this machine's name.
        self.local
            .run(&command)
            .map_err(|error| match Failure::of(&error) {
                Some(failure) => anyhow::Error::new(Failure {
                    location: self.location(),
                    ..failure.clone()
                }),
                None => error,
            })
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(fs::read(self.files.path(path.trim_start_matches('/'))).ok())
    }

    fn write(&self, file: &FileToWrite) -> Result<()> {
        panic!("nothing here writes {} on the host", file.path)
    }

    fn remove(&self, path: &str) -> Result<()> {
        panic!("nothing here removes {path} on the host")
    }

    fn now(&self) -> SystemTime {
        self.local.now()
    }

    fn elapsed(&self) -> Duration {
        self.local.elapsed() + self.slept.get()
    }

    fn sleep(&self, duration: Duration) {
        self.about_to("sleep");
        self.slept.set(self.slept.get() + duration);
    }

    fn unique(&self) -> String {
        self.local.unique()
    }

    fn outside(&self) -> &dyn Host {
        self
    }

    fn lock(&self, _: &LockRequest) -> Result<Held> {
        Ok(Held::nothing())
    }
}

/// Puts a folder first on the PATH that a command in the container is given.
fn beginning_with(folder: &str, stdin: &[u8]) -> Vec<u8> {
    let before = b"export PATH='";
    let Some(at) = stdin.windows(before.len()).position(|part| part == before) else {
        return stdin.to_vec();
    };
    let (head, tail) = stdin.split_at(at + before.len());
    [head, folder.as_bytes(), b":", tail].concat()
}
