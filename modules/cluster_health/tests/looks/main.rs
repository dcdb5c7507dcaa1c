//! Looks at an imitated cluster, in virtual time: waiting, paging, and what cannot be had.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod fake;

use fake::{
    Cluster, NODES, PODS, Phases, REFUSED, RELEASES, Said, VERSION, crashing, first, list, node, pod,
    verdicts,
};
use host::Kind;
use serde_json::{Value, json};

#[test]
fn a_pod_that_recovers_within_the_wait_passes() {
    let well = pod("web", "True", json!({"running": {}}));
    let cluster = Cluster::new().phases(
        &first(PODS),
        vec![(0, list(&[crashing("web")])), (12, list(&[well]))],
    );
    let answer = cluster.run(json!({"wait": 60}));
    assert_eq!(
        (&answer["failed"], &answer["healthy"]),
        (&json!(false), &json!(true)),
        "{answer:#}"
    );
    assert_eq!(answer["waited"], 15.0);
}

#[test]
fn reports_what_is_still_wrong_after_the_wait() {
    let cluster = Cluster::new().phases(&first(PODS), vec![(0, list(&[crashing("web")]))]);
    let answer = cluster.run(json!({"wait": 60}));
    assert_eq!(
        (&answer["failed"], &answer["waited"]),
        (&json!(true), &json!(60.0)),
        "{answer:#}"
    );
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("found problems after 60 s of waiting: Pod demo/web: CrashLoopBackOff: container app"),
        "{msg}"
    );
    let looks = cluster
        .asked
        .borrow()
        .iter()
        .filter(|path| *path == "/version")
        .count();
    assert_eq!(looks, 13, "at 0, 5, … and 60 s");
}

#[test]
fn what_is_about_to_start_is_waited_for_and_fails_nothing() {
    let starting = pod("web", "False", json!({"running": {}}));
    let well = pod("web", "True", json!({"running": {}}));
    let cluster = Cluster::new().phases(
        &first(PODS),
        vec![(0, list(std::slice::from_ref(&starting))), (12, list(&[well]))],
    );
    assert_eq!(cluster.run(json!({"wait": 60}))["waited"], 15.0);

    let never = Cluster::new().phases(&first(PODS), vec![(0, list(&[starting]))]);
    let answer = never.run(json!({"wait": 60}));
    assert_eq!(
        (&answer["failed"], &answer["waited"]),
        (&json!(false), &json!(60.0)),
        "{answer:#}"
    );
    assert_eq!(answer["counts"]["settling"], 1);
    // Without a wait, one look is enough.
    assert_eq!(never.run(json!({}))["waited"], 0.0);
}

#[test]
fn an_election_is_waited_for() {
    let away = || Said::Refused("Error from server: etcdserver: request timed out");
    let cluster = Cluster::new().phases(
        "/version",
        vec![(0, away()), (20, Said::Document(json!({"gitVersion": VERSION})))],
    );
    let answer = cluster.run(json!({"wait": 60}));
    assert_eq!(
        (&answer["healthy"], &answer["waited"]),
        (&json!(true), &json!(20.0)),
        "{answer:#}"
    );
}

#[test]
fn known_trouble_is_not_waited_for() {
    let before = Cluster::new()
        .phases(&first(PODS), vec![(0, list(&[crashing("web")]))])
        .run(json!({"fail_on": "never"}));
    assert_eq!(
        (&before["failed"], &before["healthy"]),
        (&json!(false), &json!(false))
    );
    let cluster = Cluster::new().phases(&first(PODS), vec![(0, list(&[crashing("web")]))]);
    let answer = cluster.run(json!({"wait": 60, "baseline": before}));
    assert_eq!(
        (&answer["healthy"], &answer["waited"]),
        (&json!(true), &json!(0.0)),
        "{answer:#}"
    );
    assert_eq!(answer["verdicts"][0]["before"], 1);
}

#[test]
fn what_had_begun_is_named_once_it_is_judged_and_fails_nothing() {
    let mut starting = pod("web", "False", json!({"running": {}}));
    starting["status"]["conditions"][0]["lastTransitionTime"] = json!("2025-12-31T23:59:00Z");
    let cluster = || Cluster::new().phases(&first(PODS), vec![(0, list(&[starting.clone()]))]);
    let before = cluster().run(json!({"fail_on": "never"}));
    assert_eq!(before["suspects"][0]["reason"], "NotReady", "{before:#}");
    let later = cluster().run(json!({"not_ready_limit": 1, "wait": 60, "baseline": before}));
    assert_eq!(
        (&later["failed"], &later["healthy"], &later["waited"]),
        (&json!(false), &json!(true), &json!(0.0)),
        "{later:#}"
    );
    assert_eq!(later["verdicts"][0]["severity"], "error");
    let named = later["had_begun"][0].as_str().unwrap();
    assert!(named.starts_with("Pod demo/web: NotReady"), "{named}");
}

