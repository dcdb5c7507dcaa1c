//! What klipper-helm does in the Jobs of k3s's controller of charts, with a real Helm: install, upgrade, reinstall, uninstall.

use crate::release::{self, ACCOUNT, Release};
use anyhow::{Context as _, Result, bail, ensure};
use std::env;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// What the controller mounts: values, and a chart that is given in the `HelmChart` itself.
const VALUES: &str = "/config";
const CHARTS: &str = "/chart";
/// What is written here shows in the status of the container that has ended.
const MESSAGE: &str = "/dev/termination-log";
/// The label of a release by which the controller recognizes what it has ordered: without it, it starts the Job again.
const HASH: &str = "helmcharts.helm.cattle.io/configHash";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Install,
    Upgrade,
    /// Also where it fails: the next installation shows it.
    Uninstall,
    /// The release of a Helm that was interrupted: nobody finishes it.
    SetFailed,
}

/// What the Job is to do.
#[derive(Debug, PartialEq, Eq, Default)]
struct Order {
    name: String,
    namespace: String,
    chart: String,
    delete: bool,
    /// For install and upgrade.
    options: Vec<String>,
    /// Empty: reinstall.
    policy: String,
    /// The revision that the controller has seen, where it says so: another one is another Job's work.
    expected: String,
    /// Of Helm 4: true, false, auto, or empty where the controller does not say.
    server_side: String,
    force_conflicts: String,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let order = Order::given(arguments, |name| env::var(name).unwrap_or_default())?;
    let found = release::newest(&order.namespace, &order.name)?;
    match &found {
        None => println!("there is no release {}", order.name),
        Some(release) => println!(
            "the release {} is {} (revision {})",
            order.name, release.status, release.revision
        ),
    }
    for step in order.steps(found.as_ref())? {
        order.take(step, found.as_ref())?;
    }
    Ok(())
}

impl Order {
    fn given(arguments: &[String], variable: impl Fn(&str) -> String) -> Result<Self> {
        let (verb, options) = arguments
            .split_first()
            .context("klipper-helm: install or delete?")?;
        ensure!(
            ["install", "delete"].contains(&verb.as_str()),
            "klipper-helm: {verb} is neither install nor delete"
        );
        let api = format!(
            "{}:{}",
            variable("KUBERNETES_SERVICE_HOST"),
            variable("KUBERNETES_SERVICE_PORT")
        );
        let mut options = options.to_vec();
        let timeout = variable("TIMEOUT");
        if !timeout.is_empty() {
            options.extend(["--timeout".to_owned(), timeout]);
        }
        let hash = variable("CONFIG_HASH");
        if !hash.is_empty() {
            options.extend(["--labels".to_owned(), format!("{HASH}={hash}")]);
        }
        Ok(Self {
            name: variable("NAME"),
            namespace: variable("TARGET_NAMESPACE"),
            chart: variable("CHART").replace("%{KUBERNETES_API}%", &api),
            delete: verb == "delete",
            options,
            policy: variable("FAILURE_POLICY"),
            expected: variable("EXPECTED_RELEASE_REVISION"),
            server_side: variable("SERVER_SIDE"),
            force_conflicts: variable("FORCE_CONFLICTS"),
        })
    }

    fn steps(&self, found: Option<&Release>) -> Result<Vec<Step>> {
        let Some(release) = found else {
            return Ok(if self.delete { vec![] } else { vec![Step::Install] });
        };
        if !self.expected.is_empty() && self.expected != release.revision.to_string() {
            println!("revision {} was expected: nothing is done", self.expected);
            return Ok(vec![]);
        }
        if self.delete {
            return Ok(vec![Step::Uninstall]);
        }
        match release.status.as_str() {
            "deployed" => Ok(vec![Step::Upgrade]),
            "pending-upgrade" | "superseded" => Ok(vec![Step::SetFailed, Step::Upgrade]),
            "pending-install" | "pending-rollback" | "uninstalling" => {
                let mut steps = vec![Step::SetFailed];
                steps.extend(self.after_a_failure()?);
                Ok(steps)
            }
            _ => self.after_a_failure(),
        }
    }

