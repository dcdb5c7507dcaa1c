//! The systemd unit that the install script writes: read, and distinguished from what an operator added.

use crate::words;
use k3s_types::Role;
use std::fmt;

/// A unit file as assignments in their order; comments and blank lines are nobody's loss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    lines: Vec<Line>,
}

#[derive(Clone, PartialEq, Eq)]
struct Line {
    section: String,
    key: String,
    value: String,
}

/// Without the value: a command or an environment may have the token.
impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}=…", self.section, self.key)
    }
}

/// The command of the service: the binary and what it is given.
#[derive(Clone, PartialEq, Eq)]
pub struct ExecStart {
    pub binary: String,
    pub words: Vec<String>,
}

/// Without the words, as above.
impl fmt::Debug for ExecStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} words", self.binary, self.words.len())
    }
}

/// Whether a unit is a k3s: its command says it, and never its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    K3s(Role),
    /// A shell or another program that starts k3s: what reaches k3s cannot be read from the unit.
    Wrapped(Role),
    Other,
}

impl Unit {
    pub fn parse(text: &str) -> Self {
        let mut unit = Self::default();
        let mut section = String::new();
        for line in logical_lines(text) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else {
                let (key, value) = line.split_once('=').unwrap_or((&line, ""));
                unit.lines.push(Line {
                    section: section.clone(),
                    key: key.trim_end().to_owned(),
                    value: value.trim_start().to_owned(),
                });
            }
        }
        unit
    }

    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.lines
            .iter()
            .filter(move |line| line.section == "Service" && line.key == key)
            .map(|line| line.value.as_str())
    }

    /// The command, `None` where the file sets none (a drop-in). An error says why it cannot be replayed.
    pub fn exec_start(&self) -> Result<Option<ExecStart>, String> {
        let commands = self.commands();
        let line = match commands.as_slice() {
            [] => return Ok(None),
            [line] => line,
            _ => return Err("it has several ExecStart lines".to_owned()),
        };
        let mut words = words::split(line).map_err(|why| format!("its ExecStart cannot be read: {why}"))?;
        if words.is_empty() {
            return Err("its ExecStart is empty".to_owned());
        }
        if let Some(role) = wrapped(&words) {
            let (wrapper, k3s) = (&words[0], role.word());
            return Err(format!(
                "its ExecStart has {wrapper} start `k3s {k3s}`, so what k3s is started with is not to be read from it; let ExecStart run k3s itself"
            ));
        }
        let binary = words.remove(0);
        if !binary.starts_with('/') || !binary.ends_with("/k3s") {
            return Err(format!("its ExecStart runs {binary}, not k3s by its full path"));
        }
        Ok(Some(ExecStart { binary, words }))
    }

    /// What the unit is, by its commands.
    pub fn runs(&self) -> Runs {
        let commands: Vec<Vec<String>> = self
            .commands()
            .into_iter()
            .map(|line| words::split(line).unwrap_or_else(|_| vec![line.to_owned()]))
            .collect();
        let runs_k3s = |words: &Vec<String>| {
            let (binary, rest) = words.split_first()?;
            let word = rest.first().filter(|_| is_k3s(program(binary)))?;
            Role::ALL.into_iter().find(|role| role.word() == word)
        };
        if let Some(role) = commands.iter().find_map(runs_k3s) {
            return Runs::K3s(role);
        }
        // One that ends by itself does not count as a service, whatever it starts.
        if self.values("Type").any(|value| value == "oneshot") {
            return Runs::Other;
        }
        commands
            .iter()
            .find_map(|words| wrapped(words))
            .map_or(Runs::Other, Runs::Wrapped)
    }

    /// The files of variables that the unit names, in its order.
    pub fn environment_files(&self, name: &str) -> Vec<String> {
        let stem = name.strip_suffix(".service").unwrap_or(name);
        let files = self.values("EnvironmentFile");
        files
            .map(|value| value.strip_prefix('-').unwrap_or(value))
            .map(|path| path.replace("%N", stem).replace("%n", name))
            .collect()
    }

    /// The commands that count: an empty assignment takes back those before it.
    fn commands(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.values("ExecStart").collect();
        let from = lines
            .iter()
            .rposition(|line| line.is_empty())
            .map_or(0, |at| at + 1);
        lines[from..].to_vec()
    }

    /// `Environment=` assignments.
    pub fn environment(&self) -> Vec<(String, String)> {
        let words = self
            .values("Environment")
            .flat_map(|line| words::split(line).unwrap_or_default());
        words
            .filter_map(|word| {
                word.split_once('=')
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
            })
            .collect()
    }

    /// Lines that no version of the install script writes. They would be lost with the next install.
    pub fn operators_lines(&self, name: &str) -> Vec<String> {
        self.lines
            .iter()
            .filter(|line| !line.is_the_scripts(name))
            .map(|line| format!("[{}] {}={}", line.section, line.key, line.value))
            .collect()
    }
}

