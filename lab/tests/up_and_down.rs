//! A lab leaves nothing behind, however it ends. Needs root, the packages and no lab that is up; so it is built only
//! when asked for: `cargo test -p lab --test up_and_down -- --test-threads 1`.

// The lint exempts test functions, but not their helpers; a test starts programs itself.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LAB: &str = env!("CARGO_BIN_EXE_lab");
const SYSCTLS: [&str; 3] = [
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
    "kernel/keys/maxkeys",
];

fn sysctls() -> Vec<String> {
    SYSCTLS
        .map(|name| fs::read_to_string(format!("/proc/sys/{name}")).unwrap())
        .into()
}

/// Everything of a lab that can be found on the machine.
fn leftovers() -> Vec<String> {
    let mut found = Vec::new();
    for path in [
        "/run/homelab-lab",
        "/sys/class/net/homelab0",
        "/sys/fs/cgroup/homelab-lab",
    ] {
        found.extend(Path::new(path).exists().then(|| path.to_owned()));
    }
    for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        let cgroup = hierarchy.path().join("homelab-lab");
        found.extend(cgroup.exists().then(|| cgroup.display().to_string()));
    }
    // The cache may well be a mount of the machine's own; what is below it may not.
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let ours = [
        "/run/homelab-lab",
        "/var/cache/homelab-lab/building",
        "/var/cache/homelab-lab/unpacking",
    ];
    found.extend(
        mounts
            .lines()
            .filter(|line| ours.iter().any(|path| line.contains(path)))
            .map(str::to_owned),
    );
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read_to_string(process.path().join("cmdline")).unwrap_or_default();
        found.extend(line.contains("/run/homelab-lab").then(|| line.replace('\0', " ")));
    }
    found
}

fn up(arguments: &[&str]) -> Child {
    let up = ["up", "--no-cluster", "--controllers", "2", "--pve", "2"];
    Command::new(LAB)
        .args(up)
        .args(arguments)
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(LAB).args(arguments).output().unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn after(milliseconds: u64) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(milliseconds) {
        std::thread::yield_now();
    }
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // Done already is as good as ended.
    let _ = kill_process(pid, signal);
}

#[test]
fn a_lab_that_was_up_is_gone_after_down() {
    let before = sysctls();
    assert!(up(&[]).wait().unwrap().success());
    let mut shell = Command::new(LAB)
        .args([
            "exec",
            "--host",
            "pve2",
            "--",
            "sh",
            "-c",
            "echo in; exec sleep 600",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Down ends what is on its hosts; a command that is still on its way there is not.
    let mut said = [0; 3];
    shell.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(run(&["down"]), (true, String::new()));
    assert_eq!(leftovers(), Vec::<String>::new());
    assert_eq!(sysctls(), before);
    assert!(
        !shell.wait().unwrap().success(),
        "a command on a host outlived it"
    );
    assert_eq!(run(&["down"]), (true, String::new()));
}

#[test]
fn ctrl_c_takes_down_what_was_made() {
    let before = sysctls();
    for (moment, signal) in [
        (50, Signal::INT),
        (250, Signal::TERM),
        (500, Signal::INT),
        (1000, Signal::HUP),
    ] {
        let mut child = up(&[]);
        after(moment);
        send(&child, signal);
        let done = child.wait().unwrap().success();
        if done {
            run(&["down"]);
        }
        assert_eq!(leftovers(), Vec::<String>::new(), "after {moment} ms");
        assert_eq!(sysctls(), before);
    }
}

#[test]
fn down_clears_up_after_a_killed_up() {
    let before = sysctls();
    for moment in [50, 150, 250, 350, 500, 1000] {
        let mut child = up(&[]);
        after(moment);
        send(&child, Signal::KILL);
        child.wait().unwrap();
        assert_eq!(run(&["down"]), (true, String::new()), "after {moment} ms");
        assert_eq!(leftovers(), Vec::<String>::new(), "after {moment} ms");
        assert_eq!(sysctls(), before);
    }
}

#[test]
fn of_two_labs_at_once_one_is_refused() {
    let mut first = up(&[]);
    // It makes that when it has the lock.
    while !Path::new("/run/homelab-lab").exists() {
        assert_eq!(first.try_wait().unwrap(), None, "the first lab did not come up");
    }
    let (done, text) = run(&["up", "--no-cluster"]);
    assert!(!done);
    let reasons = ["another lab command is at work", "`lab down` removes it"];
    assert!(reasons.iter().any(|reason| text.contains(reason)), "{text}");
    assert!(
        first.wait().unwrap().success(),
        "the first lab was hurt by the second"
    );
    assert_eq!(run(&["down"]), (true, String::new()));
}

#[test]
fn without_root_it_says_what_to_do() {
    // The program may lie where only root can go: anybody may run a copy in /tmp.
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let copy = folder.path().join("lab");
    testbed::copy_program(LAB, &copy);
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for verb in ["up", "down", "setup"] {
        let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
        let output = Command::new("setpriv")
            .args(nobody)
            .arg(&copy)
            .arg(verb)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && text.contains("run `sudo lab"),
            "{verb}: {text}"
        );
    }
}
