//! The certificates of a node, with the files that they are in, and what could not be read.

use crate::Certificate;
use crate::rotation::Paths;
use anyhow::{Context, Result};
use host::Host;
use k3s_node::Facts;
use k3s_node::probe::{Below, Is, Probe};
use k3s_node::setup::DEFAULT_BINARY;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Some dozens of files are read and printed.
const LIMIT: Duration = Duration::from_mins(2);

/// A certificate where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub file: String,
    /// The field of the file, where the file is not PEM.
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
    /// Reads what a node has: its own files, where `paths` says where they are, and `more` files and folders.
    pub fn of_node(host: &dyn Host, paths: Option<&Paths>, more: &[String]) -> Result<Self> {
        let output = host
            .run(&questions(paths, more).command(DEFAULT_BINARY).within(LIMIT))?
            .succeed(&host.location(), "reading the certificates")?;
        Self::read(&output.stdout).with_context(|| format!("{}: reading the certificates", host.location()))
    }

    /// Reads the answers, in the order of the questions, then of the files.
    fn read(bytes: &[u8]) -> Result<Self> {
        let frames = Facts::parse_all(bytes)?.below("");
        let mut answers: Vec<(Answer, &str)> = frames
            .iter()
            .filter_map(|(name, content)| Some((Answer::of(name)?, content.as_str())))
            .collect();
        answers.sort();
        let mut all = Self::default();
        for (answer, content) in answers {
            all.answer(&answer, content);
        }
        Ok(all)
    }

    fn answer(&mut self, answer: &Answer, content: &str) {
        let file = answer.file;
        match (answer.obstacle, answer.kind) {
            (None, PEM) => self.pem(file, None, content.as_bytes()),
            (None, LISTENER) => self.field(file, LISTENER, content.trim()),
            (None, field) => {
                for value in content.lines() {
                    self.field(file, field, value.trim().trim_matches(['"', '\'']));
                }
            }
            (Some(obstacle), PEM) => self.fault(file, obstacle.words()),
            // The other files of k3s need not be there.
            _ => {}
        }
    }

    /// The certificates of a PEM file, or of the bytes in a field.
    pub fn pem(&mut self, file: &str, entry: Option<&str>, content: &[u8]) {
        let location = entry.map_or_else(|| file.to_owned(), |entry| format!("{file}: {entry}"));
        match crate::certificates(content, &location) {
            Ok(certificates) => self
                .found
                .extend(certificates.into_iter().map(|certificate| Found {
                    file: file.to_owned(),
                    entry: entry.map(str::to_owned),
                    certificate,
                })),
            Err(error) => self.fault(file.to_owned(), without(&location, &format!("{error:#}"), entry)),
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

const PEM: &str = "pem";
/// What k3s has in kubeconfigs; those by path are in their own files.
const FIELDS: [&str; 2] = ["certificate-authority-data", "client-certificate-data"];
/// The certificate by which a server is reached is in a Secret, as JSON.
const LISTENER: &str = "tls.crt";
const MOST: u32 = 500;

/// No key leaves the node: what `sed -n` shows of a PEM file has of a key its two outer lines.
const WITHOUT_KEYS: &str =
    "/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/,/-----END [A-Z0-9 ]*PRIVATE KEY-----/{/-----/!d;};p";
/// Of the listener's secret its certificate only.
const LISTENERS_CERTIFICATE: &str = "s/.*\"tls\\.crt\" *: *\"\\([^\"]*\\)\".*/\\1/p";

/// Of a kubeconfig one field only.
fn field_only(field: &str) -> String {
    format!("s/^[ -]*{field}: *//p")
}

/// The name of an answer: the number of its question, its kind, its file, and why it has no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Answer<'a> {
    question: usize,
    is_rest: bool,
    file: &'a str,
    kind: &'a str,
    obstacle: Option<Obstacle>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Obstacle {
    Missing,
    Irregular,
    Unreadable,
    Large,
    More,
}

impl Obstacle {
    fn of(word: &str) -> Option<Self> {
        Some(match word {
            "missing" => Self::Missing,
            "irregular" => Self::Irregular,
            "unreadable" => Self::Unreadable,
            "large" => Self::Large,
            "more" => Self::More,
            _ => return None,
        })
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Missing => "there is no such file",
            Self::Irregular => "it is not a regular file",
            Self::Unreadable => "it cannot be read",
            Self::Large => "it has more than 1 MiB, which no file of certificates has",
            Self::More => {
                "there are more than 500 files with certificates in this folder: the rest was not checked"
            }
        }
    }
}

impl<'a> Answer<'a> {
    fn of(name: &'a str) -> Option<Self> {
        let (first, rest) = name.split_once(':')?;
        let obstacle = Obstacle::of(first);
        let name = if obstacle.is_some() { rest } else { name };
        let mut parts = name.splitn(3, ':');
        Some(Self {
            question: parts.next()?.parse().ok()?,
            kind: parts.next()?,
            file: parts.next()?,
            is_rest: obstacle == Some(Obstacle::More),
            obstacle,
        })
    }
}

fn questions(paths: Option<&Paths>, more: &[String]) -> Probe {
    let own = paths.map_or_else(Probe::new, own_files);
    more.iter()
        .zip(OWN_QUESTIONS..)
        .fold(own, |probe, (path, number)| {
            let folder = Probe::new().when(Is::Folder, path, &folder(Probe::new(), number, path, 100));
            let file = Probe::new().shown(&format!("{number}:{PEM}:{path}"), path, WITHOUT_KEYS);
            probe.first(&[folder, file])
        })
}

/// How many questions the files of k3s are.
const OWN_QUESTIONS: usize = 6;

fn own_files(paths: &Paths) -> Probe {
    let Paths { data_dir, kubeconfig } = paths;
    let probe = folder(Probe::new(), 0, &format!("{data_dir}/server/tls"), 2);
    // No deeper: below are the images of all pods, and with them thousands of authorities that are not k3s's.
    let probe = folder(probe, 1, &format!("{data_dir}/agent"), 1);
    let probe = FIELDS.iter().fold(probe, |probe, field| {
        let shown = field_only(field);
        let in_folder = |number: u8, probe: Probe, folder: &str| {
            let folder = format!("{data_dir}/{folder}");
            probe.files_shown(&format!("{number}:{field}"), &folder, "*.kubeconfig", &shown)
        };
        let probe = probe.shown(&format!("2:{field}:{kubeconfig}"), kubeconfig, &shown);
        in_folder(4, in_folder(3, probe, "server/cred"), "agent")
    });
    let listener = format!("{data_dir}/server/tls/dynamic-cert.json");
    probe.shown(
        &format!("5:{LISTENER}:{listener}"),
        &listener,
        LISTENERS_CERTIFICATE,
    )
}

fn folder(probe: Probe, number: usize, folder: &str, depth: u32) -> Probe {
    let below = Below {
        folder,
        depth,
        most: MOST,
        patterns: &["*.crt", "*.pem", "*.cert"],
        shown: WITHOUT_KEYS,
    };
    probe.below(&format!("{number}:{PEM}"), &below)
}

/// The file has a column of its own.
fn without(location: &str, error: &str, entry: Option<&str>) -> String {
    let rest = error
        .strip_prefix(location)
        .map_or(error, |rest| rest.trim_start_matches(": "));
    entry.map_or_else(|| rest.to_owned(), |entry| format!("{entry}: {rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Authority, Leaf};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    fn frame(name: &str, content: &str) -> String {
        format!("@{name} {}\n{content}\n", content.len())
    }

    const END: &str = "@end 0\n\n";

    #[test]
    fn files_and_fields_are_read() {
        let authority = Authority::new("ca");
        let chain = authority.sign(&Leaf::new("x")).pem + &authority.pem;
        let quoted = format!("\"{}\"", STANDARD.encode(&chain));
        let text = frame("5:tls.crt:/dynamic-cert.json", &STANDARD.encode(&chain))
            + &frame("2:client-certificate-data:/k3s.yaml", &quoted)
            + &frame("0:pem:/a.crt", &chain)
            + END;
        let all = All::read(text.as_bytes()).unwrap();
        let found: Vec<_> = all
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
            found,
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
    fn reports_unreadable_certificates_by_file_and_field() {
        let empty_key = "-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n";
        let field = format!("?\n{}\n", STANDARD.encode("x"));
        let text = frame("0:pem:/a.crt", "")
            + &frame("0:pem:/b.crt", empty_key)
            + &frame("2:client-certificate-data:/k3s.yaml", &field)
            + &frame("missing:4:client-certificate-data:/other", "")
            + &frame("5:tls.crt:/dynamic-cert.json", "")
            + &frame("missing:6:pem:/c.crt", "")
            + &frame("unreadable:7:pem:/d.crt", "")
            + &frame("irregular:8:pem:/dev/zero", "")
            + &frame("more:9:pem:/e", "")
            + &frame("large:9:pem:/e/f:g.crt", "")
            + END;
        let faults: Vec<String> = All::read(text.as_bytes())
            .unwrap()
            .faults
            .iter()
            .map(|fault| format!("{} {}", fault.file, fault.error))
            .collect();
        assert_eq!(
            faults,
            [
                "/a.crt it is empty",
                "/b.crt it holds a private key where a certificate is expected",
                "/k3s.yaml client-certificate-data: it is not base64",
                "/k3s.yaml client-certificate-data: it is not PEM: there is no BEGIN line in it",
                "/dynamic-cert.json tls.crt: it is empty",
                "/c.crt there is no such file",
                "/d.crt it cannot be read",
                "/dev/zero it is not a regular file",
                "/e/f:g.crt it has more than 1 MiB, which no file of certificates has",
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
        let paths = Paths {
            data_dir: folder.path().display().to_string(),
            kubeconfig: "/no/such".to_owned(),
        };
        let found = |all: All| {
            let files = all.found.into_iter().map(|found| found.file);
            files
                .map(|file| file.replace(&format!("{}/", paths.data_dir), ""))
                .collect::<Vec<_>>()
        };
        let host = host::LocalHost::new();
        let own = All::of_node(&host, Some(&paths), &[]).unwrap();
        assert_eq!(
            found(own),
            [
                "server/tls/etcd/peer-ca.crt",
                "server/tls/kube-scheduler/kube-scheduler.crt",
                "server/tls/server-ca.crt",
                "agent/client-ca.crt"
            ]
        );
        // A folder that somebody names is searched completely.
        let named = All::of_node(&host, None, std::slice::from_ref(&paths.data_dir)).unwrap();
        assert_eq!(named.found.len(), files.len());
    }

    #[test]
    fn a_truncated_answer_is_none() {
        let text = frame("0:pem:/a.crt", "");
        assert!(All::read(text.as_bytes()).is_err());
    }
}
