//! What is looked at and what is decided.

use super::wait::Looks;
use super::*;

use k3s_node::Facts;
use k3s_node::settings::DEFAULT_CONFIG;

/// Units with their role's command, and how systemd has them: loaded, active, enabled.
fn node(units: &[(&str, [&str; 3])], more: &[(&str, &str)]) -> NodeSettings {
    let mut frames = vec![("hostname".to_owned(), "n1".to_owned())];
    let mut show = String::new();
    for (name, [load, active, enabled]) in units {
        let role = if *name == "k3s.service" { "server" } else { "agent" };
        let text = format!("[Service]\nExecStart=/opt/bin/k3s {role}\n");
        if *load == "loaded" {
            frames.push((format!("unit:{name}"), text));
        }
        let block = ["Id", "LoadState", "ActiveState", "UnitFileState"].into_iter();
        let lines = block
            .zip([name, load, active, enabled])
            .map(|(key, value)| format!("{key}={value}\n"));
        show.extend(lines);
        show.push('\n');
    }
    frames.push(("show".to_owned(), show));
    let more = more
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    frames.extend(more);
    let frames: Vec<(&str, &str)> = frames
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    NodeSettings::read(&facts(&frames), DEFAULT_CONFIG).unwrap()
}

fn facts(frames: &[(&str, &str)]) -> Facts {
    let frame = |(name, text): &(&str, &str)| format!("@{name} {}\n{text}\n", text.len());
    let bytes: String = frames.iter().chain(&[("end", "")]).map(frame).collect();
    Facts::parse(bytes.as_bytes()).unwrap()
}

/// What is there, each by its name in the answer.
fn there(names: &[&str]) -> Facts {
    let frames: Vec<(&str, &str)> = names.iter().map(|name| (*name, "x")).collect();
    facts(&frames)
}

const SYSTEMD: (&str, &str) = ("systemd", "yes");
const RUNS: [&str; 3] = ["loaded", "active", "enabled"];

fn seen(units: &[(&str, [&str; 3])], names: &[&str]) -> Result<Service> {
    look::service(&node(units, &[SYSTEMD]), &there(names), &Paths::default())
}

fn server() -> Service {
    seen(&[("k3s.service", RUNS)], &["kubeconfig"]).unwrap()
}

fn agent() -> Service {
    seen(&[("k3s-agent.service", RUNS)], &[]).unwrap()
}

