//! push and pull. The trap: what fails inside their task is printed to stderr, and the exit code is 0 all the same.

use super::args::Call;
use super::failure::{Failure, Outcome};
use super::host::Host;
use super::lock::{self, Caller};
use super::show;
use rustix::fs::{Gid, Mode, OFlags, ResolveFlags, Uid, fchmod, fchown, openat2};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

pub(crate) fn push(host: &Host, call: &Call) -> Outcome {
    if !host.is_running(call.vmid()) {
        return Err(Failure::plain("can only push files to a running CT"));
    }
    worker(host, call, |root| {
        let (source, target) = (call.positional(1), call.positional(2));
        let mut from = File::open(source).map_err(|_| format!("failed to open {source} for reading"))?;
        if from.metadata().is_ok_and(|found| found.is_dir()) {
            return Err(format!("failed to open {source} for reading"));
        }
        let owner = Owner::parse(call, |path| {
            inside(root, Path::new(path), OFlags::RDONLY).map_err(drop)
        })?;
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let path = Path::new("/").join(target);
        let mut to = inside(root, &path, create)
            .map_err(|error| format!("failed to create file: {target}: {}", strerror(&error)))?;
        owner.apply(&to)?;
        copy(&mut from, &mut to);
        Ok(())
    })
}

pub(crate) fn pull(host: &Host, call: &Call) -> Outcome {
    if !host.is_running(call.vmid()) {
        return Err(Failure::at_line("can only pull files from a running VM", 664));
    }
    worker(host, call, |root| {
        let (source, target) = (call.positional(1), call.positional(2));
        // Made before the source is looked for: a failed pull leaves an empty file.
        let mut to = File::create(target)
            .map_err(|error| format!("failed to create file: {target}: {}", strerror(&error)))?;
        let owner = Owner::parse(call, |path| File::open(path).map_err(drop))?;
        let mut from = inside(root, &Path::new("/").join(source), OFlags::RDONLY)
            .map_err(|error| format!("failed to open {source}: {}", strerror(&error)))?;
        owner.apply(&to)?;
        copy(&mut from, &mut to);
        Ok(())
    })
}

fn worker(host: &Host, call: &Call, work: impl FnOnce(&File) -> Result<(), String>) -> Outcome {
    let vmid = call.vmid();
    let _lock = lock::take(host, vmid, Caller::Direct)?;
    let root = container_root(host, vmid)
        .ok_or_else(|| Failure::plain(format!("unable to get PID for CT {vmid} (not running?)")))?;
    if let Err(text) = work(&root) {
        eprintln!("{text}");
    }
    Ok(0)
}

/// The container's root as its init sees it, mounts included.
fn container_root(host: &Host, vmid: &str) -> Option<File> {
    let pid = show::init_pid(host, vmid)?;
    let path = if host.is_real() {
        PathBuf::from(format!("/proc/{pid}/root"))
    } else {
        host.path(&format!("/proc/{pid}/root"))
    };
    File::open(path).ok()
}

/// Opens a path below the container's root; a link in it cannot lead out.
fn inside(root: &File, path: &Path, flags: OFlags) -> Result<File, std::io::Error> {
    let mode = if flags.contains(OFlags::CREATE) {
        Mode::from_raw_mode(0o666)
    } else {
        Mode::empty()
    };
    let relative = path.strip_prefix("/").unwrap_or(path);
    Ok(File::from(openat2(
        root,
        relative,
        flags | OFlags::CLOEXEC,
        mode,
        ResolveFlags::IN_ROOT,
    )?))
}

/// Whether the copy succeeded is not looked at, as in the original.
fn copy(from: &mut File, to: &mut File) {
    let mut chunk = vec![0; 1 << 20];
    while let Ok(n) = from.read(&mut chunk) {
        if n == 0 || to.write_all(&chunk[..n]).is_err() {
            return;
        }
    }
}

#[derive(Default)]
struct Owner {
    user: Option<u32>,
    group: Option<u32>,
    mode: Option<u32>,
}

impl Owner {
    fn parse(call: &Call, open: impl Fn(&str) -> Result<File, ()>) -> Result<Self, String> {
        let number = |option: &str, file: &str, word: &str| match call.option(option) {
            None => Ok(None),
            Some(name) => look_up(name, &open, file)
                .map(Some)
                .ok_or_else(|| format!("failed to get {word} for: {name}")),
        };
        let mode = match call.option("perms") {
            None => None,
            Some(text) => {
                Some(mode(text).ok_or_else(|| format!("invalid mode: '0{}'", text.trim_start_matches('0')))?)
            }
        };
        Ok(Self {
            user: number("user", "/etc/passwd", "uid")?,
            group: number("group", "/etc/group", "gid")?,
            mode,
        })
    }

    fn apply(&self, file: &File) -> Result<(), String> {
        if let Some(mode) = self.mode {
            fchmod(file, Mode::from_raw_mode(mode))
                .map_err(|error| format!("failed to change file mode: {error}"))?;
        }
        if self.user.is_some() || self.group.is_some() {
            let found = file
                .metadata()
                .map_err(|error| format!("failed to change file owner: {error}"))?;
            let user = Uid::from_raw(self.user.unwrap_or_else(|| found.uid()));
            let group = Gid::from_raw(self.group.unwrap_or_else(|| found.gid()));
            fchown(file, Some(user), Some(group))
                .map_err(|error| format!("failed to change file owner: {error}"))?;
        }
        Ok(())
    }
}

/// A number, or a name of `/etc/passwd` or `/etc/group`.
fn look_up(name: &str, open: &impl Fn(&str) -> Result<File, ()>, path: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let mut text = String::new();
    open(path).ok()?.read_to_string(&mut text).ok()?;
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// Octal with or without its zero, or hexadecimal; nothing symbolic.
fn mode(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
        None => u32::from_str_radix(text, 8).ok(),
    }
}

/// The system's words alone, without the number that Rust adds.
fn strerror(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::mode;

    #[test]
    fn modes_are_octal_or_hexadecimal() {
        assert_eq!([mode("644"), mode("0644"), mode("0x1a4")], [Some(0o644); 3]);
        assert_eq!([mode("u+rw"), mode("0o644"), mode("689")], [None; 3]);
    }
}
