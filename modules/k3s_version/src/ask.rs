//! What the cluster is asked for a rule. Only a server may read it; an agent has no kubeconfig for that. Nothing is written.

use crate::bad_hops::{ChartValue, Definitions, Question};
use crate::node::Node;
use crate::params::Params;
use anyhow::{Context, Result, bail};
use host::{Host, Output};
use k3s_node::probe::{Is, Run};
use k3s_node::{Facts, Probe};
use serde::Deserialize;
use std::time::Duration;
use yaml_tree::{Node as Yaml, first_document};

const DEFINITIONS: &str = "customresourcedefinitions";
const CHART_CONFIGS: &str = "helmchartconfigs.helm.cattle.io";
const SYSTEM: &str = "kube-system";

/// Lines of a list: a field each, with tabs between them. Definitions hold schemas, of which one alone may have 100 kB.
const DEFINED: &str = "-o=jsonpath={range .items[*]}{.metadata.name}{'\\t'}\
    {.metadata.annotations.meta\\.helm\\.sh/release-namespace}{'\\t'}{.metadata.annotations.meta\\.helm\\.sh/release-name}{'\\t'}\
    {.metadata.annotations.helm\\.sh/resource-policy}{'\\n'}{end}";
const OBJECTS: &str = "-o=jsonpath={range .items[*]}{.kind}{'\\t'}{.metadata.namespace}{'\\t'}{.metadata.name}{'\\t'}\
    {.metadata.annotations.meta\\.helm\\.sh/release-namespace}{'\\t'}{.metadata.annotations.meta\\.helm\\.sh/release-name}{'\\n'}{end}";

/// What there is that a rule is about; none where the node is not a server.
pub(crate) fn ask(
    params: &Params,
    question: Question,
    host: &dyn Host,
    node: &Node,
) -> Result<(String, Vec<String>)> {
    let asking = |doing| Asking {
        params,
        host,
        kubeconfig: &node.kubeconfig,
        doing,
    };
    let (rule, found) = match question {
        Question::Objects(rule, of) => {
            let doing = format!("looking for objects of the definitions of {}", of.release);
            (rule, asking(doing).objects(of)?)
        }
        Question::Value(rule, of) => {
            let doing = format!("checking the values of the chart {}", of.chart);
            (rule, asking(doing).value(rule, of)?)
        }
    };
    Ok((rule.to_owned(), found))
}

struct Asking<'a> {
    params: &'a Params,
    host: &'a dyn Host,
    kubeconfig: &'a str,
    doing: String,
}

impl Asking<'_> {
    fn objects(&self, of: &Definitions) -> Result<Vec<String>> {
        let names: Vec<&str> = of.kinds.iter().map(String::as_str).collect();
        let get = [&[DEFINITIONS][..], &names, &["--ignore-not-found", DEFINED]].concat();
        let Some(facts) = self.visit(&[("defined", &get)])? else {
            return Ok(Vec::new());
        };
        let defined = self.text(&facts, "defined")?;
        let kinds = of_release(&defined, &of.release);
        if kinds.is_empty() {
            return Ok(Vec::new());
        }
        let facts = self.visit(&[("objects", &[&kinds.join(","), "--all-namespaces", OBJECTS])])?;
        let facts = facts.with_context(|| format!("{} is gone", self.kubeconfig))?;
        Ok(not_of_release(&self.text(&facts, "objects")?, &of.beside))
    }

    /// Without the controller of charts there is no such kind, and the second question is in vain.
    fn value(&self, rule: &str, of: &ChartValue) -> Result<Vec<String>> {
        let kind = [DEFINITIONS, CHART_CONFIGS, "--ignore-not-found", "-o", "name"];
        let config = [
            CHART_CONFIGS,
            &of.chart,
            "-n",
            SYSTEM,
            "--ignore-not-found",
            "-o",
            "json",
        ];
        let Some(facts) = self.visit(&[("kind", &kind), ("config", &config)])? else {
            return Ok(Vec::new());
        };
        if !self.text(&facts, "kind")?.contains(CHART_CONFIGS) {
            return Ok(Vec::new());
        }
        let values = values(&self.text(&facts, "config")?).with_context(|| self.doing())?;
        // The error of a reader may hold a piece of what it reads, which may be a secret.
        let Ok(values) = first_document(&values) else {
            bail!(
                "{}: the values of HelmChartConfig {SYSTEM}/{} are not valid YAML. Correct them, which Helm needs too, or leave this rule out: \
                 allow_known_bad: [{rule}]",
                self.doing(),
                of.chart
            );
        };
        let has = |key: &str| values.as_ref().is_some_and(|values| has_key(values, key));
        let found = has(&of.key) && !has(&of.unless);
        Ok(found
            .then(|| format!("HelmChartConfig {SYSTEM}/{}", of.chart))
            .into_iter()
            .collect())
    }

    /// `None`: the node has no kubeconfig of a server.
    fn visit(&self, questions: &[(&str, &[&str])]) -> Result<Option<Facts>> {
        let seconds = format!("{}s", self.params.timeout.as_secs());
        let kubectl = [
            self.params.binary.as_str(),
            "kubectl",
            "--kubeconfig",
            self.kubeconfig,
            "--request-timeout",
            &seconds,
            "get",
        ];
        let asked = questions.iter().fold(Probe::new(), |probe, (name, get)| {
            let run = Run {
                argv: &[&kubectl, *get].concat(),
                errors: true,
                ..Run::default()
            };
            probe.run(name, &run)
        });
        let limit = self.params.timeout * 2 + Duration::from_secs(30);
        let probe =
            Probe::new()
                .is("server", Is::There, self.kubeconfig)
                .when(Is::There, self.kubeconfig, &asked);
        let output = self
            .host
            .run(&probe.command(&self.params.binary).within(limit))?
            .succeed(&self.host.location(), &self.doing)?;
        let facts = Facts::parse(&output.stdout).with_context(|| self.doing())?;
        Ok(facts.has("server").then_some(facts))
    }

    /// What kubectl said, which has to have ended well.
    fn text(&self, facts: &Facts, name: &str) -> Result<String> {
        let said = facts.text(name).with_context(|| self.doing())?;
        let said =
            said.with_context(|| format!("{}: there is no {} there", self.doing(), self.params.binary))?;
        let output = Output {
            status: facts.status(name),
            stdout: said.into_bytes(),
            ..Output::default()
        };
        Ok(output.succeed(&self.host.location(), &self.doing)?.text())
    }

    fn doing(&self) -> String {
        format!("{}: {}", self.host.location(), self.doing)
    }
}