fn planned(service: &Service, due: bool) -> Vec<String> {
    steps(service, due)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_server_is_known_by_its_unit() {
    assert_eq!(
        server(),
        Service {
            role: Role::Server,
            unit: "k3s.service".to_owned(),
            binary: "/opt/bin/k3s".to_owned(),
            alive: true,
            enabled: true,
            marked: false,
            kubeconfig: Some("/etc/rancher/k3s/k3s.yaml".to_owned()),
            data_dir: "/var/lib/rancher/k3s".to_owned(),
        }
    );
    assert_eq!(seen(&[("k3s.service", RUNS)], &[]).unwrap().kubeconfig, None);
    assert!(seen(&[("k3s.service", RUNS)], &["marked"]).unwrap().marked);
}

#[test]
fn an_agent_asks_by_its_kubelets_kubeconfig_whatever_its_unit_is_called() {
    for name in ["k3s-agent.service", "k3s-node.service"] {
        let service = seen(&[(name, RUNS)], &[]).unwrap();
        assert_eq!((service.role, service.way()), (Role::Agent, Way::Restart));
        assert_eq!(service.unit, name);
        let kubeconfig = service.kubeconfig.unwrap();
        assert_eq!(kubeconfig, "/var/lib/rancher/k3s/agent/kubelet.kubeconfig");
    }
}

#[test]
fn files_are_where_the_node_has_them_unless_somebody_says_otherwise() {
    let node = node(
        &[("k3s.service", RUNS)],
        &[(
            "config:/etc/rancher/k3s/config.yaml",
            "data-dir: /srv/k3s\nwrite-kubeconfig: /root/admin.yaml\n",
        )],
    );
    let found = |data_dir, kubeconfig| {
        let found = Paths::of_node(&node, data_dir, kubeconfig);
        (found.data_dir, found.kubeconfig)
    };
    assert_eq!(
        found(None, None),
        ("/srv/k3s".to_owned(), "/root/admin.yaml".to_owned())
    );
    assert_eq!(found(Some("/d"), Some("/k")), ("/d".to_owned(), "/k".to_owned()));
}

#[test]
fn states_are_read_as_systemd_means_them() {
    for (state, alive) in [
        ("active", true),
        ("activating", true),
        ("reloading", true),
        ("deactivating", false),
        ("inactive", false),
        ("failed", false),
    ] {
        let service = seen(&[("k3s.service", ["loaded", state, "enabled"])], &[]).unwrap();
        assert_eq!(service.alive, alive, "{state}");
    }
    for (state, enabled) in [("enabled-runtime", true), ("disabled", false), ("masked", false)] {
        let service = seen(&[("k3s.service", ["loaded", "active", state])], &[]).unwrap();
        assert_eq!(service.enabled, enabled, "{state}");
    }
}

#[test]
fn of_two_units_the_one_that_runs_counts() {
    let both = |server: &str, agent: &str, agent_enabled: &str| {
        let units = [
            ("k3s.service", ["loaded", server, "enabled"]),
            ("k3s-agent.service", ["loaded", agent, agent_enabled]),
        ];
        seen(&units, &[])
    };
    assert_eq!(both("inactive", "active", "disabled").unwrap().role, Role::Agent);
    assert_eq!(both("active", "inactive", "disabled").unwrap().role, Role::Server);
    let enabled = both("failed", "failed", "disabled").unwrap();
    assert_eq!(enabled.role, Role::Server, "the enabled one");
    let error = both("failed", "failed", "enabled").unwrap_err();
    assert!(error.to_string().contains("not clear"), "{error}");
}

#[test]
fn refuses_a_node_without_a_usable_k3s_service() {
    let refused = |units: &[(&str, [&str; 3])], more: &[(&str, &str)]| {
        let error = look::service(&node(units, more), &there(&[]), &Paths::default());
        error.unwrap_err().to_string()
    };
    assert!(refused(&[("k3s.service", RUNS)], &[]).contains("systemd does not run"));
    assert!(refused(&[], &[SYSTEMD]).contains("not installed here"));
    let masked = [("k3s.service", ["masked", "inactive", "masked"])];
    assert!(refused(&masked, &[SYSTEMD]).contains("or masked"));
    let shell = (
        "unit:k3s.service",
        "[Service]\nExecStart=/bin/sh -c \"exec k3s server\"\n",
    );
    let error = refused(&[], &[SYSTEMD, shell]);
    assert!(
        error.contains("/etc/systemd/system/k3s.service") && error.contains("/bin/sh"),
        "{error}"
    );
}

#[test]
fn what_is_due_is_renewed_by_role() {
    let wait = "wait until k3s.service runs and its API answers by its own kubeconfig";
    assert_eq!(
        planned(&server(), true),
        [
            "stop k3s.service, put its certificates aside with `k3s certificate rotate`, start it again",
            wait
        ]
    );
    assert_eq!(
        planned(&agent(), true),
        [
            "restart k3s-agent.service: an agent is given new certificates at every start",
            "wait until k3s-agent.service runs and its kubelet's certificate is accepted"
        ]
    );
}

#[test]
fn what_an_interrupted_renewal_left_is_healed() {
    let stopped = ["loaded", "inactive", "enabled"];
    let is = |state: [&str; 3], names: &[&str]| seen(&[("k3s.service", state)], names).unwrap();
    let marked = |state| is(state, &["kubeconfig", "marked"]);
    let wait = "wait until k3s.service runs and its API answers by its own kubeconfig";
    let starts = [
        (
            marked(stopped),
            "start k3s.service, which an interrupted renewal has left stopped",
        ),
        (
            marked(["loaded", "inactive", "disabled"]),
            "start k3s.service, which an interrupted renewal has left stopped",
        ),
        (
            is(stopped, &["kubeconfig"]),
            "start k3s.service, which is enabled but does not run",
        ),
    ];
    for (service, start) in starts {
        assert_eq!(planned(&service, false), [start, wait]);
    }
    assert_eq!(planned(&marked(RUNS), false), [wait]);
    // What is still due is renewed as ever.
    assert_eq!(planned(&marked(stopped), true), planned(&server(), true));
    assert!(planned(&server(), false).is_empty());
}

#[test]
fn a_node_that_somebody_took_out_of_service_stays_so() {
    let out = seen(
        &[("k3s.service", ["loaded", "inactive", "disabled"])],
        &["kubeconfig"],
    )
    .unwrap();
    assert!(planned(&out, false).is_empty());
    let error = steps(&out, true).unwrap_err().to_string();
    assert!(
        error.contains("taken this node out of service") && error.contains("systemctl start k3s.service"),
        "{error}"
    );
}

/// What a look lacks whose answers are these.
fn lacks(service: &Service, renewed: bool, answers: &[(&str, &str)]) -> String {
    let looks = Looks {
        service,
        renewed,
        began: std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(490_896),
        node: None,
    };
    looks.missing(&facts(answers)).err().unwrap_or_default()
}

fn active(service: &Service, state: &str) -> String {
    format!("Id={}\nActiveState={state}\n", service.unit)
}

#[test]
fn a_server_works_when_its_api_answers_by_the_kubeconfig_of_this_start() {
    let (server, is) = (server(), |state| active(&server(), state));
    let (ok, old) = (("api", "ok"), ("status:rewritten", "1"));
    let runs = is("active");
    let runs = ("show", runs.as_str());
    assert_eq!(lacks(&server, true, &[runs, ("rewritten", ""), ok]), "");
    assert_eq!(lacks(&server, false, &[runs, ok]), "");
    for answers in [&[runs, ("rewritten", ""), old, ok][..], &[runs, ok]] {
        let lacks = lacks(&server, true, answers);
        assert!(
            lacks.contains("has not rewritten /etc/rancher/k3s/k3s.yaml yet"),
            "{lacks}"
        );
    }
    let refused = [runs, ("api", "noise\nrefused\n"), ("status:api", "1")];
    assert_eq!(lacks(&server, false, &refused), "its API says \"refused\"");
    assert_eq!(lacks(&server, false, &[runs]), "its API says \"\"");
    for state in ["activating", "inactive", "deactivating"] {
        let lacks = lacks(&server, false, &[("show", &is(state)), ok]);
        assert_eq!(lacks, format!("k3s.service is {state}"));
    }
    let without = Service {
        kubeconfig: None,
        ..server.clone()
    };
    assert_eq!(lacks(&without, true, &[runs]), "");
}

#[test]
fn an_activating_agent_works_when_its_kubelet_has_renewed_the_lease() {
    let agent = agent();
    let is = active(&agent, "activating");
    let (is, ok) = (("show", is.as_str()), ("api", "ok"));
    let with = |answers: &[(&str, &str)]| lacks(&agent, false, &[&[is, ok], answers].concat());
    assert_eq!(with(&[("lease", "2026-01-01T00:00:07.123456Z")]), "");
    for (answers, last) in [
        (
            &[("lease", "2025-12-31T23:59:50.123456Z")][..],
            "2025-12-31T23:59:50.123456Z",
        ),
        (&[], "not known"),
        (
            &[("lease", "2026-01-01T00:00:07Z"), ("status:lease", "1")],
            "not known",
        ),
    ] {
        let lacks = with(answers);
        assert!(lacks.contains(&format!("renewed last: {last}")), "{lacks}");
    }
}
