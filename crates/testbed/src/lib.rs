//! Fakes for the modules' tests: a host that follows a transcript, a node that is a folder, and programs on PATH.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "this crate is only ever linked into tests, where a panic is how a test fails"
)]

mod cases;
mod programs;
mod recorded;
mod sandbox;
mod scripted;
mod settled;
mod sidecar;

pub use cases::run_cases;
pub use programs::{Programs, copy_program, write_programs};
pub use recorded::recorded;
pub use sandbox::Sandbox;
pub use scripted::{Entry, Scripted};
pub use settled::assert_settles;
pub use sidecar::{Sidecar, assert_sidecar_describes};

/// The tests that every module has: its sidecar describes its options, and it does what its cases say.
#[macro_export]
macro_rules! module_tests {
    ($module:ty) => {
        #[test]
        fn the_sidecar_describes_the_options() {
            $crate::assert_sidecar_describes::<$module>();
        }

        #[test]
        fn cases() {
            $crate::run_cases::<$module>(env!("CARGO_MANIFEST_DIR"), "tests/cases.yml");
        }
    };
}
