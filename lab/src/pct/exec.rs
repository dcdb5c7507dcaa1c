//! `pct exec` and `pct enter`: the process is replaced by lxc-attach, so its exit code is lxc-attach's.

use super::args::Call;
use super::conf;
use super::failure::{Failure, Outcome};
use super::faults::Faults;
use super::host::{Host, refuse_tainted};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

pub(crate) fn exec(host: &Host, call: &Call) -> Outcome {
    let faults = attachable(host, call)?;
    if call.extra.is_empty() {
        return Err(Failure::at_line("missing command", 246));
    }
    let mut command = attach(host, call, &faults, 253)?;
    command.arg("--").args(&call.extra);
    replace(command, &faults)
}

pub(crate) fn enter(host: &Host, call: &Call) -> Outcome {
    let faults = attachable(host, call)?;
    replace(attach(host, call, &faults, 210)?, &faults)
}

fn attachable(host: &Host, call: &Call) -> Outcome<Faults> {
    let vmid = call.vmid();
    let faults = host.faults_of(vmid);
    if faults.no_keep_env && call.option("keep-env").is_some() {
        let usage = super::args::EXEC.usage();
        return Err(Failure::plain(format!(
            "Unknown option: keep-env\n400 unable to parse option\n{usage}"
        )));
    }
    conf::load(host, vmid)?;
    if !host.is_running(vmid) {
        return Err(Failure::plain(format!("container '{vmid}' not running!")));
    }
    Ok(faults)
}

fn attach(host: &Host, call: &Call, faults: &Faults, line: u32) -> Outcome<Command> {
    refuse_tainted(line)?;
    let vmid = call.vmid();
    std::thread::sleep(Duration::from_millis(faults.slow_ms));
    if host.take_attach_race(vmid) {
        let source = format!("lxc-attach: {vmid}: ../src/lxc/attach.c:");
        return Err(Failure::new(
            1,
            format!(
                "{source} get_attach_context: 405 Connection refused - Failed to get init pid\n\
                 {source} lxc_attach: 1469 Connection refused - Failed to get attach context"
            ),
        ));
    }
    let mut command = host.lxc("lxc-attach");
    command.args(["-n", vmid]);
    if !faults.no_keep_env {
        command.arg(if call.flag("keep-env", true) {
            "--keep-env"
        } else {
            "--clear-env"
        });
        command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    }
    Ok(command)
}

fn replace(mut command: Command, faults: &Faults) -> Outcome {
    if faults.old_lxc {
        return as_old_lxc(&mut command);
    }
    let error = command.exec();
    Err(Failure::plain(format!("failed to exec lxc-attach: {error}")))
}

/// LXC up to 5.0.1 reported no death of a command by a signal.
fn as_old_lxc(command: &mut Command) -> Outcome {
    let status = command
        .status()
        .map_err(|error| Failure::plain(format!("failed to exec lxc-attach: {error}")))?;
    Ok(match status.code() {
        Some(126) => 255,
        Some(129..=192) | None => 0,
        Some(code) => u8::try_from(code).unwrap_or(255),
    })
}