#[test]
fn lists_are_read_to_their_last_page() {
    let page =
        |items: &[Value], next: &str| Said::Document(json!({"items": items, "metadata": {"continue": next}}));
    let cluster = Cluster::new()
        .phases(&first(PODS), vec![(0, page(&[crashing("a")], "x/1"))])
        .phases(
            &format!("{}&continue=x%2F1", first(PODS)),
            vec![(0, page(&[crashing("b")], "x/2"))],
        )
        .phases(
            &format!("{}&continue=x%2F2", first(PODS)),
            vec![(0, page(&[crashing("c")], ""))],
        )
        .phases(&first(NODES), vec![(0, page(&[node("n1", "True")], "n"))])
        .phases(
            &format!("{}&continue=n", first(NODES)),
            vec![(0, page(&[node("n2", "False")], ""))],
        );
    let answer = cluster.run(json!({}));
    assert_eq!(
        verdicts(&answer),
        [
            "n2 NotReady",
            "a CrashLoopBackOff",
            "b CrashLoopBackOff",
            "c CrashLoopBackOff"
        ]
    );
    assert_eq!(
        (&answer["counts"]["pods"], &answer["counts"]["nodes"]),
        (&json!(3), &json!(2))
    );
}

#[test]
fn reports_an_unreadable_kind_beside_the_others() {
    let refused = || Said::Refused("Error from server (InternalError): an error");
    let cluster = Cluster::new()
        .phases(&first(PODS), vec![(0, refused())])
        .phases(
            &first("/apis/batch/v1/jobs"),
            vec![(0, Said::Document(json!("no JSON")))],
        )
        .phases(&first(NODES), vec![(0, list(&[node("n1", "False")]))]);
    let answer = cluster.run(json!({}));
    assert_eq!(
        verdicts(&answer),
        ["jobs CannotBeRead", "pods CannotBeRead", "n1 NotReady"]
    );
    assert_eq!(
        (&answer["failed"], &answer["complete"]),
        (&json!(true), &json!(false))
    );
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("/api/v1/pods?limit=500 ended with status 1: Error from server (InternalError)"),
        "{msg}"
    );
}

#[test]
fn a_server_that_is_down_is_asked_no_further() {
    let down = || vec![(0, Said::Refused(REFUSED))];
    let cluster = Cluster::new()
        .phases("/readyz?verbose", down())
        .phases("/version", down());
    let answer = cluster.run(json!({"fail_on": "never"}));
    assert_eq!(*cluster.asked.borrow(), ["/readyz?verbose", "/version"]);
    assert_eq!(verdicts(&answer), ["kube-apiserver Unreachable"]);
    assert_eq!(
        (&answer["failed"], &answer["healthy"], &answer["complete"]),
        (&json!(false), &json!(false), &json!(false))
    );
    assert_eq!(
        (&answer["api"]["said"], &answer["api"]["service"]["active"]),
        (&json!(REFUSED), &json!("failed"))
    );
}

#[test]
fn a_server_is_asked_where_its_own_settings_have_data_and_unit() {
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s server --config /etc/attic/k3s.yaml\n";
    let config = "data-dir: /srv/k3s\n";
    let down = || vec![(0, Said::Refused(REFUSED))];
    let mut cluster = Cluster::new()
        .phases("/readyz?verbose", down())
        .phases("/version", down());
    cluster.node = [
        ("hostname", "n1"),
        ("unit:k3s-server.service", unit),
        ("config:/etc/attic/k3s.yaml", config),
    ]
    .map(|(name, text)| format!("@{name} {}\n{text}\n", text.len()))
    .concat();
    cluster.run(json!({"fail_on": "never"}));
    let commands = cluster.commands.take();
    let said = |part: &str| commands.iter().filter(|command| command.contains(part)).count();
    assert_eq!(said("data='/srv/k3s'\n"), 1, "etcd is looked for there");
    assert_eq!(said("/srv/k3s/server/tls"), 1, "and so are the certificates");
    assert_eq!(
        (
            said("systemctl show k3s-server "),
            said("journalctl --unit k3s-server ")
        ),
        (1, 1)
    );
    // What is given counts, and no visit is made for it.
    cluster.run(json!({"fail_on": "never", "data_dir": "/d", "service": "mine"}));
    let commands = cluster.commands.take();
    let said = |part: &str| commands.iter().filter(|command| command.contains(part)).count();
    assert_eq!(
        (
            said("/etc/machine-id"),
            said("data='/d'\n"),
            said("systemctl show mine ")
        ),
        (0, 1, 1)
    );
}

