use crate::samples::{ago, cluster, condition, typed};
use serde_json::{Value, json};

fn job(name: &str, cron_job: Option<&str>, started: u64, condition: Option<&str>) -> Value {
    let owners: Vec<Value> = cron_job
        .iter()
        .map(|name| json!({"kind": "CronJob", "name": name, "controller": true}))
        .collect();
    let conditions: Vec<Value> = condition.iter().map(|kind| json!({"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"})).collect();
    let metadata = json!({"name": name, "namespace": "demo", "ownerReferences": owners});
    json!({"metadata": metadata, "status": {"startTime": ago(started), "failed": 5, "conditions": conditions}})
}

#[test]
fn reports_a_failed_job_until_a_later_one_succeeds() {
    let failed = || job("backup-1", Some("backup"), 9000, Some("Failed"));
    assert_eq!(
        cluster()
            .job(job("migrate", None, 90, Some("Failed")))
            .verdicts(json!({})),
        ["warning Job demo/migrate: Failed"]
    );
    assert!(
        cluster()
            .job(job("migrate", None, 9000, Some("Complete")))
            .verdicts(json!({}))
            .is_empty()
    );
    assert!(
        cluster()
            .job(job("migrate", None, 9000, None))
            .verdicts(json!({}))
            .is_empty()
    );
    assert_eq!(
        cluster().job(failed()).verdicts(json!({})),
        ["warning Job demo/CronJob/backup: Failed"]
    );
    let good = cluster()
        .job(failed())
        .job(job("backup-2", Some("backup"), 5000, Some("Complete")));
    assert!(good.verdicts(json!({})).is_empty());
    let before = cluster()
        .job(failed())
        .job(job("backup-0", Some("backup"), 9900, Some("Complete")));
    assert_eq!(before.verdicts(json!({})).len(), 1);
    let others = cluster()
        .job(failed())
        .job(job("other-2", Some("other"), 5000, Some("Complete")));
    assert_eq!(others.verdicts(json!({})).len(), 1);
}

fn chart(name: &str, conditions: Value) -> cluster::Chart {
    typed(json!({
        "metadata": {"name": name, "namespace": "demo"},
        "status": {"jobName": format!("helm-install-{name}"), "conditions": conditions},
    }))
}

fn release(status: &str, config_hash: &str) -> crate::state::Release {
    crate::state::Release {
        revision: 3,
        status: status.to_owned(),
        config_hash: config_hash.to_owned(),
    }
}

#[test]
fn a_chart_whose_job_ended_well_is_judged_by_its_release() {
    let installs = |hash: &str| {
        let env = json!([{"name": "NAME", "value": "app"}, {"name": "CONFIG_HASH", "value": hash}]);
        let spec = json!({"template": {"spec": {"containers": [{"name": "helm", "env": env}]}}});
        crate::samples::with(
            job("helm-install-app", None, 9000, Some("Complete")),
            json!({"spec": spec}),
        )
    };
    let ended = "the Job helm-install-app ended well, but ";
    // (hash of the Job, release, what is reported)
    let table = [
        ("", Some(release("deployed", "")), None),
        ("A1", Some(release("deployed", "A1")), None),
        (
            "A1",
            Some(release("deployed", "B2")),
            Some("revision 3 of its release is not that Job's work"),
        ),
        (
            "A1",
            Some(release("deployed", "")),
            Some("revision 3 of its release is not that Job's work"),
        ),
        (
            "",
            Some(release("pending-upgrade", "")),
            Some("revision 3 of its release is pending-upgrade"),
        ),
        (
            "A1",
            Some(release("failed", "A1")),
            Some("revision 3 of its release is failed"),
        ),
        ("A1", None, Some("Helm has no release of it")),
    ];
    for (hash, release, expected) in table {
        let mut seen = cluster().job(installs(hash));
        seen.charts.push(chart("app", json!([])));
        let id = ("demo".to_owned(), "app".to_owned());
        seen.releases.extend(release.clone().map(|release| (id, release)));
        let found = seen.judged(json!({})).verdicts;
        let messages: Vec<&str> = found.iter().map(|verdict| verdict.message.as_str()).collect();
        let expected = expected.map(|what| format!("its chart is not installed: {ended}{what}"));
        assert_eq!(
            messages,
            Vec::from_iter(expected.as_deref()),
            "{hash} {release:?}"
        );
        // What cannot be read is reported by itself, and proves nothing about the chart.
        seen.unread.insert("releases".to_owned(), "forbidden".to_owned());
        let names: Vec<String> = seen.verdicts(json!({}));
        assert!(
            !names.iter().any(|name| name.contains("NotInstalled")),
            "{names:?}"
        );
    }
}

#[test]
fn a_chart_that_keeps_its_releases_elsewhere_is_judged_by_its_job() {
    for (driver, reported) in [("", true), ("secret", true), ("configmap", false)] {
        let mut seen = cluster().job(job("helm-install-app", None, 9000, Some("Complete")));
        seen.charts.push(typed(json!({
            "metadata": {"name": "app", "namespace": "demo"}, "spec": {"driver": driver},
        })));
        assert_eq!(!seen.verdicts(json!({})).is_empty(), reported, "{driver:?}");
    }
}

#[test]
fn a_chart_whose_job_has_just_ended_may_still_get_another_one() {
    for (ended, settling) in [(30, true), (9000, false)] {
        let complete = json!([{"type": "Complete", "status": "True", "lastTransitionTime": ago(ended)}]);
        let mut seen = cluster().job(crate::samples::with(
            job("helm-install-app", None, 9000, None),
            json!({"status": {"conditions": complete}}),
        ));
        seen.charts.push(chart("app", json!([])));
        let found = seen.judged(json!({})).verdicts;
        assert_eq!(found[0].settling, settling, "{found:?}");
    }
}

#[test]
fn a_chart_is_installed_when_its_job_is_done() {
    let table: Vec<(&str, Option<Value>, Value, &[&str])> = vec![
        (
            "done",
            Some(job("helm-install-app", None, 9000, Some("Complete"))),
            json!([]),
            &[],
        ),
        ("gone", None, json!([]), &[]),
        (
            "at it",
            Some(job("helm-install-app", None, 20, None)),
            json!(null),
            &["info Addon demo/app: NotInstalled settling"],
        ),
        (
            "at it for ever",
            Some(job("helm-install-app", None, 9000, None)),
            json!([]),
            &["error Addon demo/app: NotInstalled"],
        ),
        (
            "failed",
            Some(job("helm-install-app", None, 20, Some("Failed"))),
            json!([]),
            &["error Addon demo/app: NotInstalled"],
        ),
        (
            "reported by the chart",
            None,
            json!([condition("Failed", "True")]),
            &["error Addon demo/app: NotInstalled"],
        ),
        (
            "reported as over",
            None,
            json!([condition("Failed", "False")]),
            &[],
        ),
    ];
    for (case, job, conditions, expected) in table {
        let mut seen = job.into_iter().fold(cluster(), crate::state::Seen::job);
        seen.charts.push(chart("app", conditions));
        seen.releases
            .insert(("demo".to_owned(), "app".to_owned()), release("deployed", ""));
        assert_eq!(seen.verdicts(json!({})), expected, "{case}");
    }
}
