//! Writes the seeds of a fuzz target into a folder: `corpus TARGET FOLDER`.
#![allow(
    clippy::disallowed_methods,
    reason = "a program for tests, on this machine only"
)]

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [target, folder] = arguments.as_slice() else {
        return Err(std::io::Error::other("usage: corpus TARGET FOLDER"));
    };
    for (number, seed) in (hostile::target(target).seeds)().iter().enumerate() {
        std::fs::write(format!("{folder}/seed-{number}"), seed)?;
    }
    Ok(())
}
