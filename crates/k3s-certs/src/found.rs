//! The certificates of a node, with the files that they are in, and what could not be read.

use crate::Certificate;
use crate::rotation::Places;
use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use host::{Command, Host};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

/// Some dozens of files are read and printed.
const LIMIT: Duration = Duration::from_mins(2);

/// A certificate where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub file: String,
    /// The field of the file, where the file is no PEM.
    pub entry: Option<String>,
    pub certificate: Certificate,
}

/// A file that holds no certificate that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub file: String,
    pub error: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct All {
    pub found: Vec<Found>,
    pub faults: Vec<Fault>,
    /// What there is to know besides.
    pub notes: Vec<String>,
}

impl All {
    /// Reads what a node has: its own files, where `places` says where they are, and `more` files and folders.
    pub fn of_node(host: &dyn Host, places: Option<&Places>, more: &[String]) -> Result<Self> {
        let output = host
            .run(&program(places, more))?
            .succeed(&host.place(), "reading the certificates")?;
        Self::read(&output.text()).with_context(|| format!("{}: reading the certificates", host.place()))
    }

    /// Reads the lines of the node's program.
    fn read(text: &str) -> Result<Self> {
        let mut all = Self::default();
        let mut lines = text.lines();
        for line in lines.by_ref() {
            if line == "end" {
                return match lines.next() {
                    None => Ok(all),
                    Some(_) => bail!("the node's answer goes on after its end"),
                };
            }
            all.line(line).context("the node's answer is mixed up")?;
        }
        bail!("the node's answer has no end: it was truncated")
    }

    fn line(&mut self, line: &str) -> Result<()> {
        let mut words = line.split(' ');
        let (Some(kind), Some(path), Some(content), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            bail!("a line has not three words");
        };
        let decoded = |word: &str| STANDARD.decode(word).context("a word is not base64");
        let file = String::from_utf8_lossy(&decoded(path)?).into_owned();
        let content = decoded(content)?;
        match kind {
            "pem" => self.pem(&file, None, &content),
            "missing" => self.fault(file, "there is no such file"),
            "unreadable" => self.fault(file, "it cannot be read"),
            "irregular" => self.fault(file, "it is not a regular file"),
            "large" => self.fault(file, "it has more than 1 MiB, which no file of certificates has"),
            "more" => self.fault(
                file,
                "there are more than 500 files with certificates in this folder: the rest was not checked",
            ),
            field => {
                let value = String::from_utf8_lossy(&content).into_owned();
                self.field(&file, field, value.trim().trim_matches(['"', '\'']));
            }
        }
        Ok(())
    }

    /// The certificates of a PEM file, or of the bytes in a field.
    pub fn pem(&mut self, file: &str, entry: Option<&str>, content: &[u8]) {
        let place = entry.map_or_else(|| file.to_owned(), |entry| format!("{file}: {entry}"));
        match crate::certificates(content, &place) {
            Ok(certificates) => self
                .found
                .extend(certificates.into_iter().map(|certificate| Found {
                    file: file.to_owned(),
                    entry: entry.map(str::to_owned),
                    certificate,
                })),
            Err(error) => self.fault(file.to_owned(), without(&place, &format!("{error:#}"), entry)),
        }
    }

    /// The certificates in a field that is base64.
    pub fn field(&mut self, file: &str, entry: &str, value: &str) {
        match crate::base64(value, entry) {
            Ok(content) => self.pem(file, Some(entry), &content),
            Err(error) => self.fault(file.to_owned(), format!("{error:#}")),
        }
    }

    pub fn fault(&mut self, file: impl Into<String>, error: impl Into<String>) {
        self.faults.push(Fault {
            file: file.into(),
            error: error.into(),
        });
    }

    /// Whether k3s has stopped using a file: it gave it another name, and left the old one of a cluster that is older where
    /// it was.
    pub fn left_over(&self, file: &str) -> bool {
        let successor = |folder: &str| format!("{folder}/client-k3s-cloud-controller.crt");
        let folder = file.strip_suffix("/client-cloud-controller.crt");
        folder.is_some_and(|folder| self.found.iter().any(|other| other.file == successor(folder)))
    }
}

/// The node's program with its input before it; nothing of it shows in a list of processes.
fn program(places: Option<&Places>, more: &[String]) -> Command {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let own = Places::default();
    let Places { data_dir, kubeconfig } = places.unwrap_or(&own);
    let mut text = format!(
        "data={}\nkubeconfig={}\nnode={}\n{}main",
        quoted(data_dir),
        quoted(kubeconfig),
        if places.is_some() { "yes" } else { "no" },
        include_str!("gather.sh")
    );
    for path in more {
        let _ = write!(text, " {}", quoted(path));
    }
    text.push('\n');
    Command::script(text).within(LIMIT)
}

