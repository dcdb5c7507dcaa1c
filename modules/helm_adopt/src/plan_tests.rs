//! What is done in which standing, and in which order.

use super::*;
use crate::job::HelmJob;
use crate::kind::Kind;
use crate::release::Release;
use crate::state::{Config, RevisionLine};
use cluster::Chart;
use serde_json::{Value, json};

fn params(more: Value) -> Params {
    let mut options = json!({"release": "traefik-crd"});
    for (key, value) in more.as_object().unwrap() {
        options[key] = value.clone();
    }
    serde_json::from_value(options).unwrap()
}

fn id(text: &str) -> ReleaseId {
    let (namespace, name) = text.split_once('/').unwrap();
    ReleaseId {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn marks(managed_by: Option<&str>, owner: Option<&str>) -> Marks {
    let owner = owner.map(id);
    Marks {
        managed_by: managed_by.map(str::to_owned),
        name: owner.as_ref().map(|owner| owner.name.clone()),
        namespace: owner.map(|owner| owner.namespace),
    }
}

fn found(name: &str, marks: Marks) -> Found {
    Found {
        wanted: Wanted::of(Kind::Definition, name),
        marks,
    }
}

fn chart(spec: Value) -> Chart {
    let metadata = json!({"name": "traefik-crd", "namespace": "kube-system"});
    let status = json!({"jobName": "helm-install-traefik-crd"});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
}

fn config(annotations: Value, spec: Value) -> Config {
    let metadata = json!({"name": "traefik-crd", "namespace": "kube-system", "annotations": annotations});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

fn job(word: &str) -> HelmJob {
    let condition = |kind: &str| json!({"conditions": [{"type": kind, "status": "True"}]});
    let status = match word {
        "complete" => condition("Complete"),
        "failing" => json!({"failed": 1}),
        _ => json!({"active": 1}),
    };
    let env = json!([{"name": "FAILURE_POLICY", "value": "reinstall"}]);
    let spec = json!({"template": {"spec": {"containers": [{"env": env}]}}});
    HelmJob {
        job: serde_json::from_value(json!({"metadata": {}, "spec": spec, "status": status})).unwrap(),
        ..HelmJob::default()
    }
}

fn release(status: &str) -> Release {
    Release {
        revision: 2,
        status: status.to_owned(),
        config_hash: String::new(),
        made: Vec::new(),
    }
}

fn line(owner: &str, revision: u32, status: &str) -> RevisionLine {
    RevisionLine {
        id: id(owner),
        revision,
        status: status.to_owned(),
    }
}

const OURS: &str = "kube-system/traefik-crd";

/// One definition with its marks, and a chart whose Job and release are in this state.
fn state(marks: Marks, word: &str, status: &str) -> State {
    State {
        location: "container 101 on pve1".to_owned(),
        chart: Some(chart(json!({}))),
        job: Some(job(word)),
        release: Some(release(status)),
        revisions: vec![line(OURS, 2, status)],
        found: vec![found("ingressroutes.traefik.io", marks)],
        ..State::default()
    }
}

fn right() -> Marks {
    marks(Some("Helm"), Some(OURS))
}

/// The steps by their first words, which show their order.
fn steps(params: &Params, state: &State) -> Vec<String> {
    let plan = plan(params, state).unwrap();
    let word = |step: &Step| {
        let text = format!("{step:?}");
        text.split([' ', '{']).next().unwrap_or_default().to_owned()
    };
    plan.steps.iter().map(word).collect()
}

fn refused(params: &Params, state: &State) -> String {
    plan(params, state).unwrap_err().to_string()
}

#[test]
fn the_order_is_such_that_nothing_can_be_lost() {
    let complete = [
        "Export",
        "Guard",
        "Adopt",
        "Retrigger",
        "Await",
        "Unguard",
        "Settle",
    ];
    let params = params(json!({}));
    assert_eq!(
        steps(&params, &state(marks(None, None), "failing", "deployed")),
        complete
    );
    // Its first try may just be about to fail.
    assert_eq!(
        steps(&params, &state(marks(None, None), "running", "deployed")),
        complete
    );
}

#[test]
fn each_step_has_its_sentence() {
    let params = params(json!({"dest": "/srv/x", "failure_policy": "retry"}));
    let mut seen = state(marks(None, None), "failing", "deployed");
    seen.saved = vec![Saved {
        object: "/o".to_owned(),
        resources: Some("/r".to_owned()),
    }];
    let printed: Vec<String> = plan(&params, &seen)
        .unwrap()
        .steps
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        printed,
        [
            "export 1 objects and all resources of 1 definitions to /srv/x",
            "set failurePolicy retry in the HelmChartConfig kube-system/traefik-crd",
            "make CustomResourceDefinition ingressroutes.traefik.io the release kube-system/traefik-crd's",
            "recreate the Job kube-system/helm-install-traefik-crd",
            "wait until the chart kube-system/traefik-crd is deployed, and count what there is of it",
            "restore the HelmChartConfig kube-system/traefik-crd",
            "check that the chart kube-system/traefik-crd is still deployed and complete",
        ]
    );
}

#[test]
fn what_is_right_is_left_alone() {
    let params = params(json!({}));
    for word in ["complete", "running"] {
        assert!(
            steps(&params, &state(right(), word, "deployed")).is_empty(),
            "{word}"
        );
    }
}

#[test]
fn where_no_job_has_failed_only_the_marks_are_put_right() {
    let params = params(json!({}));
    assert_eq!(
        steps(&params, &state(marks(None, None), "complete", "deployed")),
        ["Export", "Adopt"]
    );
    let mut by_hand = state(marks(None, None), "complete", "deployed");
    (by_hand.chart, by_hand.job) = (None, None);
    assert_eq!(steps(&params, &by_hand), ["Export", "Adopt"]);
}

#[test]
fn a_job_that_failed_for_another_reason_runs_again_behind_the_guard() {
    let params = params(json!({}));
    let run = ["Export", "Guard", "Retrigger", "Await", "Unguard", "Settle"];
    assert_eq!(steps(&params, &state(right(), "failing", "deployed")), run);
    // Complete, and has done nothing.
    for status in ["pending-upgrade", "failed", "superseded"] {
        assert_eq!(
            steps(&params, &state(right(), "complete", status)),
            run,
            "{status}"
        );
    }
}

#[test]
fn where_no_reinstall_can_happen_no_guard_is_set() {
    let params = params(json!({}));
    let mut seen = state(marks(None, None), "failing", "deployed");
    seen.config = Some(config(
        json!({}),
        json!({"failurePolicy": "abort", "valuesContent": "x: 1"}),
    ));
    assert_eq!(steps(&params, &seen), ["Export", "Adopt", "Retrigger", "Await"]);
    seen.config = None;
    seen.chart = Some(chart(json!({"failurePolicy": "retry"})));
    assert_eq!(steps(&params, &seen), ["Export", "Adopt", "Retrigger", "Await"]);
    seen.config = Some(config(json!({}), json!({"failurePolicy": "reinstall"})));
    assert!(steps(&params, &seen).contains(&"Guard".to_owned()));
}

#[test]
fn resumes_a_killed_run() {
    let params = params(json!({}));
    let guarded = |mut seen: State| {
        let record = json!({"homelab.k3s/helm-adopt": "{\"created\":true}"});
        seen.config = Some(config(record, json!({"failurePolicy": "abort"})));
        seen
    };
    let cases: [(State, &[&str]); 3] = [
        (
            state(marks(None, None), "failing", "deployed"),
            &["Export", "Adopt", "Retrigger", "Await", "Unguard", "Settle"],
        ),
        (
            state(right(), "failing", "deployed"),
            &["Export", "Retrigger", "Await", "Unguard", "Settle"],
        ),
        (
            state(right(), "complete", "deployed"),
            &["Await", "Unguard", "Settle"],
        ),
    ];
    for (seen, expected) in cases {
        assert_eq!(steps(&params, &guarded(seen)), expected);
    }
}

#[test]
fn refuses_objects_of_a_release_in_use_unless_allowed() {
    let mut seen = state(marks(Some("Helm"), Some("istio/gateway")), "failing", "deployed");
    seen.revisions.push(line("istio/gateway", 1, "superseded"));
    seen.revisions.push(line("istio/gateway", 2, "deployed"));
    let refusal = refused(&params(json!({})), &seen);
    assert_eq!(
        refusal,
        "CustomResourceDefinition ingressroutes.traefik.io belong to the release istio/gateway, which is in use (deployed) (foreign_release): let that release go of them, or allow it with take_from: [istio/gateway]"
    );
    let allowed = params(json!({"take_from": ["istio/gateway"]}));
    assert!(steps(&allowed, &seen).contains(&"Adopt".to_owned()));
    let other = params(json!({"take_from": ["istio/other"]}));
    assert!(refused(&other, &seen).contains("foreign_release"));
}

#[test]
fn adopts_objects_of_a_deleted_release() {
    let params = params(json!({}));
    let mut seen = state(
        marks(Some("Helm"), Some("traefik/traefik")),
        "failing",
        "deployed",
    );
    assert!(steps(&params, &seen).contains(&"Adopt".to_owned()));
    seen.revisions.push(line("traefik/traefik", 3, "uninstalled"));
    assert!(steps(&params, &seen).contains(&"Adopt".to_owned()));
    // Half a name is nobody's.
    seen.found[0].marks.namespace = None;
    assert!(steps(&params, &seen).contains(&"Adopt".to_owned()));
}

#[test]
fn a_chart_that_takes_ownership_itself_is_left_to_it() {
    let params = params(json!({}));
    let mut seen = state(marks(Some("Helm"), Some("istio/gateway")), "complete", "deployed");
    seen.revisions.push(line("istio/gateway", 2, "deployed"));
    seen.chart = Some(chart(json!({"takeOwnership": true})));
    assert!(steps(&params, &seen).is_empty());
}

#[test]
fn where_nothing_is_installed_nothing_is_done() {
    let plan = plan(&params(json!({})), &State::default()).unwrap();
    assert!(plan.steps.is_empty() && plan.warnings.is_empty());
}

#[test]
fn servers_of_several_versions_are_waited_for() {
    let mut seen = state(marks(None, None), "failing", "deployed");
    seen.servers = vec!["v1.36.2+k3s1".to_owned(), "v1.37.0+k3s1".to_owned()];
    seen.unclear = vec!["gateways.gateway.networking.k8s.io".to_owned()];
    let refusal = refused(&params(json!({})), &seen);
    assert!(
        refusal.contains("(v1.36.2+k3s1, v1.37.0+k3s1)") && refusal.contains("upgrade all servers first"),
        "{refusal}"
    );
}

#[test]
fn a_release_of_which_nothing_is_known_needs_its_resources_named() {
    let mut seen = state(marks(None, None), "complete", "deployed");
    (seen.chart, seen.job, seen.found) = (None, None, Vec::new());
    let unknown = params(json!({"release": "vault"}));
    assert!(refused(&unknown, &seen).contains("nothing_named"));
    let named = params(json!({"release": "vault", "resources": ["IngressClass/vault"]}));
    assert!(steps(&named, &seen).is_empty());
}

#[test]
fn the_difference_is_in_the_marks() {
    let seen = state(marks(Some("by-hand"), None), "complete", "deployed");
    let plan = plan(&params(json!({})), &seen).unwrap();
    assert_eq!(plan.diff.len(), 1);
    assert_eq!(
        plan.diff[0].before,
        "app.kubernetes.io/managed-by: by-hand\nmeta.helm.sh/release-name: (absent)\nmeta.helm.sh/release-namespace: (absent)\n"
    );
    assert_eq!(
        plan.diff[0].after,
        "app.kubernetes.io/managed-by: Helm\nmeta.helm.sh/release-name: traefik-crd\nmeta.helm.sh/release-namespace: kube-system\n"
    );
}

#[test]
fn a_second_balancer_and_a_second_release_are_warned_of() {
    let mut seen = state(right(), "complete", "deployed");
    seen.balancers = vec!["kube-system/traefik".to_owned(), "traefik/traefik".to_owned()];
    seen.revisions.push(line("traefik/traefik-crd", 1, "deployed"));
    let warnings = plan(&params(json!({})), &seen).unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("kube-system/traefik, traefik/traefik") && warnings[0].contains("keep one"));
    assert!(warnings[1].contains("a second release of that name, traefik/traefik-crd"));
    seen.balancers.pop();
    seen.revisions.pop();
    seen.revisions.push(line("traefik/traefik-crd", 1, "uninstalled"));
    assert!(plan(&params(json!({})), &seen).unwrap().warnings.is_empty());
}

#[test]
fn warns_of_a_running_job() {
    let warnings = plan(&params(json!({})), &state(right(), "running", "deployed"))
        .unwrap()
        .warnings;
    assert!(warnings[0].contains("is running"), "{warnings:?}");
}

#[test]
fn a_chart_whose_releases_are_elsewhere_is_refused() {
    let mut seen = state(right(), "complete", "deployed");
    // Its revisions are not found among the Secrets, so that all would seem to be undone.
    (seen.release, seen.revisions) = (None, Vec::new());
    seen.chart = Some(chart(json!({"driver": "configmap"})));
    let said = refused(&params(json!({})), &seen);
    assert!(said.contains("driver: configmap"), "{said}");
    seen.chart = Some(chart(json!({"driver": "secret"})));
    assert!(plan(&params(json!({})), &seen).is_ok());
}

#[test]
fn warns_of_a_policy_that_the_api_set_instead_of_the_charts() {
    let warnings_for = |charts: &str, annotations: Value, own: &str| {
        let mut seen = state(right(), "complete", "deployed");
        seen.chart = Some(chart(json!({"failurePolicy": charts})));
        seen.config = Some(config(
            annotations,
            json!({"failurePolicy": own, "valuesContent": "x: 1"}),
        ));
        plan(&params(json!({})), &seen).unwrap().warnings
    };
    let warnings = warnings_for("retry", json!({}), "reinstall");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("the HelmChartConfig kube-system/traefik-crd has failurePolicy reinstall"),
        "{warnings:?}"
    );
    assert!(warnings_for("", json!({}), "reinstall").is_empty());
    assert!(warnings_for("retry", json!({}), "retry").is_empty());
    let ours = json!({"homelab.k3s/helm-adopt": "{\"created\":true}"});
    assert!(warnings_for("retry", ours, "reinstall").is_empty());
}

