use super::*;
use cluster::ChartSpec;

#[test]
fn revisions_are_lines_and_the_newest_counts() {
    let lines = revisions(
        "kube-system traefik 9 superseded\nkube-system traefik 10 deployed\nx  y\nvault vault two deployed\ntraefik traefik 1 uninstalled\n",
    );
    assert_eq!(lines.len(), 3);
    let id = |namespace: &str| ReleaseId {
        namespace: namespace.to_owned(),
        name: "traefik".to_owned(),
    };
    let state = State {
        revisions: lines,
        ..State::default()
    };
    assert_eq!(state.live(&id("kube-system")).unwrap().revision, 10);
    assert_eq!(state.live(&id("traefik")), None);
}

#[test]
fn charts_of_other_versions() {
    let charts = |list: &str| -> Vec<String> {
        let charts: Vec<Chart> = serde_json::from_str::<cluster::List<Chart>>(list).unwrap().items;
        let described = |chart: &Chart| {
            let ChartSpec {
                failure_policy,
                take_ownership,
                driver,
                ..
            } = &chart.spec;
            format!(
                "{} by {}: {failure_policy:?} {take_ownership} {driver:?}",
                ReleaseId::installed_by(chart),
                chart.job_name()
            )
        };
        charts.iter().map(described).collect()
    };
    assert_eq!(
        charts(&testbed::recorded("k3s-v1.36.3-helmcharts.json")),
        [
            r#"kube-system/traefik by helm-install-traefik: "retry" false "secret""#,
            r#"kube-system/traefik-crd by helm-install-traefik-crd: "retry" false "secret""#,
        ]
    );
    assert_eq!(
        charts(&testbed::recorded("by-hand-k3s-v1.36-helmcharts.json")),
        [
            r#"kube-system/traefik by helm-install-traefik: "reinstall" false "secret""#,
            r#"kube-system/traefik-crd by helm-install-traefik-crd: "abort" true """#,
            r#"elsewhere/packed by helm-install-packed: "retry" false "configmap""#,
        ]
    );
    let empty = r#"{"items": [
        {"metadata": {"name": "a", "namespace": "b"}, "spec": null, "status": null},
        {"metadata": {"name": "a", "namespace": "b"}, "status": {"jobName": null},
         "spec": {"targetNamespace": null, "failurePolicy": null, "takeOwnership": null, "driver": null, "set": null}}
    ]}"#;
    assert_eq!(charts(empty), [r#"b/a by helm-install-a: "" false """#; 2]);
}

#[test]
fn a_config_that_says_more_is_not_only_ours() {
    let config = |spec: serde_json::Value| -> Config {
        serde_json::from_value(serde_json::json!({"metadata": {"name": "c"}, "spec": spec})).unwrap()
    };
    for spec in [
        "null",
        r#"{"failurePolicy": "abort"}"#,
        r#"{"failurePolicy": null, "valuesContent": null}"#,
        r#"{"failurePolicy": "abort", "valuesContent": "", "values": {}, "valuesSecrets": []}"#,
    ] {
        assert!(
            config(serde_json::from_str(spec).unwrap()).says_nothing_else(),
            "{spec}"
        );
    }
    for spec in [
        r#"{"valuesContent": "a: 1"}"#,
        r#"{"values": {"a": 1}}"#,
        r#"{"valuesSecrets": [{"name": "s"}]}"#,
        r#"{"serverSide": "true"}"#,
        r#"{"forceConflicts": false}"#,
    ] {
        assert!(
            !config(serde_json::from_str(spec).unwrap()).says_nothing_else(),
            "{spec}"
        );
    }
}

#[test]
fn the_config_goes_before_the_chart_and_the_default_is_to_reinstall() {
    let chart = |policy: &str| Chart {
        spec: ChartSpec {
            failure_policy: policy.to_owned(),
            ..ChartSpec::default()
        },
        ..Chart::default()
    };
    let config = |policy: &str| Config {
        spec: ConfigSpec {
            failure_policy: policy.to_owned(),
            ..ConfigSpec::default()
        },
        ..Config::default()
    };
    let of = |chart, config| {
        let state = State {
            chart,
            config,
            ..State::default()
        };
        state.policy().to_owned()
    };
    assert_eq!(of(Some(chart("")), None), "reinstall");
    assert_eq!(of(Some(chart("abort")), Some(config(""))), "abort");
    assert_eq!(of(Some(chart("abort")), Some(config("reinstall"))), "reinstall");
}