/// The file has a column of its own.
fn without(place: &str, error: &str, entry: Option<&str>) -> String {
    let rest = error
        .strip_prefix(place)
        .map_or(error, |rest| rest.trim_start_matches(": "));
    entry.map_or_else(|| rest.to_owned(), |entry| format!("{entry}: {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Authority, Leaf};

    fn line(kind: &str, path: &str, content: &str) -> String {
        format!("{kind} {} {}\n", STANDARD.encode(path), STANDARD.encode(content))
    }

    #[test]
    fn files_and_fields_are_read() {
        let authority = Authority::new("ca");
        let chain = authority.sign(&Leaf::new("x")).pem + &authority.pem;
        let quoted = format!("\"{}\"", STANDARD.encode(&chain));
        let text = line("pem", "/a.crt", &chain)
            + &line("client-certificate-data", "/k3s.yaml", &quoted)
            + &line("tls.crt", "/dynamic-cert.json", &STANDARD.encode(&chain))
            + "end\n";
        let all = All::read(&text).unwrap();
        let told: Vec<_> = all
            .found
            .iter()
            .map(|found| {
                (
                    found.file.as_str(),
                    found.entry.as_deref(),
                    found.certificate.subject.as_str(),
                )
            })
            .collect();
        let field = Some("client-certificate-data");
        assert_eq!(
            told,
            [
                ("/a.crt", None, "CN=x"),
                ("/a.crt", None, "CN=ca"),
                ("/k3s.yaml", field, "CN=x"),
                ("/k3s.yaml", field, "CN=ca"),
                ("/dynamic-cert.json", Some("tls.crt"), "CN=x"),
                ("/dynamic-cert.json", Some("tls.crt"), "CN=ca"),
            ]
        );
        assert!(all.faults.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_told_by_file_and_field() {
        let empty_key = "-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n";
        let text = line("pem", "/a.crt", "")
            + &line("pem", "/b.crt", empty_key)
            + &line("client-certificate-data", "/k3s.yaml", "?")
            + &line("client-certificate-data", "/k3s.yaml", &STANDARD.encode("x"))
            + &line("tls.crt", "/dynamic-cert.json", "")
            + &line("missing", "/c.crt", "")
            + &line("unreadable", "/d.crt", "")
            + &line("irregular", "/dev/zero", "")
            + &line("large", "/f.crt", "")
            + &line("more", "/e", "")
            + "end\n";
        let told: Vec<String> = All::read(&text)
            .unwrap()
            .faults
            .iter()
            .map(|fault| format!("{} {}", fault.file, fault.error))
            .collect();
        assert_eq!(
            told,
            [
                "/a.crt it is empty",
                "/b.crt it holds a private key where a certificate is expected",
                "/k3s.yaml client-certificate-data: it is not base64",
                "/k3s.yaml client-certificate-data: it is not PEM: there is no BEGIN line in it",
                "/dynamic-cert.json tls.crt: it is empty",
                "/c.crt there is no such file",
                "/d.crt it cannot be read",
                "/dev/zero it is not a regular file",
                "/f.crt it has more than 1 MiB, which no file of certificates has",
                "/e there are more than 500 files with certificates in this folder: the rest was not checked",
            ]
        );
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test lays out its own folder")]
    fn the_images_of_pods_are_not_searched() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("ca").pem;
        let files = [
            "server/tls/server-ca.crt",
            "server/tls/etcd/peer-ca.crt",
            // Since 1.33.1.
            "server/tls/kube-scheduler/kube-scheduler.crt",
            "agent/client-ca.crt",
            "agent/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs/etc/ssl/certs/a.pem",
        ];
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &authority).unwrap();
        }
        let places = Places {
            data_dir: folder.path().display().to_string(),
            kubeconfig: "/no/such".to_owned(),
        };
        let told = |all: All| {
            let files = all.found.into_iter().map(|found| found.file);
            files
                .map(|file| file.replace(&format!("{}/", places.data_dir), ""))
                .collect::<Vec<_>>()
        };
        let host = host::LocalHost::new();
        let own = All::of_node(&host, Some(&places), &[]).unwrap();
        assert_eq!(
            told(own),
            [
                "server/tls/etcd/peer-ca.crt",
                "server/tls/kube-scheduler/kube-scheduler.crt",
                "server/tls/server-ca.crt",
                "agent/client-ca.crt"
            ]
        );
        // A folder that somebody names is searched whole.
        let named = All::of_node(&host, None, std::slice::from_ref(&places.data_dir)).unwrap();
        assert_eq!(named.found.len(), files.len());
    }

    #[test]
    fn an_answer_that_is_cut_off_or_mixed_up_is_none() {
        for text in [
            "",
            "pem YQ==",
            "pem YQ== YQ== YQ==\nend\n",
            "pem ? YQ==\nend\n",
            "end\nend\n",
        ] {
            assert!(All::read(text).is_err(), "{text:?}");
        }
    }
}
