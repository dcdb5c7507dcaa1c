//! What is looked at and what is decided.

use super::*;

const SERVER: &str = "k3s.service:LoadState=loaded
k3s.service:ActiveState=active
k3s.service:UnitFileState=enabled
k3s.service:binary=/opt/bin/k3s
k3s-agent.service:LoadState=not-found
k3s-agent.service:ActiveState=inactive
k3s-agent.service:UnitFileState=
k3s-agent.service:binary=
kubeconfig=yes
";

fn parsed(text: &str) -> Service {
    look::parse(text, &Places::default()).unwrap()
}

fn agent() -> String {
    SERVER
        .replace("k3s-agent.service", "other")
        .replace("k3s.service", "k3s-agent.service")
        .replace("other", "k3s.service")
}

fn told(service: &Service, due: bool) -> Vec<String> {
    steps(service, due)
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_server_is_known_by_its_unit() {
    let service = parsed(SERVER);
    assert_eq!(
        service,
        Service {
            role: Role::Server,
            binary: "/opt/bin/k3s".to_owned(),
            alive: true,
            enabled: true,
            marked: false,
            kubeconfig: Some("/etc/rancher/k3s/k3s.yaml".to_owned()),
            data_dir: "/var/lib/rancher/k3s".to_owned(),
        }
    );
    assert_eq!(parsed(&SERVER.replace("kubeconfig=yes\n", "")).kubeconfig, None);
    assert!(parsed(&format!("{SERVER}marked=yes\n")).marked);
    let bare = SERVER.replace("/opt/bin/k3s", "");
    assert_eq!(parsed(&bare).binary, "/usr/local/bin/k3s");
}

#[test]
fn an_agent_asks_by_its_kubelets_kubeconfig() {
    let service = parsed(&agent());
    assert_eq!((service.role, service.role.way()), (Role::Agent, Way::Restart));
    let kubeconfig = service.kubeconfig.unwrap();
    assert_eq!(kubeconfig, "/var/lib/rancher/k3s/agent/kubelet.kubeconfig");
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
        let text = SERVER.replace("ActiveState=active", &format!("ActiveState={state}"));
        assert_eq!(parsed(&text).alive, alive, "{state}");
    }
    for (state, enabled) in [("enabled-runtime", true), ("disabled", false), ("masked", false)] {
        let text = SERVER.replace("=enabled", &format!("={state}"));
        assert_eq!(parsed(&text).enabled, enabled, "{state}");
    }
}

#[test]
fn of_two_units_the_one_that_runs_counts() {
    let both = |server: &str, agent: &str| {
        format!(
            "k3s.service:LoadState=loaded\nk3s.service:ActiveState={server}\nk3s.service:UnitFileState=enabled\n\
             k3s-agent.service:LoadState=loaded\nk3s-agent.service:ActiveState={agent}\nk3s-agent.service:UnitFileState=disabled\n"
        )
    };
    assert_eq!(parsed(&both("inactive", "active")).role, Role::Agent);
    assert_eq!(parsed(&both("active", "inactive")).role, Role::Server);
    assert_eq!(
        parsed(&both("failed", "failed")).role,
        Role::Server,
        "the enabled one"
    );
    let unclear = both("failed", "failed").replace("disabled", "enabled");
    let error = look::parse(&unclear, &Places::default()).unwrap_err();
    assert!(error.to_string().contains("not clear"), "{error}");
}

#[test]
fn what_is_no_k3s_is_refused() {
    for (text, refusal) in [
        ("systemd=no\n", "no systemctl"),
        ("", "k3s is not installed here"),
        ("k3s.service:LoadState=not-found\n", "k3s is not installed here"),
        ("k3s.service:LoadState=masked\n", "or masked"),
    ] {
        let error = look::parse(text, &Places::default()).unwrap_err();
        assert!(error.to_string().contains(refusal), "{error}");
    }
}

#[test]
fn what_is_due_is_renewed_by_role() {
    let wait = "wait until k3s.service runs and its API answers by its own kubeconfig";
    assert_eq!(
        told(&parsed(SERVER), true),
        [
            "stop k3s.service, put its certificates aside with `k3s certificate rotate`, start it again",
            wait
        ]
    );
    assert_eq!(
        told(&parsed(&agent()), true),
        [
            "restart k3s-agent.service: an agent is given new certificates at every start",
            "wait until k3s-agent.service runs and its kubelet's certificate is accepted"
        ]
    );
}

#[test]
fn what_an_interrupted_renewal_left_is_healed() {
    let stopped = SERVER.replace("ActiveState=active", "ActiveState=inactive");
    let marked = |text: &str| parsed(&format!("{text}marked=yes\n"));
    let wait = "wait until k3s.service runs and its API answers by its own kubeconfig";
    let starts = [
        (
            marked(&stopped),
            "start k3s.service, which an interrupted renewal has left stopped",
        ),
        (
            marked(&stopped.replace("=enabled", "=disabled")),
            "start k3s.service, which an interrupted renewal has left stopped",
        ),
        (
            parsed(&stopped),
            "start k3s.service, which is enabled but does not run",
        ),
    ];
    for (service, start) in starts {
        assert_eq!(told(&service, false), [start, wait]);
    }
    assert_eq!(told(&marked(SERVER), false), [wait]);
    // What is still due is renewed as ever.
    assert_eq!(told(&marked(&stopped), true), told(&parsed(SERVER), true));
    assert!(told(&parsed(SERVER), false).is_empty());
}

#[test]
fn a_node_that_somebody_took_out_of_service_stays_so() {
    let out = SERVER
        .replace("ActiveState=active", "ActiveState=inactive")
        .replace("=enabled", "=disabled");
    assert!(told(&parsed(&out), false).is_empty());
    let error = steps(&parsed(&out), true).unwrap_err().to_string();
    assert!(
        error.contains("taken this node out of service") && error.contains("systemctl start k3s.service"),
        "{error}"
    );
}
