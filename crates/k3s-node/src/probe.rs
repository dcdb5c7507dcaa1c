//! What a module asks of a node: a list of questions, answered in one visit by a shell that moves bytes and decides nothing. [`crate::Facts`]
//! has the answers, by the names that the questions were given.
//!
//! A visit costs a third of a second on a Proxmox host, so that whatever can be asked at once is.

use crate::program::Program;
use host::{BRIEF_GO, Command, quote};
use k3s_types::Role;
use std::fmt::Write as _;

const ANSWERS: &str = include_str!("programs/probe.sh");

/// Stands in an argument for the node's own hostname, in lower case.
pub const HOSTNAME: &str = "\u{1}hostname\u{1}";

/// Stands in an argument for the node's k3s.
const BINARY: &str = "\u{1}binary\u{1}";

/// The word without which no unit runs k3s. Whether one does that has it, [`crate::unit::Unit::runs`] finds.
const K3S: &str = "k3s";

/// What a path may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    There,
    File,
    Folder,
    Link,
    /// A file that is not empty.
    Filled,
    CharacterDevice,
    Readable,
    Writable,
    Executable,
}

impl Is {
    const fn test(self) -> &'static str {
        match self {
            Self::There => "-e",
            Self::File => "-f",
            Self::Folder => "-d",
            Self::Link => "-L",
            Self::Filled => "-s",
            Self::CharacterDevice => "-c",
            Self::Readable => "-r",
            Self::Writable => "-w",
            Self::Executable => "-x",
        }
    }
}

/// A program to be asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run<'a> {
    pub argv: &'a [&'a str],
    /// Whether what it says of errors belongs to the answer.
    pub errors: bool,
    /// What `sed -n` shows of it; empty: all.
    pub shown: &'a str,
    pub stdin: &'a str,
}

/// Where to look for files, and for which.
#[derive(Clone, Copy, Debug)]
pub struct Below<'a> {
    pub folder: &'a str,
    pub depth: u32,
    /// What is beyond is reported in a frame `more:<name>:<folder>`.
    pub most: u32,
    /// Patterns of their names, without a path.
    pub patterns: &'a [&'a str],
    /// What `sed -n` shows of each; empty: all.
    pub shown: &'a str,
}

/// Questions in the making. Each name is that of the answer's frame.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    lines: Vec<String>,
}

impl Probe {
    pub fn new() -> Self {
        Self::default()
    }

    /// How k3s is installed; [`crate::NodeSettings::read`] reads it. `config` is the configuration file's path.
    #[must_use]
    pub fn units(self, config: &str) -> Self {
        let version = Run {
            argv: &[BINARY, "--version"],
            errors: true,
            ..Run::default()
        };
        let drop_ins = format!("{config}.d");
        let usual = Role::ALL
            .iter()
            .fold(self, |probe, role| probe.ask("unit", &[role.unit()], ""));
        let mut units = usual.ask("units_with", &[K3S], "");
        units.lines.push("put show \"$(show $asked)\"\n".to_owned());
        units
            .print("hostname", &["uname", "-n"])
            .file("machine-id", "/etc/machine-id")
            .is("systemd", Is::Folder, "/run/systemd/system")
            .file(&format!("config:{config}"), config)
            // k3s looks at the ends of their names without regard to case.
            .files("config", &drop_ins, "*.[Yy][Aa][Mm][Ll]")
            .files("config", &drop_ins, "*.[Yy][Mm][Ll]")
            .file("node-id", "/etc/rancher/node/id")
            .when(
                Is::Executable,
                BINARY,
                &Self::new().run("binary-version", &version),
            )
    }

    /// Whether a path is this; then the answer is there.
    #[must_use]
    pub fn is(self, name: &str, is: Is, path: &str) -> Self {
        self.ask("is", &[name, is.test(), path], "")
    }

    /// The content of a regular file.
    #[must_use]
    pub fn file(self, name: &str, path: &str) -> Self {
        self.ask("file", &[name, path], "")
    }

    /// What `sed -n` shows of a file, so that what is secret in it stays where it is.
    #[must_use]
    pub fn shown(self, name: &str, path: &str, shown: &str) -> Self {
        self.ask("file", &[name, path, shown], "")
    }

    /// The files in a folder, by `name:path`. The pattern is the shell's, of this program's own making.
    #[must_use]
    pub fn files(self, name: &str, folder: &str, pattern: &'static str) -> Self {
        self.files_shown(name, folder, pattern, "")
    }

