//! Commands whose input comes from a file, and whose output goes into one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use host::{Command, Failure, Host, Kind, LocalHost};
use sha2::{Digest, Sha256};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

const MOST: u64 = 1 << 30;

fn path(folder: &tempfile::TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// Far more than a pipe holds.
fn large() -> Vec<u8> {
    (0..=255_u8).cycle().take(4 << 20).collect()
}

#[test]
fn what_is_printed_lies_in_a_private_file_and_is_hashed_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (path(&folder, "from"), path(&folder, "to"));
    std::fs::write(&from, large()).unwrap();
    // One that others could read, from an earlier run.
    std::fs::write(&to, "old").unwrap();
    std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = LocalHost::new()
        .run(&Command::new(["cat", &from]).save(&to, MOST))
        .unwrap();
    let saved = output.saved.unwrap();
    assert_eq!((output.stdout.len(), output.status), (0, 0));
    assert_eq!(saved.bytes, large().len() as u64);
    assert_eq!(saved.sha256, format!("{:x}", Sha256::digest(large())));
    assert!(std::fs::read(&to).unwrap() == large());
    assert_eq!(std::fs::metadata(&to).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn a_file_follows_the_other_input() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (path(&folder, "from"), path(&folder, "to"));
    std::fs::write(&from, large()).unwrap();
    let command = Command::new(["cat"]).stdin("head\n").send(&from).save(&to, MOST);
    LocalHost::new().run(&command).unwrap();
    assert!(std::fs::read(&to).unwrap() == [b"head\n".as_slice(), &large()].concat());

    let error = LocalHost::new()
        .run(&Command::new(["cat"]).send(path(&folder, "none")))
        .unwrap_err();
    assert!(format!("{error:#}").contains("none"), "{error:#}");
}

#[test]
fn a_command_that_prints_too_much_is_ended_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let to = path(&folder, "to");
    let command = Command::new(["cat", "/dev/zero"]).save(&to, 100_000);
    let error = LocalHost::new().run(&command).unwrap_err();
    let failure = Failure::of(&error).unwrap();
    assert_eq!(failure.kind, Kind::CommandFailed);
    assert!(
        failure.detail.contains("more came than the 100000 bytes"),
        "{failure}"
    );
    assert!(!Path::new(&to).exists());
}

#[test]
fn what_cannot_be_written_is_an_error_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (ran, link) = (path(&folder, "ran"), path(&folder, "link"));
    std::os::unix::fs::symlink(path(&folder, "elsewhere"), &link).unwrap();
    for to in [path(&folder, "no/such/folder"), link] {
        let error = LocalHost::new()
            .run(&Command::new(["touch", &ran]).save(&to, MOST))
            .unwrap_err();
        assert!(format!("{error:#}").contains(&to), "{error:#}");
    }
    assert!(!Path::new(&ran).exists() && !folder.path().join("elsewhere").exists());
}

#[test]
fn an_interrupted_stream_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let to = path(&folder, "to");
    let slow = Command::new(["sh", "-c", "echo begun; sleep 60"]).save(&to, MOST);
    let error = LocalHost::new()
        .run(&slow.within(Duration::from_millis(300)))
        .unwrap_err();
    assert_eq!(Failure::of(&error).unwrap().kind, Kind::TimedOut);
    // Gone, but what it left holds the stream open: nobody can say whether all has come.
    let left = Command::new(["sh", "-c", "echo begun; sleep 9 &"]).save(&to, MOST);
    let error = LocalHost::new()
        .run(&left.within(Duration::from_secs(2)))
        .unwrap_err();
    assert!(format!("{error:#}").contains("its end was not seen"), "{error:#}");
    assert!(!Path::new(&to).exists());
}

#[test]
fn the_status_is_still_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    let to = path(&folder, "to");
    let output = LocalHost::new()
        .run(&Command::new(["sh", "-c", "echo some; echo why >&2; exit 3"]).save(&to, MOST))
        .unwrap();
    assert_eq!((output.status, output.error_text().as_str()), (3, "why\n"));
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "some\n");
}
