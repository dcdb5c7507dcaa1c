//! What real programs printed, as far as several crates read it. A file is named by program and version; one that was
//! written by hand in the shape that a version's sources and documents give says so in its name.

use std::path::Path;

/// The text of `crates/testbed/recorded/<name>`.
pub fn recorded(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
