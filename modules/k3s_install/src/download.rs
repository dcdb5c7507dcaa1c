//! A download by what the node has for it.

use crate::params::Params;
use crate::release;
use k3s_node::probe::{Is, Run};
use k3s_node::{Facts, Probe};

/// A file to be downloaded.
pub(crate) struct Download<'a> {
    pub(crate) what: &'a str,
    pub(crate) url: &'a str,
    pub(crate) path: &'a str,
    /// What it may have at most: an answer without end must not fill the disk.
    pub(crate) mib: u64,
}

impl Download<'_> {
    pub(crate) fn doing(&self) -> String {
        format!("downloading {} from {}", self.what, self.url)
    }

    /// It is asked as any other program: its status and the end of what it said are an answer. It has a limit of its own.
    pub(crate) fn questions(&self, params: &Params) -> Probe {
        let (seconds, blocks) = (params.download_timeout.to_string(), (self.mib * 2048).to_string());
        let limited = ["sh", "-c", "ulimit -f \"$0\" && exec \"$@\"", &blocks];
        let curl = [
            "curl",
            "-fsSL",
            "--proto",
            release::protocols(self.url),
            "--connect-timeout",
            "20",
            "--max-time",
            &seconds,
            "-o",
            self.path,
            self.url,
        ];
        let wget = ["wget", "-T", "20", "-O", self.path, self.url];
        let run = |program: &[&str]| {
            let run = Run {
                argv: &[&limited, program].concat(),
                errors: true,
                ..Run::default()
            };
            Probe::new().run("download", &run)
        };
        let otherwise = Probe::new().where_program("wget", &run(&wget), &Probe::new());
        let size = Probe::new().print("size", &["stat", "-c", "%s", self.path]);
        Probe::new()
            .where_program("curl", &run(&curl), &otherwise)
            .when(Is::File, self.path, &size)
    }

    pub(crate) fn check(&self, facts: &Facts) -> Result<(), String> {
        if !facts.has("download") {
            return Err(format!(
                "downloading {}: neither curl nor wget is there: install one of them",
                self.what
            ));
        }
        let status = facts.status("download");
        if status == 0 {
            return Ok(());
        }
        let size = facts.lossy("size").and_then(|size| size.parse().ok());
        if size.unwrap_or(0) >= self.mib << 20 {
            return Err(format!(
                "{} failed: it has more than {} MiB",
                self.doing(),
                self.mib
            ));
        }
        let said = facts.lossy("download").unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let end = lines[lines.len().saturating_sub(3)..].join("\n");
        Err(format!("{} failed (status {status}): {end}", self.doing()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{frames, params};
    use host::{Host as _, LocalHost};
    use serde_json::json;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    fn fault(answers: &[(&str, &str)]) -> String {
        let download = Download {
            what: "the sums",
            url: "https://a/sums",
            path: "/p",
            mib: 1,
        };
        download.check(&frames(answers)).err().unwrap_or_default()
    }

    #[test]
    fn a_download_is_limited_in_time_size_and_protocols() {
        let params = params(json!({"download_timeout": 77}));
        let text = |url: &str| {
            let download = Download {
                what: "the install script",
                url,
                path: "/p/it's.part",
                mib: 1,
            };
            let command = download.questions(&params).command("/k3s");
            String::from_utf8(command.stdin).unwrap()
        };
        let secure = text("https://a/x");
        let end = "'20' '--max-time' '77' '-o' '/p/it'\\''s.part' 'https://a/x'\n";
        assert!(
            secure.contains(" '2048' 'curl' '-fsSL' '--proto' '=https' ") && secure.contains(end),
            "{secure}"
        );
        assert!(secure.contains(" '2048' 'wget' '-T' '20' '-O' '/p/it'\\''s.part' 'https://a/x'\n"));
        assert!(text("http://a/x").contains("'=http,https'"));
    }

    #[test]
    fn a_download_that_failed_says_why() {
        assert_eq!(fault(&[("download", ""), ("size", "7")]), "");
        assert_eq!(
            fault(&[]),
            "downloading the sums: neither curl nor wget is there: install one of them"
        );
        let refused = [
            ("download", "a\nb\ncurl: (22)\n404"),
            ("status:download", "22"),
            ("size", "7"),
        ];
        assert_eq!(
            fault(&refused),
            "downloading the sums from https://a/sums failed (status 22): b\ncurl: (22)\n404"
        );
        let endless = [("download", ""), ("status:download", "153"), ("size", "1048576")];
        assert_eq!(
            fault(&endless),
            "downloading the sums from https://a/sums failed: it has more than 1 MiB"
        );
    }

    #[test]
    fn an_answer_without_end_is_stopped() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", server.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            let _ = client.read(&mut [0; 1024]);
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while client.write_all(&[b'#'; 4096]).is_ok() {}
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.part");
        let download = Download {
            what: "x",
            url: &url,
            path: path.to_str().unwrap(),
            mib: 1,
        };
        let questions = download.questions(&params(json!({"download_timeout": 60})));
        let output = LocalHost::new().run(&questions.command("/no/such/k3s")).unwrap();
        let facts = Facts::parse(&output.stdout).unwrap();
        let error = download.check(&facts).unwrap_err();
        assert!(error.ends_with("/x failed: it has more than 1 MiB"), "{error}");
        assert_eq!(path.metadata().unwrap().len(), 1 << 20);
    }
}
