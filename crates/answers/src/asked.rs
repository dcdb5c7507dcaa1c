//! What a controller's API answered when it was asked whether it is ready: a result of `pct_exec`, one a controller.

use serde::Deserialize;

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The controller's name in the inventory: the item of the task's loop.
    pub item: String,
    /// Of kubectl; none where it was not run.
    pub rc: Option<i64>,
    pub stdout: Option<String>,
    pub stderr: Option<String>,
    /// Of a command that could not be run there, or that had no answer in time.
    pub msg: Option<String>,
}

impl Asked {
    /// Whether kubectl was run and found the API not ready.
    pub fn is_unready(&self) -> bool {
        self.rc.is_some_and(|rc| rc != 0)
    }

    /// Why it is not ready: the checks that failed, else kubectl's last line. The lines before it are those of its tries.
    /// What a server says in several lines kubectl quotes in one.
    pub fn reason(&self) -> Option<String> {
        let said = |text: &str| {
            let text = text.replace("\\n", "\n");
            let failed: Vec<&str> = text
                .lines()
                .map(str::trim)
                .filter(|line| line.starts_with("[-]"))
                .collect();
            let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
            match failed[..] {
                [] => last.map(str::to_owned),
                _ => Some(failed.join("; ")),
            }
        };
        [&self.stderr, &self.stdout, &self.msg]
            .into_iter()
            .flatten()
            .find_map(|text| said(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_what_failed_or_the_last_line() {
        let asked = |stdout: &str, stderr: &str, msg: &str| Asked {
            item: "c1".to_owned(),
            rc: Some(1),
            stdout: Some(stdout.to_owned()),
            stderr: Some(stderr.to_owned()),
            msg: Some(msg.to_owned()),
        };
        let unauthorized = "E1130 memcache.go:265] the first try\nerror: You must be logged in to the server (Unauthorized)\n";
        let table = [
            (
                asked("", unauthorized, "exit status 1"),
                Some("error: You must be logged in to the server (Unauthorized)"),
            ),
            (
                asked(
                    "",
                    r#"Error from server (InternalError): an error on the server ("[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed") has"#,
                    "",
                ),
                Some("[-]etcd failed: reason withheld"),
            ),
            (
                asked("", "\n", "it did not end within 30 s"),
                Some("it did not end within 30 s"),
            ),
            (asked("", "", ""), None),
            (Asked::default(), None),
        ];
        for (asked, expected) in table {
            assert_eq!(asked.reason().as_deref(), expected, "{asked:?}");
        }
    }

    #[test]
    fn an_api_is_unready_where_kubectl_ran_and_failed() {
        let unready = |rc| {
            Asked {
                rc,
                ..Asked::default()
            }
            .is_unready()
        };
        assert_eq!(
            (unready(Some(1)), unready(Some(0)), unready(None)),
            (true, false, false)
        );
    }
}