#[test]
fn a_server_that_is_not_ready_is_read_all_the_same() {
    let said = r#"Error from server (InternalError): an error on the server ("[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed") has prevented the request from succeeding"#;
    let cluster = Cluster::new().phases("/readyz?verbose", vec![(0, Said::Refused(said))]);
    let answer = cluster.run(json!({}));
    assert_eq!(verdicts(&answer), ["etcd CheckFailed"]);
    assert_eq!(
        (&answer["api"]["checks"], &answer["api"]["checks_failed"]),
        (&json!(2), &json!(["etcd"]))
    );
    assert_eq!(answer["counts"]["nodes"], 1);
}

#[test]
fn a_container_that_is_out_of_reach_is_an_answer_too() {
    for kind in [Kind::ContainerStopped, Kind::ContainerMissing, Kind::TimedOut] {
        let mut cluster = Cluster::new();
        cluster.failure = Some(kind);
        let answer = cluster.run(json!({}));
        assert_eq!(
            (&answer["failed"], verdicts(&answer)),
            (&json!(true), vec!["kube-apiserver Unreachable".to_owned()])
        );
        let msg = answer["msg"].as_str().unwrap();
        assert!(
            msg.contains("nothing can be asked: container 101 on pve1: it is not there"),
            "{msg}"
        );
        assert_eq!(answer["api"]["failure"], json!(kind));
    }
}

#[test]
fn what_k3s_brings_along_is_asked_for_where_it_is_served() {
    let addons = "/apis/k3s.cattle.io/v1/namespaces/kube-system/addons";
    let charts = "/apis/helm.cattle.io/v1/helmcharts";
    let addon = json!({"metadata": {"name": "coredns", "namespace": "kube-system"}});
    let chart = json!({"metadata": {"name": "traefik", "namespace": "kube-system"}});
    let cluster = Cluster::new()
        .phases(
            "/apis",
            vec![(
                0,
                Said::Document(json!({"groups": [{"name": "k3s.cattle.io"}, {"name": "helm.cattle.io"}]})),
            )],
        )
        .phases(&first(addons), vec![(0, list(&[addon]))])
        .phases(&first(charts), vec![(0, list(&[chart]))])
        .phases(RELEASES, vec![(0, Said::Document(json!("")))]);
    assert_eq!(
        verdicts(&cluster.run(json!({}))),
        ["coredns Missing", "traefik Missing"]
    );
}

#[test]
fn a_chart_is_installed_once_its_release_is_deployed() {
    let chart = json!({"metadata": {"name": "app", "namespace": "demo"}});
    let complete = json!([{"type": "Complete", "status": "True"}]);
    let job = json!({"metadata": {"name": "helm-install-app", "namespace": "demo"}, "status": {"conditions": complete}});
    let release = |status: &str| {
        let row = "demo  sh.helm.release.v1.app.v2  helm.sh/release.v1  1  4d  app  2";
        Said::Document(json!(format!("{row}  {status}\n")))
    };
    let served = json!({"groups": [{"name": "helm.cattle.io"}]});
    let cluster = |releases: Phases| {
        Cluster::new()
            .phases("/apis", vec![(0, Said::Document(served.clone()))])
            .phases(
                &first("/apis/batch/v1/jobs"),
                vec![(0, list(std::slice::from_ref(&job)))],
            )
            .phases(
                &first("/apis/helm.cattle.io/v1/helmcharts"),
                vec![(0, list(std::slice::from_ref(&chart)))],
            )
            .phases(RELEASES, releases)
    };
    assert!(verdicts(&cluster(vec![(0, release("deployed"))]).run(json!({}))).is_empty());
    let failed = cluster(vec![(0, release("failed"))]);
    assert_eq!(verdicts(&failed.run(json!({}))), ["app NotInstalled"]);
    // It is waited for, as anything else that is wrong.
    let late = cluster(vec![(0, release("pending-upgrade")), (20, release("deployed"))]);
    assert!(verdicts(&late.run(json!({"wait": 60}))).is_empty());
    let forbidden = cluster(vec![(0, Said::Refused("secrets is forbidden"))]);
    assert_eq!(verdicts(&forbidden.run(json!({}))), ["releases CannotBeRead"]);
}
