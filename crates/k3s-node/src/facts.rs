//! What the scripts in the container print: frames, each a name, a length and that many bytes. It comes from the
//! node and is not trusted: a frame's content cannot pass for another frame.

use crate::probe::Probe;
use crate::setup::DEFAULT_BINARY;
use anyhow::{Context, Result, bail};
use host::Host;
use std::collections::BTreeMap;
use std::fmt;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The names of the answers only: an answer may hold a token.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.frames.keys()).finish()
    }
}

#[derive(Default)]
pub struct Facts {
    frames: BTreeMap<String, Vec<u8>>,
}

impl Facts {
    /// Reads all frames; a truncated frame and other text are errors, and so is a file that is there and could not be read.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let facts = Self::parse_all(bytes)?;
        if let Some((_, path)) = facts.below("unreadable:").first() {
            bail!("{path} cannot be read there");
        }
        if let Some((_, path)) = facts.below("large:").first() {
            bail!("{path} has more than 1 MiB");
        }
        Ok(facts)
    }

    /// Reads all frames, also those that say why a file was not read: `missing:`, `irregular:`, `unreadable:` and `large:`,
    /// each before the name that the file would have had.
    pub fn parse_all(mut bytes: &[u8]) -> Result<Self> {
        let mut frames = BTreeMap::new();
        while !bytes.is_empty() {
            let (name, content, rest) = frame(bytes).context("the node's answer is truncated or mixed up")?;
            frames.insert(name, content.to_vec());
            bytes = rest;
        }
        if frames.remove("end").is_none() {
            bail!("the node's answer has no end: it was truncated");
        }
        Ok(Self { frames })
    }

    /// Whether there is an answer of this name.
    pub fn has(&self, name: &str) -> bool {
        self.frames.contains_key(name)
    }

    /// With which status a program ended that was asked.
    pub fn status(&self, name: &str) -> i32 {
        let status = self.lossy(&format!("status:{name}"));
        status.and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// A text that must be exact, because it is written again or decided upon.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        let text = self
            .frames
            .get(name)
            .map(|bytes| String::from_utf8(bytes.clone()));
        text.transpose()
            .ok()
            .with_context(|| format!("{name} is not UTF-8"))
    }

    /// The bytes of an answer.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.frames.get(name).map(Vec::as_slice)
    }

    /// A text to be looked at.
    pub fn lossy(&self, name: &str) -> Option<String> {
        let text = String::from_utf8_lossy(self.frames.get(name)?).trim().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// The frames whose names begin with `prefix`, by the rest of their names.
    pub fn below(&self, prefix: &str) -> Vec<(String, String)> {
        let below = self
            .frames
            .iter()
            .filter_map(|(name, bytes)| Some((name.strip_prefix(prefix)?, bytes)));
        below
            .map(|(name, bytes)| (name.to_owned(), String::from_utf8_lossy(bytes).into_owned()))
            .collect()
    }
}

fn frame(bytes: &[u8]) -> Option<(String, &[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let head = head.strip_prefix('@')?;
    let (name, length) = head.rsplit_once(' ')?;
    let length: usize = length.parse().ok()?;
    let rest = &bytes[end + 1..];
    let content = rest.get(..length)?;
    Some((name.to_owned(), content, rest[length..].strip_prefix(b"\n")?))
}

/// A unit as `systemctl show` describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Show {
    pub load: String,
    pub active: String,
    pub enabled: String,
    pub fragment: String,
    pub main_pid: u32,
    pub restarts: u32,
    /// Seconds since 1970 at which the main process was started; 0: never.
    pub started: u64,
}

impl Show {
    /// One block a unit, a blank line between them.
    pub fn parse(text: &str) -> BTreeMap<String, Self> {
        let mut units = BTreeMap::new();
        for block in text.split("\n\n") {
            let value = |key: &str| {
                let value = block
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
                value.unwrap_or_default().to_owned()
            };
            let show = Self {
                load: value("LoadState"),
                active: value("ActiveState"),
                enabled: value("UnitFileState"),
                fragment: value("FragmentPath"),
                main_pid: value("MainPID").parse().unwrap_or(0),
                restarts: value("NRestarts").parse().unwrap_or(0),
                started: systemd_time(&value("ExecMainStartTimestamp")).unwrap_or(0),
            };
            units.insert(value("Id"), show);
        }
        units
    }

    /// How one unit stands now.
    pub fn look(host: &dyn Host, unit: &str) -> Result<Self> {
        let output = host
            .run(&Probe::new().show("show", unit).command(DEFAULT_BINARY))?
            .succeed(&host.location(), &format!("checking {unit}"))?;
        let facts = Facts::parse(&output.stdout).with_context(|| host.location())?;
        Ok(Self::of(&facts, unit))
    }

    /// How a unit stands, of those that were shown; one that was not is empty.
    pub fn of(facts: &Facts, unit: &str) -> Self {
        let mut shows = Self::parse(&facts.lossy("show").unwrap_or_default());
        shows.remove(unit).unwrap_or_default()
    }

    /// Stopped, or never started: `activating` and `deactivating` are neither.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.active.as_str(), "" | "inactive" | "failed")
    }

    /// Whether it starts with the machine.
    pub fn is_enabled(&self) -> bool {
        matches!(self.enabled.as_str(), "enabled" | "enabled-runtime")
    }

    /// Whether it is still running, or starts with the machine.
    pub fn is_in_service(&self) -> bool {
        !self.is_at_rest() || self.is_enabled()
    }

    /// Whether the service runs or is coming up.
    pub fn is_alive(&self) -> bool {
        matches!(self.active.as_str(), "active" | "activating" | "reloading")
    }
}