/// The fields of each line; what kubectl warns of has no tabs.
fn fields<const N: usize>(text: &str) -> Vec<[&str; N]> {
    let lines = text.lines();
    lines
        .filter_map(|line| line.split('\t').collect::<Vec<_>>().try_into().ok())
        .collect()
}

/// Definitions of a release, but for those that Helm is to keep: their objects stay with them.
fn of_release<'t>(text: &'t str, release: &str) -> Vec<&'t str> {
    let is_of = |[_, namespace, name, policy]: &[&str; 4]| {
        *namespace == SYSTEM && *name == release && *policy != "keep"
    };
    let defined = fields(text).into_iter().filter(is_of);
    defined.map(|[name, ..]| name).collect()
}

/// Objects, but for those that a release has made, which makes them anew.
fn not_of_release(text: &str, release: &str) -> Vec<String> {
    let is_of = |[_, _, _, namespace, name]: &[&str; 5]| *namespace == SYSTEM && *name == release;
    let objects = fields(text).into_iter().filter(|object| !is_of(object));
    objects
        .map(|[kind, namespace, name, ..]| format!("{kind} {namespace}/{name}"))
        .collect()
}

/// The values in a `HelmChartConfig`; where there is none, there are none.
fn values(text: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Object {
        #[serde(default)]
        spec: Spec,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Spec {
        values_content: Option<String>,
    }
    let Some(start) = json_start(text) else {
        return Ok(String::new());
    };
    let mut objects = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Object>();
    // An error of serde's may hold a value.
    match objects.next() {
        Some(Ok(object)) => Ok(object.spec.values_content.unwrap_or_default()),
        _ => bail!("kubectl's answer is not a HelmChartConfig in JSON"),
    }
}

/// Where the object begins: kubectl may warn before and after it, and a new k3s report that it unpacks itself.
pub(crate) fn json_start(text: &str) -> Option<usize> {
    if text.starts_with('{') {
        return Some(0);
    }
    text.find("\n{").map(|at| at + 1)
}

fn has_key(values: &Yaml, wanted: &str) -> bool {
    match values {
        Yaml::Scalar(_) => false,
        Yaml::List(items) => items.iter().any(|item| has_key(item, wanted)),
        Yaml::Map(map) => map
            .0
            .iter()
            .any(|(key, value)| key.text == wanted || has_key(value, wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_count_that_are_the_releases_and_that_helm_does_not_keep() {
        let text = "Warning: v1 is deprecated\n\
                    a.old\tkube-system\ttraefik-crd\t\n\
                    b.old\tkube-system\ttraefik-crd\tkeep\n\
                    c.old\tmine\ttraefik-crd\t\n\
                    d.old\t\t\t\n\
                    e.old\tkube-system\ttraefik-crd-2\t\n\
                    f.old\tkube-system\ttraefik-crd\tdelete\n";
        assert_eq!(of_release(text, "traefik-crd"), ["a.old", "f.old"]);
        assert!(of_release("", "traefik-crd").is_empty());
    }

    #[test]
    fn objects_count_that_no_release_makes_anew() {
        let text = "A\tdemo\tweb\t\t\n\
                    A\tkube-system\ttraefik-dashboard\tkube-system\ttraefik\n\
                    B\tdemo\tauth\tmine\ttraefik\n\
                    No resources found\n";
        assert_eq!(not_of_release(text, "traefik"), ["A demo/web", "B demo/auth"]);
    }

    #[test]
    fn values_are_read_wherever_kubectl_warns() {
        let object = r#"{"spec": {"valuesContent": "a: 1\n"}}"#;
        for text in [object.to_owned(), format!("Warning: x\n{object}\nWarning: y\n")] {
            assert_eq!(values(&text).unwrap(), "a: 1\n");
        }
        assert_eq!(values("").unwrap(), "");
        assert_eq!(values("{\"spec\": {}}").unwrap(), "");
        let secret = values(r#"{"spec": {"valuesContent": ["s3cr3t"]}}"#).unwrap_err();
        assert!(!format!("{secret:#}").contains("s3cr3t"));
        let secret = values(r#"{"spec": "s3cr3t"}"#).unwrap_err();
        assert!(!format!("{secret:#}").contains("s3cr3t"));
    }

    #[test]
    fn a_key_is_found_at_any_depth_and_in_no_comment_or_value() {
        let has = |text: &str| {
            let values = first_document(text).unwrap();
            values.is_some_and(|values| has_key(&values, "oldName"))
        };
        for text in [
            "oldName: {}",
            "providers:\n  oldName:\n    enabled: true\n",
            "{\"providers\": {\"oldName\": {}}}",
            "providers: [{'oldName': 1}]",
        ] {
            assert!(has(text), "{text}");
        }
        for text in [
            "",
            "# oldName:\nports: {}\n",
            "name: oldName",
            "note: |\n  oldName: 1\n",
            "myoldName: 1",
        ] {
            assert!(!has(text), "{text}");
        }
    }
}
