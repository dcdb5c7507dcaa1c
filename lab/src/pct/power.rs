//! start, stop, shutdown, reboot: tasks. None of them is idempotent, and under HA they only ask.

use super::args::Call;
use super::conf::{self, refuse_locked};
use super::failure::{Failure, Outcome};
use super::host::{self, Host, refuse_tainted};
use super::lock::{self, Caller};
use super::{lxc_conf, set};
use crate::cgroup;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) fn start(host: &Host, call: &Call) -> Outcome {
    let vmid = call.vmid();
    if host.is_running(vmid) {
        return Err(Failure::plain(format!("CT {vmid} already running")));
    }
    let faults = host.faults_of(vmid);
    if faults.ha {
        println!("Requesting HA start for CT {vmid}");
        return later(host, "start", vmid, faults.start_delay_ms);
    }
    std::thread::sleep(Duration::from_millis(faults.start_delay_ms));
    task(|| {
        let _lock = lock::take(host, vmid, Caller::Task)?;
        start_locked(host, vmid, call.flag("skiplock", false))
    })
}

/// Under the lock file; also the second half of a reboot and of a rollback.
pub(crate) fn start_locked(host: &Host, vmid: &str, skiplock: bool) -> Outcome {
    let mut conf = conf::load(host, vmid)?;
    if !skiplock {
        refuse_locked(&conf, &["mounted"])?;
    }
    if conf.main.get("template") == Some("1") {
        return Err(Failure::plain("you can't start a CT if it's a template"));
    }
    if conf.section(conf::PENDING).is_some() {
        conf.apply_pending();
        conf::store(host, vmid, &conf)?;
    }
    refuse_tainted(3097)?;
    let folder = host.container(vmid);
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(folder.join("config"), lxc_conf::render(host, vmid, &conf)))
        .map_err(|error| Failure::plain(format!("unable to write the LXC configuration - {error}")))?;
    if host.is_real() {
        // A start that failed leaves cgroups behind, and LXC refuses to use them again.
        cgroup::remove_stale(&[vmid.to_owned(), format!("monitor-{vmid}")]);
    }
    if replay(host.lxc("lxc-start").args(["-n", vmid, "-d"])) {
        return Ok(0);
    }
    Err(Failure::plain(format!("startup for container '{vmid}' failed")))
}

pub(crate) fn stop(host: &Host, call: &Call) -> Outcome {
    let tolerated: &[&str] = if call.flag("skiplock", false) {
        &set::EVERY_LOCK
    } else {
        &["mounted"]
    };
    ask_to_stop(host, call, tolerated, |vmid| {
        let mut command = host.lxc("lxc-stop");
        command.args(["-n", vmid, "--kill"]);
        command
    })
}

pub(crate) fn shutdown(host: &Host, call: &Call) -> Outcome {
    let timeout = call.option("timeout").unwrap_or("60").to_owned();
    let force = call.flag("forceStop", false);
    ask_to_stop(host, call, &[], |vmid| {
        let mut command = host.lxc("lxc-stop");
        command.args(["-n", vmid, "--timeout", &timeout]);
        if !force {
            command.arg("--nokill");
        }
        command
    })
}

fn ask_to_stop(host: &Host, call: &Call, tolerated: &[&str], how: impl Fn(&str) -> Command) -> Outcome {
    let vmid = call.vmid();
    if !host.is_running(vmid) {
        return Err(Failure::plain(format!("CT {vmid} not running")));
    }
    let faults = host.faults_of(vmid);
    if faults.ha {
        println!("Requesting HA stop for CT {vmid}");
        return later(host, "stop", vmid, faults.start_delay_ms);
    }
    task(|| {
        let _lock = lock::take(host, vmid, Caller::Task)?;
        refuse_locked(&conf::load(host, vmid)?, tolerated)?;
        refuse_tainted(3219)?;
        replay(&mut how(vmid));
        if wait_stopped(host, vmid) {
            Ok(0)
        } else {
            Err(Failure::plain("container did not stop"))
        }
    })
}

/// LXC answers before the command socket has gone.
pub(crate) fn wait_stopped(host: &Host, vmid: &str) -> bool {
    for _ in 0..250 {
        if !host.is_running(vmid) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

pub(crate) fn reboot(host: &Host, call: &Call) -> Outcome {
    let vmid = call.vmid();
    if !host.is_running(vmid) {
        return Err(Failure::plain(format!("VM {vmid} not running")));
    }
    task(|| {
        let _lock = lock::take(host, vmid, Caller::Task)?;
        refuse_tainted(3281)?;
        replay(
            host.lxc("lxc-stop")
                .args(["-n", vmid, "--timeout", call.option("timeout").unwrap_or("60")]),
        );
        if !wait_stopped(host, vmid) {
            return Err(Failure::plain("container did not stop"));
        }
        // The lock property is looked at only now: a locked container ends up stopped.
        start_locked(host, vmid, false)
    })
}

/// The exit code and the stream of a task's failure.
pub(crate) fn task(work: impl FnOnce() -> Outcome) -> Outcome {
    work().map_err(Failure::in_task)
}

/// Runs a program with both its streams on our stdout, as a task's are. True when it succeeded.
pub(crate) fn replay(command: &mut Command) -> bool {
    let Ok(output) = command.stdin(Stdio::null()).output() else {
        return false;
    };
    print!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.status.success()
}

/// The HA stack's part: the same command, done by somebody else, some time after we have returned.
fn later(host: &Host, verb: &str, vmid: &str, delay_ms: u64) -> Outcome {
    let (program, option) = if verb == "start" {
        ("lxc-start", "-d")
    } else {
        ("lxc-stop", "--kill")
    };
    let seconds = format!("{}.{:03}", delay_ms / 1000, delay_ms % 1000);
    let mut command = host::program("setsid");
    let script = "sleep \"$1\"; exec \"$2\" -n \"$3\" \"$4\"";
    command
        .args(["sh", "-c", script, "ha", &seconds])
        .arg(host.lxc(program).get_program())
        .args([vmid, option]);
    if verb == "start" {
        let conf = conf::load(host, vmid)?;
        let folder = host.container(vmid);
        let written = fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("config"), lxc_conf::render(host, vmid, &conf)));
        written
            .map_err(|error| Failure::plain(format!("unable to write the LXC configuration - {error}")))?;
    }
    let spawned = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    spawned
        .map(|_| 0)
        .map_err(|error| Failure::plain(format!("unable to reach the HA stack - {error}")))
}