/// Whose an object, the `HelmChartConfig` and the rest are before a run.
#[derive(Clone, Copy, Debug)]
struct World {
    owner: &'static str,
    chart: Option<&'static str>,
    config: &'static str,
    job: &'static str,
    release: &'static str,
}

fn worlds() -> Vec<World> {
    let mut all = Vec::new();
    for owner in ["nobody", "ours", "a deleted release", "a live release"] {
        for chart in [
            None,
            Some(""),
            Some("abort"),
            Some("retry"),
            Some("takes ownership"),
        ] {
            for config in ["", "reinstall", "abort", "guard", "guard of an operator's"] {
                for job in ["", "running", "complete", "failing"] {
                    all.extend(
                        ["", "deployed", "failed", "pending-upgrade"].map(|release| World {
                            owner,
                            chart,
                            config,
                            // k3s makes Jobs of its charts only.
                            job: if chart.is_some() { job } else { "" },
                            release,
                        }),
                    );
                }
            }
        }
    }
    all
}

impl World {
    fn state(self) -> State {
        let of = |owner| marks(Some("Helm"), Some(owner));
        let found_marks = match self.owner {
            "nobody" => marks(None, None),
            "ours" => right(),
            "a deleted release" => of("traefik/traefik"),
            _ => of("istio/gateway"),
        };
        let mut seen = state(found_marks, self.job, self.release);
        seen.chart = self.chart.map(|spec| match spec {
            "takes ownership" => chart(json!({"takeOwnership": true})),
            policy => chart(json!({"failurePolicy": policy})),
        });
        if self.job.is_empty() {
            seen.job = None;
        }
        if self.release.is_empty() {
            seen.release = None;
            seen.revisions.clear();
        }
        seen.revisions.push(line("istio/gateway", 1, "deployed"));
        let record = |text: &str| json!({"homelab.k3s/helm-adopt": text});
        seen.config = match self.config {
            "" => None,
            "guard" => Some(config(
                record(r#"{"created":true}"#),
                json!({"failurePolicy": "abort"}),
            )),
            "guard of an operator's" => {
                let record = record(r#"{"policy":"reinstall"}"#);
                Some(config(
                    record,
                    json!({"failurePolicy": "abort", "valuesContent": "a: 1"}),
                ))
            }
            policy => Some(config(json!({}), json!({"failurePolicy": policy}))),
        };
        seen
    }

    /// What the steps leave, where each does what it says.
    fn after(mut self, steps: &[Step]) -> State {
        let had_guard = self.config.starts_with("guard");
        for step in steps {
            match step {
                Step::Adopt { .. } => self.owner = "ours",
                Step::Await { .. } => (self.job, self.release) = ("complete", "deployed"),
                Step::Unguard { .. } if had_guard => {
                    self.config = if self.config == "guard" { "" } else { "reinstall" };
                }
                // What it was before the guard is what it is again.
                Step::Unguard { .. }
                | Step::Export { .. }
                | Step::Guard { .. }
                | Step::Retrigger { .. }
                | Step::Settle { .. } => {}
            }
        }
        self.state()
    }
}

#[test]
fn plans_nothing_after_it_was_applied() {
    let params = params(json!({"take_from": ["istio/gateway"]}));
    let mut changes = 0;
    for world in worlds() {
        let steps = plan(&params, &world.state()).unwrap().steps;
        changes += usize::from(!steps.is_empty());
        let guards = steps.iter().any(|step| matches!(step, Step::Guard { .. }));
        let unguards = steps.iter().any(|step| matches!(step, Step::Unguard { .. }));
        assert!(unguards || !guards, "{world:?}: the guard would stay");
        let again = plan(&params, &world.after(&steps)).unwrap();
        assert_eq!(
            (again.steps, again.diff.len()),
            (Vec::new(), 0),
            "{world:?}: after {steps:?}"
        );
    }
    assert!(changes > 200, "only {changes} of them change anything");
}
