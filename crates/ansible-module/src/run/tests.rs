#![allow(
    clippy::disallowed_methods,
    reason = "the test's own file and holder of the lock"
)]

use super::*;
use crate::Target;
use anyhow::bail;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::path::Path;
use std::thread;

/// Finds a folder of two files complete, as an installation may leave it for a moment.
struct Reader;

#[derive(Deserialize)]
struct Options {
    folder: String,
    lock: String,
    lock_timeout: u64,
}

#[derive(Serialize)]
struct Files {
    unit: bool,
    environment: bool,
}

impl Module for Reader {
    const NAME: &'static str = "reader";
    const DOC: &'static str = "";

    type Params = Options;
    type State = Files;
    type Step = Infallible;
    type Journal = ();
    type Returned = ();

    fn target(params: &Options) -> Target {
        Target {
            vmid: None,
            lock_timeout: Some(params.lock_timeout),
        }
    }

    fn lock_name(params: &Options) -> Option<String> {
        Some(params.lock.clone())
    }

    fn observe(params: &Options, _: &dyn Host) -> Result<Files> {
        let is_there = |name| Path::new(&params.folder).join(name).exists();
        Ok(Files {
            unit: is_there("unit"),
            environment: is_there("environment"),
        })
    }

    fn plan(_: &Options, files: &Files) -> Result<Plan<Infallible>> {
        if files.unit && files.environment {
            return Ok(Plan::default());
        }
        bail!("a file is missing")
    }

    fn apply(_: &Options, _: &dyn Host, step: &Infallible, (): &mut ()) -> Result<()> {
        match *step {}
    }

    fn report(_: &Options, _: &Files, _: &Files, (): &()) {}
}

/// What check mode answers while another module, which holds the lock for `held`, writes the second file at its end.
fn check(lock_timeout: u64, held: Duration) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    let lock = format!("test-{}", LocalHost::new().unique());
    let request = LockRequest {
        name: lock.clone(),
        holder: "k3s_install, process 7".to_owned(),
        limit: Duration::ZERO,
    };
    let host = LocalHost::new();
    let other = host.lock(&request).unwrap();
    std::fs::write(folder.path().join("unit"), "").unwrap();
    let options = Options {
        folder: folder.path().to_str().unwrap().to_owned(),
        lock,
        lock_timeout,
    };
    let call = Call {
        check_mode: true,
        ..Call::default()
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(held);
            std::fs::write(folder.path().join("environment"), "").unwrap();
            drop(other);
        });
        run::<Reader>(&options, &call, &host)
    })
}

#[test]
fn check_mode_reads_again_after_another_module_has_ended() {
    let answer = check(20, Duration::from_millis(400));
    assert!(!answer.failed, "{:?}", answer.msg);
}

#[test]
fn check_mode_names_the_module_that_does_not_end() {
    let msg = check(0, Duration::from_millis(400)).msg.unwrap();
    assert!(
        msg.contains("another module is running (k3s_install, process 7); waited 0 s"),
        "{msg}"
    );
}

#[test]
fn check_mode_reads_once_where_no_other_module_runs() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        folder: folder.path().to_str().unwrap().to_owned(),
        lock: format!("test-{}", LocalHost::new().unique()),
        lock_timeout: 20,
    };
    let call = Call {
        check_mode: true,
        ..Call::default()
    };
    let host = LocalHost::new();
    let answer = run::<Reader>(&options, &call, &host);
    assert_eq!(answer.msg.as_deref(), Some("a file is missing"));
    assert!(host.elapsed() < Duration::from_secs(5));
}
