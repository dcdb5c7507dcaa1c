//! A long run without libFuzzer: `mutate SECONDS SEED`. Every target in turn, with mutations by a seed; says at the end how
//! many inputs there were, how long the slowest took, and what memory the process had at most.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program for tests, on this machine only"
)]

use hostile::{Mutator, TARGETS};
use std::time::{Duration, Instant};

/// Inputs of one target before it is the next one's turn.
const TURN: u64 = 2000;

fn main() {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let [seconds, seed] = numbers.as_slice() else {
        println!("usage: mutate SECONDS SEED");
        return;
    };
    let seeds = TARGETS.map(|target| (target.seeds)());
    let mut counts = [0_u64; TARGETS.len()];
    let mut slowest = [Duration::ZERO; TARGETS.len()];
    let started = Instant::now();
    while started.elapsed().as_secs() < *seconds {
        for (at, target) in TARGETS.iter().enumerate() {
            let turn = Instant::now();
            for number in counts[at]..counts[at] + TURN {
                let input = Mutator::new(seed.wrapping_add(number)).input(&seeds[at]);
                let began = Instant::now();
                (target.run)(&input);
                slowest[at] = slowest[at].max(began.elapsed());
                counts[at] += 1;
                // A slow target takes no more time than the others.
                if turn.elapsed().as_millis() > 300 {
                    break;
                }
            }
        }
    }
    for (at, target) in TARGETS.iter().enumerate() {
        println!("{} {} inputs, slowest {:?}", target.name, counts[at], slowest[at]);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!(
        "{} inputs, {}",
        counts.iter().sum::<u64>(),
        peak.unwrap_or_default()
    );
}
