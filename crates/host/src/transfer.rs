//! Files that are too large, or too secret, to pass through memory and answers: a command's input from a file, its
//! output into one. The file is always on the machine that we run on, also where the command is in a container.

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::process::ChildStdout;
use std::sync::{Arc, Mutex};

/// Where a command's standard output goes in place of [`crate::Output::stdout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Save {
    /// Made anew, mode 0600; what was there is gone.
    pub path: String,
    /// A command that prints more is ended: what a container sends is its own choice, the disk is ours.
    pub most: u64,
}

/// What came to lie there, as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
}

pub(crate) type Work = Box<dyn FnOnce(ChildStdout) + Send>;

/// The receiving end, filled by a thread.
pub(crate) struct Receiver {
    request: Save,
    file: File,
    received: Arc<Mutex<Option<io::Result<Saved>>>>,
}

impl Receiver {
    /// Before the command starts: where nothing can be written, nothing is begun.
    pub(crate) fn open(request: &Save) -> Result<Self> {
        // Not through a link that somebody laid there.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let private = Mode::RUSR | Mode::WUSR;
        let open = || {
            let file = rustix::fs::open(&request.path, flags, private)?;
            // One that was there keeps its own mode.
            rustix::fs::fchmod(&file, private)?;
            Ok::<_, rustix::io::Errno>(file)
        };
        let file = open().with_context(|| format!("creating {}", request.path))?;
        Ok(Self {
            request: request.clone(),
            file: file.into(),
            received: Arc::default(),
        })
    }

    /// What a thread does with the stream; it lets go of the stream where it cannot go on, which ends the command.
    pub(crate) fn work(&self) -> Result<Work> {
        let file = self.file.try_clone().context("opening the file once more")?;
        let (most, received) = (self.request.most, Arc::clone(&self.received));
        Ok(Box::new(move |stream| {
            let result = receive(stream, file, most);
            if let Ok(mut received) = received.lock() {
                *received = Some(result);
            }
        }))
    }

    /// What was received, on disk; an error where it was not all.
    pub(crate) fn finish(self) -> Result<Saved> {
        let received = self.received.lock().ok().and_then(|mut received| received.take());
        let path = &self.request.path;
        let saved = received
            .unwrap_or_else(|| Err(io::Error::other("its end was not seen")))
            .with_context(|| format!("writing {path}"))?;
        self.file
            .sync_all()
            .with_context(|| format!("writing {path} to disk"))?;
        Ok(saved)
    }
}

fn receive(mut stream: impl Read, mut file: File, most: u64) -> io::Result<Saved> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; 64 << 10];
    let mut bytes = 0;
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            let sha256 = format!("{:x}", hasher.finalize());
            return Ok(Saved { bytes, sha256 });
        }
        bytes += count as u64;
        if bytes > most {
            return Err(io::Error::other(format!(
                "more came than the {most} bytes that it may have"
            )));
        }
        file.write_all(&buffer[..count])?;
        hasher.update(&buffer[..count]);
    }
}
