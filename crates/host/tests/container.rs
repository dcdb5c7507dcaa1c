//! A container reached through a `pct` on PATH that behaves as reference and recordings say.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use host::{Command, Failure, FileToWrite, Host, InContainer, Kind, LocalHost, LockRequest};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;
use tempfile::TempDir;

/// `pct` as text: `exec` runs on this machine. The variants imitate what real ones do besides.
fn pct(folder: &TempDir, before_exec: &str) {
    let text = format!(
        r#"#!/bin/sh
printf '%s\n' "$*" >> {0}/calls
case "$1 $2" in
"status 101") echo "status: running";;
"status 102") echo "status: stopped";;
"exec 101") {before_exec}
while [ "$1" != "--" ]; do shift; done; shift; exec env -i container=lxc TERM=linux "$@";;
"exec 102") echo "container '102' not running!" >&2; exit 255;;
*) echo "Configuration file 'nodes/pve1/lxc/$2.conf' does not exist" >&2; exit 2;;
esac
"#,
        folder.path().display()
    );
    testbed::write_programs([(folder.path().join("pct"), text.as_str())]);
}

/// A host whose `pct` is the one in `folder`: what a PATH would do, without changing that of the test.
struct Here {
    local: LocalHost,
    pct: String,
    /// What a call of it may take at most.
    limit: Duration,
    /// A folder of programs that come before all others.
    programs: Option<String>,
}

impl Here {
    fn new(folder: &TempDir) -> Self {
        Self {
            local: LocalHost::new(),
            pct: folder.path().join("pct").display().to_string(),
            limit: Duration::MAX,
            programs: None,
        }
    }
}

impl Host for Here {
    fn location(&self) -> String {
        "pve1".to_owned()
    }
    fn run(&self, command: &Command) -> anyhow::Result<host::Output> {
        let mut command = command.clone();
        if command.program() == "pct" {
            command.argv[0].clone_from(&self.pct);
            command.limit = command.limit.min(self.limit);
        }
        if let Some(programs) = &self.programs {
            command
                .stdin
                .splice(0..0, format!("PATH={programs}:$PATH\n").into_bytes());
        }
        self.local.run(&command)
    }
    fn read(&self, path: &str) -> anyhow::Result<Option<Vec<u8>>> {
        self.local.read(path)
    }
    fn write(&self, file: &FileToWrite) -> anyhow::Result<()> {
        self.local.write(file)
    }
    fn remove(&self, path: &str) -> anyhow::Result<()> {
        self.local.remove(path)
    }
    fn now(&self) -> std::time::SystemTime {
        self.local.now()
    }
    fn elapsed(&self) -> Duration {
        self.local.elapsed()
    }
    fn sleep(&self, duration: Duration) {
        self.local.sleep(duration.min(Duration::from_millis(1)));
    }
    fn unique(&self) -> String {
        self.local.unique()
    }
    fn outside(&self) -> &dyn Host {
        self
    }
    fn lock(&self, request: &LockRequest) -> anyhow::Result<host::Held> {
        self.local.lock(request)
    }
}

fn container(folder: &TempDir, vmid: u32, before_exec: &str) -> InContainer<Here> {
    pct(folder, before_exec);
    InContainer::new(Here::new(folder), vmid)
}

fn kind(error: &anyhow::Error) -> Kind {
    Failure::of(error).unwrap_or_else(|| panic!("{error:#}")).kind
}

#[test]
fn what_pct_prints_around_a_command_is_not_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    let host = container(&folder, 101, "echo 'vm 101 - some deprecated key' >&2");
    let output = host
        .run(&Command::new(["sh", "-c", "echo own >&2; exit 3"]))
        .unwrap();
    assert_eq!((output.status, output.error_text().as_str()), (3, "own\n"));
}

#[test]
fn an_old_pct_without_keep_env_is_asked_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let old = "case \"$*\" in *--keep-env*) echo 'Unknown option: keep-env' >&2; echo '400 unable to parse option' >&2; exit 255;; esac";
    let host = container(&folder, 101, old);
    assert_eq!(host.run(&Command::new(["echo", "a"])).unwrap().text(), "a\n");
    assert_eq!(host.run(&Command::new(["echo", "b"])).unwrap().text(), "b\n");
    let calls = std::fs::read_to_string(folder.path().join("calls")).unwrap();
    assert_eq!(
        calls.matches("--keep-env").count(),
        1,
        "it is remembered: {calls}"
    );
}

