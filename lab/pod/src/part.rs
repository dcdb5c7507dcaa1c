//! Which program is to be played.

use anyhow::{Context as _, Result, bail};
use std::time::Duration;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Answers its host name on `PORT` (8080), and goes on for `GRACE` seconds (0) after SIGTERM.
    Web {
        port: u16,
        grace: Duration,
    },
    /// Prints what a web server answers.
    Get {
        url: String,
    },
    /// Waits, for ever or so long.
    Sleep {
        seconds: Option<u64>,
    },
    /// Fails after a moment.
    Fail,
    /// Is done at once.
    Done,
    CoreDns,
    MetricsServer,
    Traefik {
        ports: Vec<u16>,
    },
    KlipperHelm {
        arguments: Vec<String>,
    },
}

/// What each part is called. Programs that have nothing to do here but to be there wait.
const NAMES: &str = "web, get URL, sleep [SECONDS], fail, done, pause, coredns, metrics-server, \
                     local-path-provisioner, traefik, klipper-lb, klipper-helm";

impl Part {
    pub(crate) fn of(argv: &[String]) -> Result<Self> {
        let mut words = argv.iter().map(String::as_str);
        let called = words.next().unwrap_or_default();
        let own = called.rsplit('/').next().unwrap_or_default();
        let name = if own == "lab-pod" {
            words.next().unwrap_or("web")
        } else {
            own
        };
        Ok(match name {
            "web" => Self::Web {
                port: setting("PORT", 8080)?,
                grace: Duration::from_secs(setting("GRACE", 0)?),
            },
            "get" => Self::Get {
                url: words.next().context("get: which URL?")?.to_owned(),
            },
            "sleep" => Self::Sleep {
                seconds: words.next().map(number).transpose()?,
            },
            "pause" | "local-path-provisioner" | "klipper-lb" => Self::Sleep { seconds: None },
            "fail" => Self::Fail,
            "done" => Self::Done,
            "coredns" => Self::CoreDns,
            "metrics-server" => Self::MetricsServer,
            "traefik" => Self::Traefik {
                ports: words.filter_map(entry_point).collect(),
            },
            "klipper-helm" => Self::KlipperHelm {
                arguments: words.map(str::to_owned).collect(),
            },
            _ => bail!("no part is called {name}; there are {NAMES}"),
        })
    }
}

/// The port of `--entryPoints.traefik.address=:8080/tcp`: the chart says on which of them its probe asks.
fn entry_point(word: &str) -> Option<u16> {
    let (name, address) = word.split_once('=')?;
    let name = name.to_ascii_lowercase();
    if !name.starts_with("--entrypoints.") || !name.ends_with(".address") {
        return None;
    }
    let (_, port) = address.rsplit_once(':')?;
    port.trim_end_matches("/tcp").parse().ok()
}

fn number(word: &str) -> Result<u64> {
    word.parse()
        .with_context(|| format!("sleep: {word:?} is not a number of seconds"))
}

fn setting<T: std::str::FromStr>(name: &str, default: T) -> Result<T> {
    let Ok(value) = std::env::var(name) else {
        return Ok(default);
    };
    value
        .parse()
        .ok()
        .with_context(|| format!("{name}={value} in the environment is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Result<Part> {
        let argv: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Part::of(&argv)
    }

    #[test]
    fn the_part_is_named_by_the_program_or_by_its_first_argument() {
        let web = Part::Web {
            port: 8080,
            grace: Duration::ZERO,
        };
        let helm = Part::KlipperHelm {
            arguments: vec!["install".to_owned()],
        };
        for (argv, part) in [
            (vec!["/lab-pod"], web),
            (vec!["/lab-pod", "fail"], Part::Fail),
            (vec!["/bin/done"], Part::Done),
            (vec!["pause"], Part::Sleep { seconds: None }),
            (vec!["sleep", "7"], Part::Sleep { seconds: Some(7) }),
            (
                vec!["/lab-pod", "coredns", "-conf", "/etc/coredns/Corefile"],
                Part::CoreDns,
            ),
            (
                vec!["local-path-provisioner", "start", "--config", "config.json"],
                Part::Sleep { seconds: None },
            ),
            (vec!["/lab-pod", "klipper-helm", "install"], helm),
        ] {
            assert_eq!(of(&argv).unwrap(), part, "{argv:?}");
        }
    }

    #[test]
    fn traefik_listens_where_its_arguments_say() {
        let argv = [
            "/lab-pod",
            "traefik",
            "--global.checkNewVersion",
            "--entryPoints.metrics.address=:9100/tcp",
            "--entryPoints.traefik.address=:8080/tcp",
            "--entrypoints.web.address=127.0.0.1:8000",
            "--entryPoints.quic.address=:8443/udp",
            "--entryPoints.websecure.http.tls=true",
            "--metrics.prometheus.entrypoint=metrics",
        ];
        let ports = vec![9100, 8080, 8000];
        assert_eq!(of(&argv).unwrap(), Part::Traefik { ports });
    }

    #[test]
    fn refuses_an_unknown_part_with_the_names_of_all() {
        for (argv, message) in [
            (
                vec!["/lab-pod", "nginx"],
                "no part is called nginx; there are web, get URL",
            ),
            (vec!["/lab-pod", "get"], "which URL?"),
            (vec!["sleep", "long"], "\"long\" is not a number of seconds"),
        ] {
            let error = format!("{:#}", of(&argv).unwrap_err());
            assert!(error.contains(message), "{error}");
        }
    }
}
