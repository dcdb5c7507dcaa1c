//! Mutations by a seed: the same seed makes the same inputs on every machine.

use crate::SEPARATOR;

/// What parsers stumble over more often than over random bytes.
const WORDS: [&[u8]; 28] = [
    b"",
    b"\0",
    b"\n",
    b"\n\n",
    b"\"",
    b"'",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b": ",
    b"&a ",
    b"*a",
    b"- ",
    b"null",
    b"true",
    b"-1",
    b"9223372036854775807",
    b"18446744073709551616",
    b"1e999",
    b"9999-12-31T23:59:60Z",
    b"-----BEGIN CERTIFICATE-----\n",
    b"@end 0\n\n",
    "ä\u{2028}\u{feff}".as_bytes(),
    b"\xff\xfe",
    b"$(reboot)",
    &[SEPARATOR],
];
/// What an input may grow to.
const LARGEST: usize = 64 << 10;

pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, by the generator splitmix64.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = usize::try_from((mixed ^ (mixed >> 31)) >> 8).unwrap_or_default();
        mixed % end.max(1)
    }

    /// One of the seeds with a few changes, some of them pieces of another one.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let other = &seeds[self.below(seeds.len())];
            self.change(&mut input, other);
        }
        input.truncate(LARGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        let end = (at + self.below(64)).min(input.len());
        match self.below(7) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 => input.truncate(at),
            2 => drop(input.drain(at..end)),
            3 => {
                let piece: Vec<u8> = input[at..end].repeat(1 + self.below(8));
                input.splice(at..at, piece);
            }
            4 => {
                let from = self.below(other.len() + 1);
                let until = (from + self.below(256)).min(other.len());
                input.splice(at..end, other[from..until].iter().copied());
            }
            _ => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(at..at + (end - at).min(word.len()), word.iter().copied());
            }
        }
    }
}