    fn after_a_failure(&self) -> Result<Vec<Step>> {
        match self.policy.as_str() {
            "abort" => bail!("it is left to operators: the failure policy is abort"),
            "retry" => Ok(vec![Step::Upgrade]),
            "" | "reinstall" => Ok(vec![Step::Uninstall, Step::Install]),
            other => bail!("the failure policy {other} is not known"),
        }
    }

    fn take(&self, step: Step, found: Option<&Release>) -> Result<()> {
        match step {
            Step::Install => self.install("install", None),
            Step::Upgrade => self.install("upgrade", found),
            Step::Uninstall => {
                note(&format!("uninstalling {}", self.name));
                helm(&["uninstall", &self.name, "--namespace", &self.namespace, "--wait"]).or_else(|error| {
                    println!("{error:#}");
                    Ok(())
                })
            }
            Step::SetFailed => release::set_failed(&self.namespace, &self.name),
        }
    }

    fn install(&self, verb: &str, upgraded: Option<&Release>) -> Result<()> {
        note(&format!("{verb} of {}", self.name));
        let chart = self.chart()?;
        let values = values(Path::new(VALUES))?;
        let applying = self.applying(upgraded);
        let mut words = vec![verb, "--namespace", &self.namespace, &self.name, &chart];
        words.extend(self.options.iter().chain(&applying).map(String::as_str));
        for file in &values {
            words.extend(["--values", file]);
        }
        helm(&words)
    }

    /// How Helm 4 is to apply. What is installed can only be true or false; an upgrade keeps what the install has set, and
    /// only what is applied by the server can be forced.
    fn applying(&self, upgraded: Option<&Release>) -> Vec<String> {
        let auto = self.server_side == "auto";
        let by_server = upgraded.is_none_or(|release| release.apply_method == "ssa");
        let server_side = match upgraded {
            None if auto => "true",
            _ => &self.server_side,
        };
        let force = if auto && !by_server && self.force_conflicts == "true" {
            "false"
        } else {
            &self.force_conflicts
        };
        [("--server-side", server_side), ("--force-conflicts", force)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(flag, value)| format!("{flag}={value}"))
            .collect()
    }

    /// Where the chart is: a URL, or a file made of what the `HelmChart` has in itself.
    fn chart(&self) -> Result<String> {
        let given = format!("{CHARTS}/{}.tgz.base64", self.name);
        if !Path::new(&given).exists() {
            return Ok(self.chart.clone());
        }
        let text = fs::read_to_string(&given).with_context(|| format!("reading {given}"))?;
        let chart = format!("/tmp/{}.tgz", self.name);
        let bytes = release::unbase64(&text).with_context(|| format!("reading {given}"))?;
        fs::write(&chart, bytes).with_context(|| format!("writing {chart}"))?;
        Ok(chart)
    }
}

/// A line for the status of the Job's container. Outside of a pod there is no such file.
fn note(line: &str) {
    let opened = fs::File::options().append(true).open(MESSAGE);
    let _ = opened.and_then(|mut file| writeln!(file, "{line}"));
}

/// In the order of their names: those of a `HelmChartConfig` come after the chart's own.
fn values(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files: Vec<String> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| path.display().to_string())
        .collect();
    files.sort();
    Ok(files)
}