#[test]
fn a_death_by_signal_that_old_lxc_reports_as_success_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let host = container(
        &folder,
        101,
        "while [ \"$1\" != -- ]; do shift; done; shift; env -i \"$@\"; exit 0",
    );
    assert_eq!(
        host.run(&Command::new(["sh", "-c", "kill -KILL $$"]))
            .unwrap()
            .status,
        137
    );
}

#[test]
fn a_container_that_is_coming_up_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let race = format!(
        "if [ ! -e {0}/raced ]; then touch {0}/raced; echo 'lxc-attach: 101: attach.c: get_attach_context: 405 Connection refused - Failed to get init pid' >&2; exit 1; fi",
        folder.path().display()
    );
    let host = container(&folder, 101, &race);
    assert_eq!(host.run(&Command::new(["echo", "in"])).unwrap().text(), "in\n");
}

#[test]
fn a_container_that_never_lets_anything_in_is_an_attach_failure() {
    let folder = tempfile::tempdir().unwrap();
    let host = container(
        &folder,
        101,
        "echo 'lxc-attach: Failed to get init pid' >&2; exit 1",
    );
    let error = host.run(&Command::new(["true"])).unwrap_err();
    assert_eq!(kind(&error), Kind::AttachFailed);
    assert!(error.to_string().contains("Failed to get init pid"), "{error}");
}

#[test]
fn distinguishes_stopped_and_missing_containers() {
    let folder = tempfile::tempdir().unwrap();
    let error = container(&folder, 102, "")
        .run(&Command::new(["true"]))
        .unwrap_err();
    assert_eq!(kind(&error), Kind::ContainerStopped);
    let error = container(&folder, 103, "")
        .run(&Command::new(["true"]))
        .unwrap_err();
    assert_eq!(kind(&error), Kind::ContainerMissing);
}

#[test]
fn a_container_that_stops_under_a_command_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let begun = folder.path().join("begun").to_str().unwrap().to_owned();
    let attach = format!(
        "while [ \"$1\" != -- ]; do shift; done; shift; exec 3<&0; env -i \"$@\" <&3 &\n\
         until [ -e {begun} ]; do sleep 0.01; done; kill -KILL $!; exit 1"
    );
    let host = container(&folder, 101, &attach);
    // It ends after the one that runs it, and by itself where nobody reaps that.
    let command = format!(
        "touch {begun}; i=0; while kill -0 $PPID 2>/dev/null && [ $i -lt 1000 ]; do sleep 0.01; i=$((i+1)); done"
    );
    let error = host.run(&Command::new(["sh", "-c", &command])).unwrap_err();
    assert_eq!(kind(&error), Kind::AttachFailed);
    assert!(error.to_string().contains("was interrupted"), "{error}");
}

#[test]
fn a_frozen_container_is_suspected_when_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    pct(&folder, "exec sleep 30");
    let hasty = Here {
        limit: Duration::from_secs(1),
        ..Here::new(&folder)
    };
    let error = InContainer::new(hasty, 101)
        .run(&Command::new(["true"]).within(Duration::from_secs(1)))
        .unwrap_err();
    assert_eq!(kind(&error), Kind::TimedOut);
    assert!(error.to_string().contains("frozen"), "{error}");
}

#[test]
fn files_are_read_written_and_removed_inside() {
    let folder = tempfile::tempdir().unwrap();
    let host = container(&folder, 101, "");
    let path = folder.path().join("a file");
    let name = path.to_str().unwrap();
    assert_eq!(host.read(name).unwrap(), None);
    host.write(&FileToWrite::private(name, b"one\0two\xff".to_vec()))
        .unwrap();
    assert_eq!(host.read(name).unwrap().unwrap(), b"one\0two\xff");
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    host.remove(name).unwrap();
    host.remove(name).unwrap();
    assert!(!path.exists());
}

