//! Lines on stderr in the shape of k3s's log, which scripts read from the journal.

use crate::clock;

pub fn info(text: &str) {
    line("info", text);
}

pub fn warn(text: &str) {
    line("warning", text);
}

pub fn error(text: &str) {
    line("error", text);
}

pub fn fatal(text: &str) {
    line("fatal", text);
}

fn line(level: &str, text: &str) {
    eprintln!("time=\"{}\" level={level} msg={text:?}", clock::nanoseconds());
}
