//! A short run of every fuzz target: its seeds, and mutations of them by fixed seeds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests, which measure the time"
)]

mod common;

use common::used;
use hostile::{Mutator, TARGETS, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// An input is a few KB; a step for each pair of bytes needs longer.
const SLOWEST: Duration = Duration::from_secs(5);

fn run(target: &Target, what: &str, input: &[u8]) {
    let before = used();
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let shown = String::from_utf8_lossy(&input[..input.len().min(2000)]).into_owned();
    assert!(ended.is_ok(), "{}: {what} panics: {shown:?}", target.name);
    let took = used().saturating_sub(before);
    assert!(
        took < SLOWEST,
        "{}: {what} takes {took:?}: {shown:?}",
        target.name
    );
}

fn mutated(name: &str, count: u64) {
    let target = hostile::target(name);
    let seeds = (target.seeds)();
    for (number, seed) in seeds.iter().enumerate() {
        run(target, &format!("seed {number}"), seed);
    }
    for number in 0..count {
        let input = Mutator::new(number).input(&seeds);
        run(target, &format!("mutation {number}"), &input);
    }
}

macro_rules! short_runs {
    ($($name:ident $count:literal;)*) => {
        $(
            #[test]
            fn $name() {
                mutated(stringify!($name), $count);
            }
        )*

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            let all: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(run.as_slice(), all);
        }
    };
}

short_runs! {
    arguments 4000;
    modules 8000;
    channel 500;
    kubeconfig 3000;
    versions 4000;
    yaml 3000;
    config 3000;
    pem 3000;
    unit 4000;
    env_file 4000;
    facts 4000;
    kubectl 4000;
    pct 4000;
    etcd 4000;
}

#[test]
fn makes_the_same_input_from_the_same_seed() {
    let seeds = (hostile::target("yaml").seeds)();
    assert_eq!(Mutator::new(7).input(&seeds), Mutator::new(7).input(&seeds));
    assert_ne!(Mutator::new(7).input(&seeds), Mutator::new(8).input(&seeds));
}