#[test]
fn a_write_that_cannot_be_finished_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let host = LocalHost::new();
    let path = folder.path().join("missing/file");
    assert!(
        host.write(&FileToWrite::private(path.to_str().unwrap(), "x"))
            .is_err()
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_symbolic_link_stays_and_its_target_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (target, link) = (folder.path().join("target"), folder.path().join("link"));
    std::fs::write(&target, "old").unwrap();
    std::os::unix::fs::symlink("target", &link).unwrap();
    LocalHost::new()
        .write(&FileToWrite::private(link.to_str().unwrap(), "new"))
        .unwrap();
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "new");
    assert!(link.is_symlink());
}

#[test]
fn the_hosts_environment_does_not_leak() {
    let output = LocalHost::new()
        .run(&Command::new(["env"]).env("ONLY", "this"))
        .unwrap();
    let mut names: Vec<_> = output
        .text()
        .lines()
        .filter_map(|line| line.split('=').next().map(str::to_owned))
        .collect();
    names.sort();
    assert_eq!(names, ["HOME", "LC_ALL", "ONLY", "PATH", "TERM"]);
}

#[test]
fn names_the_holder_of_a_lock() {
    let host = LocalHost::new();
    let name = format!("test-{}", std::process::id());
    let request = |holder: &str, limit: Duration| LockRequest {
        name: name.clone(),
        holder: holder.to_owned(),
        limit,
    };
    // A child that another test starts just now has the lock too, for a moment.
    let patient = Duration::from_mins(1);
    let held = host.lock(&request("node_drain, process 7", patient)).unwrap();
    let Err(error) = host.lock(&request("k3s_install, process 8", Duration::from_millis(50))) else {
        panic!("two hold it")
    };
    assert!(error.to_string().contains("node_drain, process 7"), "{error}");
    drop(held);
    host.lock(&request("k3s_install, process 8", patient)).unwrap();
}

#[test]
fn files_pass_in_and_out_of_a_container() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    let content: Vec<u8> = (0..=255_u8).cycle().take(3_000_000).collect();
    std::fs::write(&from, &content).unwrap();
    // The first attach fails, as just after a start: the file is begun anew.
    let flaky = format!(
        "[ -e {0}/once ] || {{ touch {0}/once; echo 'some noise'; echo 'lxc-attach: failed' >&2; exit 1; }}",
        folder.path().display()
    );
    let host = container(&folder, 101, &flaky);
    let command = Command::new(["sh", "-c", "cat; echo said >&2"]).send(from.display().to_string());
    let output = host
        .run(&command.save(to.display().to_string(), 1 << 30))
        .unwrap();
    assert_eq!(
        (output.error_text().as_str(), output.saved.unwrap().bytes),
        ("said\n", 3_000_000)
    );
    assert!(std::fs::read(&to).unwrap() == content);
}

/// Whether a container counts as booted whose `systemctl` is this.
fn booted(systemctl: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("#!/bin/sh\n{systemctl}");
    testbed::write_programs([(folder.path().join("systemctl"), text.as_str())]);
    let inside = Here {
        programs: Some(folder.path().display().to_string()),
        ..Here::new(&folder)
    };
    let outcome = host::pct::wait_booted(&LocalHost::new(), &inside, 101, Duration::ZERO);
    outcome.map_err(|error| format!("{error:#}"))
}

#[test]
fn a_container_has_booted_although_only_k3s_is_still_starting() {
    let state = |state: &str, jobs: &str| {
        format!(
            "case $1 in\nis-system-running) echo {state}; [ {state} = running ] ;;\nlist-jobs) printf '{jobs}' ;;\nesac\n"
        )
    };
    let agent = "12 k3s-agent.service start running\\n7 multi-user.target start waiting\\n";
    for ready in [
        state("running", ""),
        state("degraded", ""),
        state("starting", agent),
        state("starting", &agent.replace("k3s-agent", "k3s")),
    ] {
        assert_eq!(booted(&ready), Ok(()), "{ready}");
    }
    for early in [
        state("initializing", agent),
        state("starting", ""),
        state("starting", &format!("{agent}9 ssh.service start running\\n")),
        state("starting", "12 k3s-agent.service start waiting\\n"),
    ] {
        let error = booted(&early).unwrap_err();
        assert!(error.contains("last seen: systemd is "), "{error}");
    }
}