/// Helm's own words go where ours do, and its failure ends us.
fn helm(arguments: &[&str]) -> Result<()> {
    println!("+ helm {}", arguments.join(" "));
    let status = Command::new("/bin/helm")
        .args(arguments)
        .env("SSL_CERT_FILE", format!("{ACCOUNT}/ca.crt"))
        .status()
        .context("running helm")?;
    ensure!(status.success(), "helm ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(status: &str, revision: u64, apply_method: &str) -> Release {
        Release {
            status: status.to_owned(),
            revision,
            apply_method: apply_method.to_owned(),
        }
    }

    fn order(policy: &str, delete: bool, expected: &str) -> Order {
        Order {
            policy: policy.to_owned(),
            delete,
            expected: expected.to_owned(),
            ..Order::default()
        }
    }

    #[test]
    fn what_is_done_depends_on_the_release_and_on_the_failure_policy() {
        use Step::{Install, SetFailed, Uninstall, Upgrade};
        for (status, policy, expected) in [
            (None, "", vec![Install]),
            (Some("deployed"), "", vec![Upgrade]),
            (Some("deployed"), "abort", vec![Upgrade]),
            // Where definitions go, with all their resources.
            (Some("failed"), "", vec![Uninstall, Install]),
            (Some("failed"), "reinstall", vec![Uninstall, Install]),
            (Some("failed"), "retry", vec![Upgrade]),
            (Some("pending-install"), "", vec![SetFailed, Uninstall, Install]),
            (Some("uninstalling"), "retry", vec![SetFailed, Upgrade]),
            (Some("pending-upgrade"), "abort", vec![SetFailed, Upgrade]),
            (Some("superseded"), "", vec![SetFailed, Upgrade]),
        ] {
            let found = status.map(|status| release(status, 1, "ssa"));
            assert_eq!(
                order(policy, false, "").steps(found.as_ref()).unwrap(),
                expected,
                "{status:?} {policy}"
            );
        }
        let failed = release("failed", 1, "");
        assert!(order("abort", false, "").steps(Some(&failed)).is_err());
        assert!(order("hope", false, "").steps(Some(&failed)).is_err());
        assert_eq!(order("", true, "").steps(None).unwrap(), []);
        assert_eq!(
            order("abort", true, "").steps(Some(&failed)).unwrap(),
            [Uninstall]
        );
    }

    #[test]
    fn a_revision_that_was_not_expected_is_left_alone() {
        let found = release("deployed", 4, "ssa");
        for (expected, steps) in [("", 1), ("4", 1), ("3", 0), ("0", 0)] {
            let order = order("", false, expected);
            assert_eq!(order.steps(Some(&found)).unwrap().len(), steps, "{expected}");
        }
        assert_eq!(order("", true, "3").steps(Some(&found)).unwrap(), []);
        // The first installation: the controller has seen no release, and there is none.
        assert_eq!(order("", false, "0").steps(None).unwrap(), [Step::Install]);
    }

    #[test]
    fn what_was_not_applied_by_the_server_is_not_forced() {
        let (by_server, by_client) = (release("deployed", 1, "ssa"), release("deployed", 1, "csa"));
        for (server_side, force, upgraded, flags) in [
            ("", "", None, ""),
            ("auto", "true", None, "--server-side=true --force-conflicts=true"),
            (
                "auto",
                "true",
                Some(&by_server),
                "--server-side=auto --force-conflicts=true",
            ),
            (
                "auto",
                "true",
                Some(&by_client),
                "--server-side=auto --force-conflicts=false",
            ),
            (
                "true",
                "true",
                Some(&by_client),
                "--server-side=true --force-conflicts=true",
            ),
        ] {
            let order = Order {
                server_side: server_side.to_owned(),
                force_conflicts: force.to_owned(),
                ..Order::default()
            };
            assert_eq!(order.applying(upgraded).join(" "), flags);
        }
    }

    #[test]
    fn an_order_is_made_of_arguments_and_environment() {
        let variable = |name: &str| {
            let value = match name {
                "NAME" => "traefik-crd",
                "TARGET_NAMESPACE" => "kube-system",
                "CHART" => "https://%{KUBERNETES_API}%/static/charts/a.tgz",
                "KUBERNETES_SERVICE_HOST" => "10.43.0.1",
                "KUBERNETES_SERVICE_PORT" => "443",
                "TIMEOUT" => "2m",
                "CONFIG_HASH" => "ABC",
                "EXPECTED_RELEASE_REVISION" => "7",
                _ => "",
            };
            value.to_owned()
        };
        let given = ["install", "--force-conflicts"].map(str::to_owned);
        let order = Order::given(&given, variable).unwrap();
        assert_eq!(order.chart, "https://10.43.0.1:443/static/charts/a.tgz");
        assert_eq!(
            order.options,
            [
                "--force-conflicts",
                "--timeout",
                "2m",
                "--labels",
                "helmcharts.helm.cattle.io/configHash=ABC"
            ]
        );
        assert_eq!(order.expected, "7");
        assert!(!order.delete);
        assert!(Order::given(&[], variable).is_err());
        assert!(Order::given(&["roll".to_owned()], variable).is_err());
    }

    #[test]
    fn values_are_taken_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "values-10_HelmChartConfig.yaml",
            "values-01_HelmChart.yaml",
            "ca-file.pem",
        ] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let files = values(folder.path()).unwrap();
        assert_eq!(files.len(), 2);
        assert!(files[0].ends_with("values-01_HelmChart.yaml"));
    }
}
