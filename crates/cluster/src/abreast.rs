//! Commands side by side in one script, their output in order.

use std::fmt::Write as _;

/// Commands at a time. A kubectl takes 0.15 s of a core to start, and 50 MB; the containers have few cores.
const ABREAST: usize = 4;
/// The first file descriptor that a command's output is kept at until its turn. A shell is sure of those below 10 only.
const FIRST: usize = 3;

/// Lines of a shell script that run commands side by side and print what they print in their order. Pipes hold what is not
/// printed yet: no temporary file, which a full or read-only file system would refuse. The status of a command is lost.
pub(crate) fn lines(commands: &[String]) -> String {
    let mut script = String::new();
    for group in commands.chunks(ABREAST) {
        let Some((last, others)) = group.split_last() else {
            continue;
        };
        for (number, command) in others.iter().enumerate() {
            let _ = writeln!(script, "{command} | {{ exec {}<&0", FIRST + number);
        }
        if others.is_empty() {
            let _ = writeln!(script, "{last}");
            continue;
        }
        let _ = write!(script, "{last} | {{ ");
        for number in 0..others.len() {
            let _ = write!(script, "cat <&{}; ", FIRST + number);
        }
        let _ = writeln!(script, "cat; }}{}", "; }".repeat(others.len()));
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::with_kubectl;
    use host::Command;

    fn run(commands: &[&str]) -> String {
        let commands: Vec<String> = commands.iter().map(|command| (*command).to_owned()).collect();
        let mut printed = None;
        with_kubectl("kubectl", |kubectl| {
            let output = kubectl.host.run(&Command::script(lines(&commands))).unwrap();
            assert!(output.ok(), "{}", output.error_text());
            printed = Some(output.text());
        });
        printed.unwrap()
    }

    #[test]
    fn prints_in_order_whoever_is_first() {
        for count in 1..10 {
            let commands: Vec<String> = (0..count)
                .map(|number| format!("sh -c 'sleep 0.0{}; echo {number}'", 9 - number))
                .collect();
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            let expected: Vec<String> = (0..count).map(|number| number.to_string()).collect();
            assert_eq!(run(&commands).lines().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn a_long_answer_does_not_hold_up_another_for_ever() {
        let long = "sh -c 'head -c 300000 /dev/zero | tr \"\\\\0\" x'";
        let printed = run(&[long, "echo between", long]);
        assert_eq!(printed.len(), 600_000 + "between\n".len());
        assert_eq!(printed.find("between"), Some(300_000));
    }

    #[test]
    fn the_first_of_four_runs_beside_the_last() {
        let programs = testbed::Programs::new();
        let pipe = programs.folder().join("pipe").display().to_string();
        // Who opens a pipe waits for the one at its other end.
        assert_eq!(run(&[&format!("mkfifo {pipe}")]), "");
        let printed = run(&[
            &format!("cat {pipe}"),
            "true",
            "echo two",
            &format!("echo one >{pipe}"),
        ]);
        assert_eq!(printed, "one\ntwo\n");
    }

    #[test]
    fn no_commands_make_an_empty_script() {
        assert_eq!(lines(&[]), "");
    }
}