/// The program that a command's first word names, without the signs that systemd reads before it.
fn program(word: &str) -> &str {
    word.trim_start_matches(['@', '-', ':', '+', '!', '|'])
}

fn is_k3s(path: &str) -> bool {
    path == "k3s" || path.ends_with("/k3s")
}

/// The role of a k3s that another program starts.
fn wrapped(words: &[String]) -> Option<Role> {
    let (binary, rest) = words.split_first()?;
    if is_k3s(program(binary)) {
        return None;
    }
    // One word may hold a program of a shell's.
    let separate = |c: char| c.is_whitespace() || ";&|(){}'\"".contains(c);
    let parts: Vec<&str> = rest
        .iter()
        .flat_map(|word| word.split(separate))
        .filter(|part| !part.is_empty())
        .collect();
    parts.windows(2).find_map(|pair| {
        let role = Role::ALL.into_iter().find(|role| role.word() == pair[1]);
        role.filter(|_| is_k3s(pair[0]))
    })
}

/// Every assignment that a script has written, from 2019 on: a node whose binary alone was replaced has the unit of the day on which it was
/// installed. The command, the type and the environment file differ by node and are looked at one by one.
const THE_SCRIPTS: [(&str, &str, &str); 22] = [
    ("Unit", "Wants", "network-online.target"),
    ("Unit", "After", "network-online.target"),
    ("Unit", "After", "network.target"),
    ("Install", "WantedBy", "multi-user.target"),
    ("Service", "EnvironmentFile", "-/etc/default/%N"),
    ("Service", "EnvironmentFile", "-/etc/sysconfig/%N"),
    ("Service", "KillMode", "process"),
    ("Service", "Delegate", "yes"),
    ("Service", "User", "root"),
    ("Service", "LimitNOFILE", "1048576"),
    ("Service", "LimitNOFILE", "infinity"),
    ("Service", "LimitNPROC", "infinity"),
    ("Service", "LimitCORE", "infinity"),
    ("Service", "TasksMax", "infinity"),
    ("Service", "TimeoutStartSec", "0"),
    ("Service", "TimeoutStartSec", "infinity"),
    ("Service", "Restart", "always"),
    ("Service", "RestartSec", "5s"),
    ("Service", "ExecStartPre", "-/sbin/modprobe br_netfilter"),
    ("Service", "ExecStartPre", "-/sbin/modprobe overlay"),
    (
        "Service",
        "ExecStartPre",
        "/bin/sh -xc '! /usr/bin/systemctl is-enabled --quiet nm-cloud-setup.service'",
    ),
    (
        "Service",
        "ExecStartPre",
        "/bin/sh -xc '! /usr/bin/systemctl is-enabled --quiet nm-cloud-setup.service 2>/dev/null'",
    ),
];

impl Line {
    fn is_the_scripts(&self, name: &str) -> bool {
        let (section, key, value) = (self.section.as_str(), self.key.as_str(), self.value.as_str());
        match (section, key) {
            // INSTALL_K3S_TYPE chooses the type. The words for a person are another playbook's, and nothing runs by them.
            ("Service", "Type" | "ExecStart") | ("Unit", "Description" | "Documentation") => true,
            ("Service", "EnvironmentFile") if value.strip_prefix('-').unwrap_or(value) == env_path(name) => {
                true
            }
            _ => THE_SCRIPTS.contains(&(section, key, value)),
        }
    }
}

