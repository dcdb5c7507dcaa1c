//! Reading what a child prints, bounded.

use std::io::Read;

/// What is kept of each stream. A node's own word is untrusted input: without a bound one command could
/// fill the memory of the Proxmox host.
pub(crate) const LIMIT: usize = 64 << 20;
/// The end is kept as well: it holds our end mark and, usually, the reason of a failure.
const TAIL: usize = 64 << 10;

#[derive(Default)]
pub(crate) struct Captured {
    pub(crate) bytes: Vec<u8>,
    pub(crate) truncated: bool,
}

/// Collects what is pushed to it: all up to the limit, then only the end.
#[derive(Default)]
pub(crate) struct Collector {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Collector {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = LIMIT.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.tail.extend_from_slice(&bytes[room..]);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }

    pub(crate) fn take(&mut self) -> Captured {
        let truncated = !self.tail.is_empty();
        let mut bytes = std::mem::take(&mut self.head);
        bytes.append(&mut self.tail);
        Captured { bytes, truncated }
    }
}

/// Reads to the end of `stream`, handing each piece to `sink`.
pub(crate) fn drain(mut stream: impl Read, mut sink: impl FnMut(&[u8])) {
    let mut buffer = vec![0_u8; 64 << 10];
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            break;
        }
        sink(&buffer[..count]);
    }
}