    #[must_use]
    pub fn files_shown(self, name: &str, folder: &str, pattern: &'static str, shown: &str) -> Self {
        self.ask("files", &[name, shown], &matching(folder, pattern))
    }

    /// What there is in a folder, by `name:path`.
    #[must_use]
    pub fn names(self, name: &str, is: Is, folder: &str, pattern: &'static str) -> Self {
        self.ask("names", &[name, is.test()], &matching(folder, pattern))
    }

    /// The files below a folder, by `name:path`.
    #[must_use]
    pub fn below(self, name: &str, below: &Below) -> Self {
        let numbers = [below.depth, below.most].map(|number| number.to_string());
        let mut arguments = vec![name, below.folder, &numbers[0], &numbers[1], below.shown];
        for (at, pattern) in below.patterns.iter().enumerate() {
            arguments.extend(if at == 0 { &[][..] } else { &["-o"] });
            arguments.extend(["-name", pattern]);
        }
        self.ask("below", &arguments, "")
    }

    /// The files in a folder that contain a word, by `name:path`; zero bytes become blanks. For what the kernel says in `/proc`,
    /// where a size is not known before.
    #[must_use]
    pub fn containing(self, name: &str, word: &str, folder: &str, pattern: &'static str) -> Self {
        self.ask("containing", &[name, word], &matching(folder, pattern))
    }

    /// The SHA-256 sum of a file, by `name:path`.
    #[must_use]
    pub fn sum(self, name: &str, path: &str) -> Self {
        self.ask("sums", &[name, path], "")
    }

    #[must_use]
    pub fn sums(self, name: &str, folder: &str, pattern: &'static str) -> Self {
        self.ask("sums", &[name], &matching(folder, pattern))
    }

    /// The file systems of folders, or of those that they will be made in, as `df -Pk` has them.
    #[must_use]
    pub fn disk(self, name: &str, paths: &[&str]) -> Self {
        let arguments: Vec<&str> = std::iter::once(name).chain(paths.iter().copied()).collect();
        self.ask("disk", &arguments, "")
    }

    /// What a program prints; of another status than 0 there is a frame `status:name`. Nothing where there is no such program.
    #[must_use]
    pub fn run(self, name: &str, run: &Run) -> Self {
        let errors = if run.errors { "yes" } else { "no" };
        let mut arguments = vec![name, errors, run.shown, run.stdin];
        arguments.extend(run.argv);
        self.ask("run", &arguments, "")
    }

    /// What a program prints, without what it says of errors.
    #[must_use]
    pub fn print(self, name: &str, argv: &[&str]) -> Self {
        let run = Run {
            argv,
            ..Run::default()
        };
        self.run(name, &run)
    }

    /// What the kernel says in a file below `/proc` or `/sys`; one that may not be read says nothing.
    #[must_use]
    pub fn kernels(self, name: &str, path: &str) -> Self {
        let then = Self::new().print(name, &["cat", path]);
        self.when(Is::File, path, &then)
    }

    /// Whether a file can be opened for reading, which its mode does not say of a device.
    #[must_use]
    pub fn opens(self, name: &str, path: &str) -> Self {
        self.ask("opens", &[name, path], "")
    }

    /// Whether a file can be opened for writing. Nothing is written.
    #[must_use]
    pub fn opens_to_write(self, name: &str, path: &str) -> Self {
        self.ask("opens_to_write", &[name, path], "")
    }

    /// How systemd has a unit; [`crate::Show::parse`] reads it.
    #[must_use]
    pub fn show(mut self, name: &str, unit: &str) -> Self {
        let [name, unit] = [name, unit].map(quoted);
        self.lines.push(format!("put {name} \"$(show {unit})\"\n"));
        self
    }

    /// The questions of another list, after these.
    #[must_use]
    pub fn and(mut self, more: &Self) -> Self {
        self.lines.extend(more.lines.iter().cloned());
        self
    }

    /// The questions of another list, where a path is this.
    #[must_use]
    pub fn when(mut self, is: Is, path: &str, then: &Self) -> Self {
        let (test, path) = (is.test(), quoted(path));
        self.lines
            .push(format!("[ {test} {path} ] && {{\n{}}}\n", then.text()));
        self
    }

