//! Names, passwords and identities that differ each time.

use crate::version::hex;

fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    // Ring reads the kernel's generator, which does not fail on a running system; zeros would only make a
    // duplicate name, and that is refused as such.
    let _ = rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut buffer);
    buffer
}

pub fn secret() -> String {
    hex(&bytes::<16>())
}

/// The suffix of an etcd member or of a node's name.
pub fn short_id() -> String {
    hex(&bytes::<4>())
}

pub fn uid() -> String {
    let mut b = bytes::<16>();
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let text = hex(&b);
    [
        &text[..8],
        &text[8..12],
        &text[12..16],
        &text[16..20],
        &text[20..],
    ]
    .join("-")
}

/// The end of a generated name, from the letters that Kubernetes uses.
pub fn suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    bytes::<5>()
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect()
}
