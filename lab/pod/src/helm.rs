//! What klipper-helm does in the Jobs of k3s's controller of charts, with a real Helm: install, upgrade, reinstall, uninstall.

use crate::release::{self, Change};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the controller mounts: values, and a chart that is given in the `HelmChart` itself.
const VALUES: &str = "/config";
const CHARTS: &str = "/chart";
/// The API server is a source of charts too, and this is what its certificate is signed with.
pub(crate) const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Install,
    Upgrade,
    Uninstall,
    /// A release whose Helm was cut off: nobody finishes it.
    SetFailed,
    /// What the release has made by APIs that are no more is said in those that are.
    MapApis,
}

/// What the Job was told.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    name: String,
    namespace: String,
    chart: String,
    delete: bool,
    /// For install and upgrade.
    options: Vec<String>,
    /// Empty where the controller knows none, as until March 2022.
    policy: String,
}

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let order = Order::given(arguments, |name| env::var(name).unwrap_or_default())?;
    let status = status(&order)?;
    let shown = status.as_deref().unwrap_or("not there");
    println!("the release {} is {shown}", order.name);
    for step in steps(order.delete, status.as_deref(), &order.policy)? {
        order.take(step)?;
    }
    Ok(())
}

fn steps(delete: bool, status: Option<&str>, policy: &str) -> Result<Vec<Step>> {
    let Some(status) = status else {
        return Ok(if delete { vec![] } else { vec![Step::Install] });
    };
    if delete {
        return Ok(vec![Step::Uninstall]);
    }
    let mut steps = Vec::new();
    if status.starts_with("pending-") {
        steps.push(Step::SetFailed);
    }
    match (status, policy) {
        ("deployed" | "pending-upgrade", _) => steps.extend([Step::MapApis, Step::Upgrade]),
        (_, "abort") => bail!("it is left to operators: the failure policy is abort"),
        (_, "retry") => steps.push(Step::Upgrade),
        (_, "" | "reinstall") => steps.extend([Step::Uninstall, Step::Install]),
        (_, other) => bail!("the failure policy {other} is not known"),
    }
    Ok(steps)
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
        Ok(Self {
            name: variable("NAME"),
            namespace: variable("TARGET_NAMESPACE"),
            chart: variable("CHART").replace("%{KUBERNETES_API}%", &api),
            delete: verb == "delete",
            options,
            policy: variable("FAILURE_POLICY"),
        })
    }

    fn take(&self, step: Step) -> Result<()> {
        match step {
            Step::Install => self.install("install"),
            Step::Upgrade => self.install("upgrade"),
            Step::Uninstall => helm(&["uninstall", &self.name, "--namespace", &self.namespace]),
            Step::SetFailed => release::change(&self.namespace, &self.name, Change::Failed),
            Step::MapApis => release::change(&self.namespace, &self.name, Change::MapApis),
        }
    }

    fn install(&self, verb: &str) -> Result<()> {
        let chart = self.chart()?;
        let values = values(Path::new(VALUES))?;
        let mut words = vec![verb, "--namespace", &self.namespace, &self.name, &chart];
        words.extend(self.options.iter().map(String::as_str));
        for file in &values {
            words.extend(["--values", file]);
        }
        helm(&words)
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

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new("/bin/helm");
    command
        .args(arguments)
        .env("SSL_CERT_FILE", format!("{ACCOUNT}/ca.crt"))
        .env("HOME", "/tmp");
    command
}

/// Helm's own words go where ours do, and its failure ends us.
fn helm(arguments: &[&str]) -> Result<()> {
    println!("+ helm {}", arguments.join(" "));
    let status = command(arguments).status().context("running helm")?;
    ensure!(status.success(), "helm ended with {status}");
    Ok(())
}

/// Of the newest revision. That there is none must not be mistaken for an API that does not answer.
fn status(order: &Order) -> Result<Option<String>> {
    let filter = format!("^{}$", order.name);
    let arguments = [
        "ls",
        "--all",
        "--filter",
        &filter,
        "--namespace",
        &order.namespace,
        "--output",
        "json",
    ];
    let output = command(&arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("running helm ls")?;
    ensure!(output.status.success(), "helm ls ended with {}", output.status);
    let found: Value = serde_json::from_slice(&output.stdout).context("reading what helm ls says")?;
    Ok(found[0]["status"].as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_depends_on_the_release_and_on_the_failure_policy() {
        use Step::{Install, MapApis, SetFailed, Uninstall, Upgrade};
        for (status, policy, expected) in [
            (None, "", vec![Install]),
            (Some("deployed"), "", vec![MapApis, Upgrade]),
            (Some("deployed"), "abort", vec![MapApis, Upgrade]),
            // Where definitions go, with all their resources.
            (Some("failed"), "", vec![Uninstall, Install]),
            (Some("failed"), "reinstall", vec![Uninstall, Install]),
            (Some("failed"), "retry", vec![Upgrade]),
            (Some("pending-install"), "", vec![SetFailed, Uninstall, Install]),
            (Some("pending-upgrade"), "", vec![SetFailed, MapApis, Upgrade]),
        ] {
            assert_eq!(
                steps(false, status, policy).unwrap(),
                expected,
                "{status:?} {policy}"
            );
        }
        assert!(steps(false, Some("failed"), "abort").is_err());
        assert!(steps(false, Some("failed"), "hope").is_err());
        assert_eq!(steps(true, None, "").unwrap(), []);
        assert_eq!(steps(true, Some("failed"), "abort").unwrap(), [Uninstall]);
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
                _ => "",
            };
            value.to_owned()
        };
        let given = ["install", "--set-string", "a=b"].map(str::to_owned);
        let order = Order::given(&given, variable).unwrap();
        assert_eq!(order.chart, "https://10.43.0.1:443/static/charts/a.tgz");
        assert_eq!(order.options, ["--set-string", "a=b", "--timeout", "2m"]);
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