    /// The questions of one list where a program is there, else those of the other.
    #[must_use]
    pub fn where_program(mut self, program: &str, then: &Self, otherwise: &Self) -> Self {
        let (program, then, otherwise) = (quoted(program), then.text(), otherwise.text());
        self.lines.push(format!(
            "if command -v {program} >/dev/null 2>&1; then\n:\n{then}else\n:\n{otherwise}fi\n"
        ));
        self
    }

    /// The first of these lists whose last question has an answer, none after it.
    #[must_use]
    pub fn first(mut self, lists: &[Self]) -> Self {
        let lists: Vec<String> = lists
            .iter()
            .map(|list| format!("{{\n{}}}", list.text()))
            .collect();
        self.lines.push(format!("{}\n", lists.join(" || ")));
        self
    }

    /// The visit; `binary` is the node's k3s.
    pub fn command(&self, binary: &str) -> Command {
        let (answers, questions) = self.parts();
        Program::new(binary).end(&format!("{answers}{questions}"))
    }

    /// What answers, and what is asked.
    pub(crate) fn parts(&self) -> (&'static str, String) {
        (ANSWERS, format!("export {BRIEF_GO}\n{}put end ''\n", self.text()))
    }

    fn text(&self) -> String {
        self.lines.concat()
    }

    fn ask(mut self, question: &str, arguments: &[&str], more: &str) -> Self {
        let mut line = question.to_owned();
        for argument in arguments {
            let _ = write!(line, " {}", quoted(argument));
        }
        self.lines.push(format!("{line}{more}\n"));
        self
    }
}

/// A word that the shell takes for nothing else; only the hostname and the node's k3s are filled in.
fn quoted(word: &str) -> String {
    let filled = |word: &str| {
        let parts: Vec<String> = word.split(HOSTNAME).map(quote).collect();
        parts.join("\"$hostname\"")
    };
    let parts: Vec<String> = word.split(BINARY).map(filled).collect();
    parts.join("\"$binary\"")
}

