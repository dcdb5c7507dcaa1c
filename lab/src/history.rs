//! When each server's k3s was up: one line of JSON for each change, from the journal of systemd in its container. A test sees
//! there that never two servers were down at once.

use crate::layout::{Node, Role};
use crate::paths;
use crate::sshd;
use crate::state::State;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// After a container went: until then its next start may be over already, but not that of its k3s.
const RETRY: Duration = Duration::from_millis(300);

/// journalctl waits for ever in a container that has not made its journal yet.
const FOLLOW: &str =
    "until journalctl --quiet --lines=1 --output=cat _PID=1 2>/dev/null | grep -q .; do sleep 0.2; done
exec journalctl --follow --lines=all --output=json UNIT=k3s.service";

/// systemd's own numbers for what it says of a unit, and what becomes of the server then.
const MESSAGES: &[(&str, &str)] = &[
    ("7d4958e842da4a758f6c1cdc7b36dcc5", "starting"),
    ("39f53479d3a045ac8e11786248231fbf", "up"),
    ("de5b426a63be47a7b6ac3eaac82e2f6f", "stopping"),
    ("9d1aaa27d60140bd96365438aad20286", "down"),
    ("d9b373ed55a64feb8242e02dbe79a49c", "failed"),
];
/// The container is gone, or cannot be entered.
const LOST: &str = "lost";

fn file() -> PathBuf {
    paths::run("history.jsonl")
}

/// A recorder for each server, which lives as long as the lab.
pub fn start(state: &State) -> Result<()> {
    let own = std::env::current_exe().context("finding the lab's own program")?;
    let program = paths::run("lab");
    // A rebuild must not change a running lab.
    fs::copy(&own, &program).context("installing the recorder")?;
    for node in state.nodes().iter().filter(|node| node.role == Role::Controller) {
        let command = format!("exec {} record {}", program.display(), node.vmid);
        sshd::daemon(&node.host, &format!("history-{}", node.vmid), &command)?;
    }
    Ok(())
}

/// Follows a server for ever. Runs on its host.
pub fn record(node: &Node) -> Result<()> {
    let mut last = 0;
    loop {
        if follow(node, &mut last)? {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .context("reading the clock")?;
            append(node, now.as_secs_f64(), LOST)?;
        }
        std::thread::sleep(RETRY);
    }
}

/// Until the container goes. Whether anything was heard.
fn follow(node: &Node, last: &mut u64) -> Result<bool> {
    let mut child = Command::new("lxc-attach")
        .args([
            "-n",
            &node.vmid.to_string(),
            "--clear-env",
            "--",
            "sh",
            "-c",
            FOLLOW,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("starting lxc-attach")?;
    let mut heard = false;
    let Some(stdout) = child.stdout.take() else {
        return Ok(false);
    };
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { break };
        // After a new start of the container its old lines may come again.
        if let Some((time, event)) = read(&line).filter(|(time, _)| *time > *last) {
            *last = time;
            heard = true;
            append(node, Duration::from_micros(time).as_secs_f64(), event)?;
        }
    }
    child.wait().context("waiting for lxc-attach")?;
    Ok(heard)
}

/// A line of the journal: microseconds, and what happened.
fn read(line: &str) -> Option<(u64, &'static str)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let id = line["MESSAGE_ID"].as_str()?;
    let (_, event) = MESSAGES.iter().find(|(known, _)| *known == id)?;
    Some((line["__REALTIME_TIMESTAMP"].as_str()?.parse().ok()?, event))
}

fn append(node: &Node, time: f64, event: &str) -> Result<()> {
    let line = json!({"time": time, "server": node.name, "event": event});
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(file())
        .context("opening the history")?;
    // In one write: the recorders of other servers append too.
    file.write_all(format!("{line}\n").as_bytes())
        .context("writing the history")
}

/// The changes in their order, each with the servers that were up after it.
pub fn render() -> Result<String> {
    match fs::read_to_string(file()) {
        Ok(text) => Ok(in_order(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).context("reading the history"),
    }
}

fn in_order(text: &str) -> String {
    let mut changes: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let time = |change: &Value| change["time"].as_f64().unwrap_or_default();
    changes.sort_by(|a, b| time(a).total_cmp(&time(b)));
    let mut up: BTreeSet<String> = BTreeSet::new();
    let mut lines = String::new();
    for mut change in changes {
        let server = change["server"].as_str().unwrap_or_default().to_owned();
        match change["event"].as_str() {
            Some("up") => drop(up.insert(server)),
            Some("starting") => {}
            _ => drop(up.remove(&server)),
        }
        change["up"] = json!(up);
        lines.push_str(&format!("{change}\n"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemds_numbers_are_read_and_other_lines_are_not() {
        let line = |id: &str| json!({"MESSAGE_ID": id, "__REALTIME_TIMESTAMP": "7000001"}).to_string();
        assert_eq!(read(&line(MESSAGES[1].0)), Some((7_000_001, "up")));
        assert_eq!(read(&line("00000000000000000000000000000000")), None);
        assert_eq!(read("{\"MESSAGE\": \"Started k3s\"}"), None);
        assert_eq!(read("nonsense"), None);
    }

    #[test]
    fn each_change_says_who_is_up_after_it() {
        let line = |time: f64, server: &str, event: &str| {
            json!({"time": time, "server": server, "event": event}).to_string() + "\n"
        };
        let text = [
            line(2.0, "b", "up"),
            line(1.0, "a", "up"),
            line(3.5, "a", "down"),
            line(3.0, "a", "stopping"),
            line(4.0, "a", "starting"),
            line(5.0, "a", "up"),
            line(6.0, "b", "lost"),
        ];
        let lines = in_order(&text.concat());
        let up: Vec<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["up"].to_string())
            .collect();
        let wanted = [
            r#"["a"]"#,
            r#"["a","b"]"#,
            r#"["b"]"#,
            r#"["b"]"#,
            r#"["b"]"#,
            r#"["a","b"]"#,
            r#"["a"]"#,
        ];
        assert_eq!(up, wanted);
    }
}