/// `Sun 2026-11-22 17:02:29 UTC`, as systemctl prints it with TZ=UTC.
fn systemd_time(text: &str) -> Option<u64> {
    let mut words = text.split(' ').skip(1);
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    (zone == "UTC")
        .then(|| rfc3339(&format!("{date}T{time}Z")))
        .flatten()
}

/// Seconds since 1970.
pub fn rfc3339(text: &str) -> Option<u64> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()?
        .unix_timestamp()
        .try_into()
        .ok()
}

/// `/proc/net/fib_trie` and `/proc/net/if_inet6`: the addresses that this machine owns, without any program.
pub fn own_addresses(fib_trie: &str, if_inet6: &str) -> Vec<std::net::IpAddr> {
    let lines: Vec<&str> = fib_trie.lines().map(str::trim).collect();
    let local = lines
        .windows(2)
        .filter(|pair| pair[1].starts_with("/32 host LOCAL"));
    let v4 = local.filter_map(|pair| pair[0].strip_prefix("|-- ")?.parse().ok());
    let v6 = if_inet6.lines().filter_map(|line| {
        let hex = line.split_whitespace().next().filter(|hex| hex.len() == 32)?;
        Some(std::net::IpAddr::V6(u128::from_str_radix(hex, 16).ok()?.into()))
    });
    let mut addresses: Vec<_> = v4.chain(v6).collect();
    addresses.sort();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_by_their_length() {
        let facts =
            Facts::parse(b"@a 3\nx\ny\n@unit:k3s.service 11\n@b 1\n1\n@c 0\n@empty 0\n\n@end 0\n\n").unwrap();
        assert_eq!(facts.text("a").unwrap().as_deref(), Some("x\ny"));
        assert_eq!(facts.text("b").unwrap(), None, "content passed for a frame");
        assert_eq!(facts.text("empty").unwrap().as_deref(), Some(""));
        assert_eq!(
            facts.below("unit:"),
            [("k3s.service".to_owned(), "@b 1\n1\n@c 0".to_owned())]
        );
    }

    #[test]
    fn refuses_a_truncated_answer() {
        for bytes in [
            &b"@a 3\nx"[..],
            b"@a 1\nx\n",
            b"",
            b"noise\n@end 0\n\n",
            b"@a x\nx\n@end 0\n\n",
            b"@a 1\nxy\n@end 0\n\n",
        ] {
            assert!(Facts::parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        let unreadable = Facts::parse(b"@unreadable:a 5\n/etc/\n@end 0\n\n").unwrap_err();
        assert!(unreadable.to_string().contains("/etc/"));
    }

    #[test]
    fn texts_that_are_written_again_must_be_utf_8() {
        let facts = Facts::parse(b"@a 1\n\xff\n@end 0\n\n").unwrap();
        assert!(facts.text("a").is_err());
        assert_eq!(facts.lossy("a").as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn distinguishes_units() {
        let text = "Id=k3s.service\nLoadState=loaded\nActiveState=active\nMainPID=42\nNRestarts=1\nUnitFileState=enabled\n\
            ExecMainStartTimestamp=Sun 2026-11-22 17:02:29 UTC\n\nId=k3s-agent.service\nLoadState=not-found\nActiveState=inactive\n\
            ExecMainStartTimestamp=\n";
        let units = Show::parse(text);
        let server = &units["k3s.service"];
        assert_eq!(
            (server.main_pid, server.restarts, server.started),
            (42, 1, 1_795_366_949)
        );
        assert!(server.is_alive() && !units["k3s-agent.service"].is_alive());
        assert_eq!(units["k3s-agent.service"].started, 0);
    }

    #[test]
    fn reads_units_of_a_real_systemd() {
        let units = Show::parse(include_str!("../tests/recorded/systemctl-show.txt"));
        let server = Show {
            load: "loaded".to_owned(),
            active: "active".to_owned(),
            enabled: "enabled".to_owned(),
            fragment: "/etc/systemd/system/k3s.service".to_owned(),
            main_pid: 174,
            restarts: 0,
            started: 1_795_630_112,
        };
        assert_eq!(units["k3s.service"], server);
        let agent = &units["k3s-agent.service"];
        assert_eq!((agent.load.as_str(), agent.main_pid), ("not-found", 0));
    }

    #[test]
    fn times_are_read_to_the_second() {
        assert_eq!(rfc3339("2026-11-22T17:02:29.123456Z"), Some(1_795_366_949));
        assert_eq!(rfc3339("yesterday"), None);
        assert_eq!(systemd_time("Sun 2026-11-22 17:02:29 CET"), None);
    }

    #[test]
    fn own_addresses_need_no_program() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.99.0.0\n        /24 link UNICAST\n     |-- 10.99.0.101\n        /32 host LOCAL\n\
            Local:\n     |-- 10.99.0.101\n        /32 host LOCAL\n     |-- 10.99.0.255\n        /32 link BROADCAST\n";
        let inet6 = "00000000000000000000000000000001 01 80 10 80 lo\nfe8000000000000002163efffe000001 02 40 20 80 eth0\n";
        let addresses: Vec<String> = own_addresses(trie, inet6)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(addresses, ["10.99.0.101", "::1", "fe80::216:3eff:fe00:1"]);
    }
}