fn matching(folder: &str, pattern: &str) -> String {
    format!(" {}/{pattern}", quote(folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Facts;
    use host::{Host as _, LocalHost};
    use std::path::Path;

    fn answers(probe: &Probe) -> Facts {
        let output = LocalHost::new().run(&probe.command("/no/such/k3s")).unwrap();
        assert!(output.ok() && output.stderr.is_empty(), "{}", output.error_text());
        Facts::parse_all(&output.stdout).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "a test lays out its own folder")]
    fn put(folder: &Path, name: &str, text: &str) -> String {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    #[test]
    fn each_question_has_its_answer() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        let file = put(folder.path(), "it's a $(file)", "one\n\n");
        let conf = put(folder.path(), "a/b/20.conf", "key: 1\nvalue: 2\n");
        put(folder.path(), "a/b/20.yaml", "");
        let facts = answers(
            &Probe::new()
                .file("file", &file)
                .is("there", Is::File, &file)
                .is("folder", Is::Folder, &file)
                .shown("part", &conf, "/^key/p")
                .files("conf", &format!("{root}/a"), "*/*.conf")
                .files("none", &root, "*.conf")
                .names("name", Is::File, &format!("{root}/a/b"), "*")
                .sum("sum", &conf)
                .disk("disk", &[&format!("{root}/a/not/yet")])
                .print("said", &["printf", "%s", "it's \"$HOME\""])
                .print("absent", &["/no/such/program"])
                .opens("opens", "/dev/null")
                .opens_to_write("writes", "/dev/null")
                .print("host", &["echo", &format!("nodes/{HOSTNAME}'s")]),
        );
        let text = |name: &str| facts.text(name).unwrap();
        assert_eq!(text("file").unwrap(), "one\n\n");
        assert!(facts.has("there") && !facts.has("folder"));
        assert_eq!(text("part").unwrap(), "key: 1\n");
        assert_eq!(
            facts.below("conf:"),
            [(conf.clone(), "key: 1\nvalue: 2\n".to_owned())]
        );
        assert!(facts.below("none:").is_empty());
        let names: Vec<String> = facts.below("name:").into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["20.conf", "20.yaml"].map(|name| format!("{root}/a/b/{name}"))
        );
        assert!(
            text(&format!("sum:{conf}"))
                .unwrap()
                .starts_with(|c: char| c.is_ascii_hexdigit())
        );
        assert_eq!(text("disk").unwrap().lines().count(), 2);
        assert_eq!(text("said").unwrap(), "it's \"$HOME\"");
        assert!(!facts.has("absent") && facts.has("opens") && facts.has("writes"));
        let host = text("host").unwrap();
        assert!(host.starts_with("nodes/") && host.ends_with("'s\n"), "{host}");
    }

    #[test]
    fn names_other_files_than_regular_ones_and_does_not_read_them() {
        let folder = tempfile::tempdir().unwrap();
        let large = put(folder.path(), "large", &"x".repeat((1 << 20) + 1));
        let fits = put(folder.path(), "fits", &"x".repeat(1 << 20));
        let pipe = folder.path().join("pipe").display().to_string();
        let made = LocalHost::new().run(&Command::new(["mkfifo", &pipe])).unwrap();
        assert!(made.ok());
        let probe = Probe::new()
            .file("device", "/dev/zero")
            .file("pipe", &pipe)
            .file("large", &large)
            .file("fits", &fits)
            .file("missing", "/no/such/file");
        let facts = answers(&probe);
        for name in [
            "irregular:device",
            "irregular:pipe",
            "large:large",
            "missing:missing",
        ] {
            assert!(facts.has(name), "{name}");
        }
        assert_eq!(facts.text("fits").unwrap().unwrap().len(), 1 << 20);
        let output = LocalHost::new().run(&probe.command("/k3s")).unwrap();
        let error = Facts::parse(&output.stdout).unwrap_err().to_string();
        assert_eq!(error, format!("{large} has more than 1 MiB"));
    }

    #[test]
    fn a_file_that_is_removed_while_it_is_read_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let [before, after] = ["before", "after"].map(|name| put(folder.path(), name, "text"));
        let probe = Probe::new().file("one", &before).shown("two", &after, "p");
        let mut command = probe.command("/no/such/k3s");
        // The programs that the reading consists of remove it before or after their work.
        let programs = format!(
            "stat() {{ [ \"$4\" != '{before}' ] || rm -f '{before}'; command stat \"$@\"; }}\n\
             sed() {{ rm -f '{after}'; command sed \"$@\"; }}\n"
        );
        command.stdin.splice(0..0, programs.into_bytes());
        let output = LocalHost::new().run(&command).unwrap();
        assert!(output.ok() && output.stderr.is_empty(), "{}", output.error_text());
        let facts = Facts::parse(&output.stdout).unwrap();
        assert!(facts.has("missing:one") && facts.has("missing:two"));
    }

    #[test]
    fn a_program_that_fails_has_its_status_and_the_next_one_is_asked() {
        let ask = |name: &str, script: &str, shown: &str| {
            let run = Run {
                argv: &["sh", "-c", script],
                errors: true,
                shown,
                stdin: "given",
            };
            Probe::new().run(name, &run)
        };
        let facts = answers(&Probe::new().first(&[
            ask("one", "echo bad=1 >&2; exit 3", ""),
            ask("two", "echo other", "/^no/p"),
            ask("three", "cat; echo; echo more", "/^g/p"),
            ask("four", "echo late", ""),
        ]));
        assert_eq!(facts.lossy("one").unwrap(), "bad=1");
        assert_eq!((facts.status("one"), facts.status("three")), (3, 0));
        assert_eq!(facts.lossy("three").unwrap(), "given");
        assert!(facts.has("two") && !facts.has("four"));
    }

    #[test]
    fn a_program_without_end_is_ended() {
        let facts = answers(&Probe::new().print("endless", &["yes"]));
        assert_eq!(facts.text("endless").unwrap().unwrap().len(), (1 << 20) - 1);
        assert_eq!(facts.status("endless"), 141);
    }

    #[test]
    fn of_a_folder_no_more_files_than_asked_for_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        for name in ["a.crt", "b.pem", "c.crt", "d.key"] {
            put(folder.path(), name, name);
        }
        let below = |most| Below {
            folder: &root,
            depth: 1,
            most,
            patterns: &["*.crt", "*.pem"],
            shown: "",
        };
        let facts = answers(&Probe::new().below("three", &below(3)).below("two", &below(2)));
        let names =
            |name: &str| -> Vec<String> { facts.below(name).into_iter().map(|(_, text)| text).collect() };
        assert_eq!(names("three:"), ["a.crt", "b.pem", "c.crt"]);
        assert_eq!(names("two:"), ["a.crt", "b.pem"]);
        assert!(facts.has(&format!("more:two:{root}")) && !facts.has(&format!("more:three:{root}")));
    }

    /// The answers about units, where a folder stands for the root.
    fn units_of(root: &Path) -> Facts {
        let mut command = Probe::new()
            .units("/etc/rancher/k3s/config.yaml")
            .command("/usr/local/bin/k3s");
        let text = String::from_utf8(command.stdin).unwrap();
        let moved = ["/etc/", "/usr/local/bin"].iter().fold(text, |text, folder| {
            text.replace(folder, &format!("{}{folder}", root.display()))
        });
        command.stdin = moved.into_bytes();
        command.limit = std::time::Duration::from_secs(20);
        let output = LocalHost::new().run(&command).unwrap();
        assert!(output.ok() && output.stderr.is_empty(), "{}", output.error_text());
        Facts::parse_all(&output.stdout).unwrap()
    }

    #[test]
    fn units_are_handed_over_that_may_run_k3s_with_what_belongs_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let units = "etc/systemd/system";
        let text = "[Service]\nExecStart=/usr/local/bin/k3s agent\n";
        for name in ["k3s.service", "edge.service", "k3s@.service", "x y.service"] {
            put(root, &format!("{units}/{name}"), text);
        }
        put(
            root,
            &format!("{units}/other.service"),
            "[Service]\nExecStart=/bin/true\n",
        );
        put(root, &format!("{units}/edge.service.d/10.conf"), "[Service]\n");
        put(root, &format!("{units}/edge.service.env"), "A=1\n");
        put(root, "etc/default/k3s", "B=1\n");
        put(root, "etc/rancher/k3s/config.yaml.d/1.YML", "debug: true\n");
        let script = put(root, "usr/local/bin/k3s", "");
        testbed::write_programs([(script.into(), "#!/bin/sh\necho \"k3s $*\" >&2\n")]);
        let at = |name: &str| root.join(units).join(name).display().to_string();
        for argv in [
            ["ln", "-s", "k3s.service", &at("alias.service")].as_slice(),
            // A pipe must not block the reading of the others.
            &["mkfifo", &at("pipe.service")],
        ] {
            assert!(
                LocalHost::new()
                    .run(&Command::new(argv.iter().copied()))
                    .unwrap()
                    .ok()
            );
        }
        let facts = units_of(root);
        let below = |prefix: &str| -> Vec<String> {
            let all = facts.below(prefix).into_iter();
            all.map(|(name, _)| name.replace(&root.display().to_string(), ""))
                .collect()
        };
        assert_eq!(below("unit:"), ["edge.service", "k3s.service"]);
        assert_eq!(
            below("dropin:"),
            ["edge.service:/etc/systemd/system/edge.service.d/10.conf"]
        );
        assert_eq!(
            below("variables:"),
            ["/etc/default/k3s", "/etc/systemd/system/edge.service.env"]
        );
        assert_eq!(below("config:"), ["/etc/rancher/k3s/config.yaml.d/1.YML"]);
        assert_eq!(facts.lossy("binary-version").unwrap(), "k3s --version");
        assert!(facts.has("hostname") && facts.has("show") && facts.has("missing:unit:k3s-agent.service"));
    }

    #[test]
    fn files_are_found_by_a_word_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        let one = put(folder.path(), "1/cmdline", "/bin/shim\0-address\0/run\0");
        put(folder.path(), "2/cmdline", "/bin/sh\0");
        let found = answers(&Probe::new().containing("shim", "-address", &root, "[0-9]*/cmdline"));
        assert_eq!(
            found.below("shim:"),
            [(one, "/bin/shim -address /run ".to_owned())]
        );
        let none = answers(&Probe::new().containing("shim", "shim", &root, "x*"));
        assert!(none.below("shim:").is_empty());
    }

    #[test]
    fn questions_turn_on_a_program() {
        let then = Probe::new().is("yes", Is::There, "/");
        for (program, yes) in [("sh", true), ("no-such-program", false)] {
            let facts = answers(&Probe::new().where_program(program, &then, &Probe::new()));
            assert_eq!(facts.has("yes"), yes, "{program}");
        }
    }

    #[test]
    fn questions_stand_under_a_condition() {
        let then = Probe::new().is("yes", Is::There, "/");
        let otherwise = Probe::new().is("no", Is::There, "/");
        for (path, yes) in [("/dev/null", true), ("/no/such", false)] {
            let probe = Probe::new().when(Is::There, path, &then);
            let facts = answers(&Probe::new().first(&[probe, otherwise.clone()]));
            assert_eq!((facts.has("yes"), facts.has("no")), (yes, !yes));
        }
    }
}