/// Where the unit of this name is.
pub fn path(name: &str) -> String {
    format!("/etc/systemd/system/{name}")
}

/// Where its environment file is.
pub fn env_path(name: &str) -> String {
    format!("{}.env", path(name))
}

/// Lines without comments, a trailing backslash joined with the next line by a blank.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun: Option<String> = None;
    for raw in text.lines() {
        let line = if begun.is_some() { raw } else { raw.trim_start() };
        // Inside a continuation, too, systemd passes over comments.
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let mut joined = begun.take().unwrap_or_default();
        if let Some(part) = line.strip_suffix('\\') {
            joined.push_str(part);
            joined.push(' ');
            begun = Some(joined);
            continue;
        }
        joined.push_str(line);
        lines.push(joined.trim_end().to_owned());
    }
    lines.extend(begun.map(|line| line.trim_end().to_owned()));
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &str = include_str!("../tests/recorded/script-2026-07-k3s.service");
    const AGENT: &str = include_str!("../tests/recorded/script-2026-07-k3s-agent.service");

    /// As the scripts wrote it until September 2025: another line before the start, and until February of that year no user.
    fn of_2024() -> String {
        let before = "ExecStartPre=/bin/sh -xc '! /usr/bin/systemctl is-enabled --quiet nm-cloud-setup.service 2>/dev/null'\n";
        let modprobe = "ExecStartPre=-/sbin/modprobe br_netfilter";
        let text = SERVER.replace("User=root\n", "");
        text.replace(modprobe, &format!("{before}{modprobe}"))
    }

    /// Without the files below /etc/default and /etc/sysconfig, as the first scripts wrote it.
    fn without_defaults() -> String {
        let text = SERVER.replace(
            "EnvironmentFile=-/etc/default/%N\nEnvironmentFile=-/etc/sysconfig/%N\n",
            "",
        );
        text.replace("EnvironmentFile=-", "EnvironmentFile=")
            .replace("TimeoutStartSec=0", "TimeoutStartSec=infinity")
    }

    fn exec(text: &str) -> Result<Option<ExecStart>, String> {
        Unit::parse(text).exec_start()
    }

    fn words(text: &str) -> Vec<String> {
        exec(text).unwrap().unwrap().words
    }

    #[test]
    fn the_recorded_units_give_role_and_ordered_arguments() {
        let server = [
            "server",
            "--node-ip",
            "10.99.0.101",
            "--disable",
            "traefik,metrics-server,local-storage,servicelb,coredns",
            "--node-label",
            "tier=ctl",
        ];
        assert_eq!(words(SERVER), server);
        assert_eq!(
            words(AGENT),
            ["agent", "--node-label", "tier=work", "--kubelet-arg=max-pods=50"]
        );
        assert_eq!(words(&of_2024()), server);
    }

    #[test]
    fn lines_of_the_script_do_not_count_as_an_operators() {
        let old = without_defaults();
        for text in [SERVER, &of_2024(), &old] {
            assert_eq!(
                Unit::parse(text).operators_lines("k3s.service"),
                [""; 0],
                "{text}"
            );
        }
        assert_eq!(Unit::parse(AGENT).operators_lines("k3s-agent.service"), [""; 0]);
        assert_eq!(
            Unit::parse(AGENT).environment_files("k3s-agent.service"),
            [
                "/etc/default/k3s-agent",
                "/etc/sysconfig/k3s-agent",
                "/etc/systemd/system/k3s-agent.service.env"
            ]
        );
    }

    #[test]
    fn reports_an_operators_line_with_its_section() {
        let text = SERVER.replace(
            "KillMode=process",
            "KillMode=process\nEnvironment=GOGC=50\nLimitNOFILE=65536",
        );
        assert_eq!(
            Unit::parse(&text).operators_lines("k3s.service"),
            ["[Service] Environment=GOGC=50", "[Service] LimitNOFILE=65536"]
        );
        let described = SERVER.replace("Description=Lightweight Kubernetes", "Description=k3s node");
        assert_eq!(Unit::parse(&described).operators_lines("k3s.service"), [""; 0]);
        let other_file = SERVER.replace("k3s.service.env", "mine.env");
        assert_eq!(Unit::parse(&other_file).operators_lines("k3s.service").len(), 1);
    }

    #[test]
    fn a_drop_in_may_replace_the_command_or_say_nothing_of_it() {
        assert_eq!(exec("[Service]\nEnvironment=A=1 \"B=x y\"\n"), Ok(None));
        let replaced = "[Service]\nExecStart=/usr/local/bin/k3s server\nExecStart=\nExecStart=/usr/local/bin/k3s agent\n";
        assert_eq!(words(replaced), ["agent"]);
        let unit = Unit::parse("[Service]\nEnvironment=A=1 \"B=x y\"\n");
        assert_eq!(
            unit.environment(),
            [
                ("A".to_owned(), "1".to_owned()),
                ("B".to_owned(), "x y".to_owned())
            ]
        );
    }

    #[test]
    fn what_cannot_be_replayed_is_an_error() {
        for line in [
            "ExecStart=/usr/local/bin/k3s server\nExecStart=/usr/local/bin/k3s agent",
            "ExecStart=-/usr/local/bin/k3s server",
            "ExecStart=/usr/local/bin/k3s 'server",
            "ExecStart=/usr/local/bin/other server",
            "ExecStart=k3s server",
        ] {
            assert!(exec(&format!("[Service]\n{line}\n")).is_err(), "{line}");
        }
    }

    #[test]
    fn a_unit_is_k3s_by_what_it_runs_and_not_by_its_name() {
        let runs = |text: &str| Unit::parse(&format!("[Service]\n{text}\n")).runs();
        assert_eq!(Unit::parse(SERVER).runs(), Runs::K3s(Role::Server));
        assert_eq!(Unit::parse(AGENT).runs(), Runs::K3s(Role::Agent));
        let cases = [
            (
                "ExecStart=/usr/local/bin/k3s agent --server https://a",
                Runs::K3s(Role::Agent),
            ),
            ("ExecStart=-/opt/bin/k3s server", Runs::K3s(Role::Server)),
            (
                "ExecStart=/bin/sh -c 'sleep 5; exec /usr/local/bin/k3s server'",
                Runs::Wrapped(Role::Server),
            ),
            (
                "ExecStart=/usr/bin/nice -n 5 k3s agent",
                Runs::Wrapped(Role::Agent),
            ),
            (
                "Type=oneshot\nExecStart=/bin/sh -c 'k3s server --cluster-reset'",
                Runs::Other,
            ),
            (
                "Type=oneshot\nExecStart=/usr/local/bin/k3s-killall.sh",
                Runs::Other,
            ),
            (
                "Type=oneshot\nExecStart=/usr/local/bin/k3s etcd-snapshot save",
                Runs::Other,
            ),
            ("ExecStart=/usr/bin/watch-k3s server", Runs::Other),
            ("ExecStop=/usr/local/bin/k3s-killall.sh", Runs::Other),
        ];
        for (text, expected) in cases {
            assert_eq!(runs(text), expected, "{text}");
        }
        let why = exec("[Service]\nExecStart=/bin/sh -c \"sleep 5; exec k3s server\"\n").unwrap_err();
        assert!(why.contains("/bin/sh start `k3s server`"), "{why}");
    }

    #[test]
    fn comments_inside_a_continued_line_are_passed_over() {
        let text = "[Service]\nExecStart=/usr/local/bin/k3s \\\n    server \\\n# a comment \\\n\t'--disable' \\\n; another\n\t'traefik' \\\n\n";
        assert_eq!(words(text), ["server", "--disable", "traefik"]);
    }

    #[test]
    fn shows_no_value_when_it_is_printed() {
        let unit =
            Unit::parse("[Service]\nEnvironment=K3S_TOKEN=secret\nExecStart=/k3s agent --token secret\n");
        let shown = format!("{unit:?} {:?}", unit.exec_start());
        assert!(
            shown.contains("Environment") && !shown.contains("secret"),
            "{shown}"
        );
    }
}
