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

/// A line of one of Kubernetes' own components, which write in another form.
pub fn component(level: char, place: &str, text: &str) {
    let now = time::OffsetDateTime::now_utc();
    let (month, day) = (u8::from(now.month()), now.day());
    let (hour, minute, second, micro) = now.to_hms_micro();
    let pid = std::process::id();
    eprintln!(
        "{level}{month:02}{day:02} {hour:02}:{minute:02}:{second:02}.{micro:06} {pid:>7} {place}] {text}"
    );
}

fn line(level: &str, text: &str) {
    eprintln!("time=\"{}\" level={level} msg={text:?}", clock::seconds());
}
