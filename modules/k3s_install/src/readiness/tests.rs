use super::*;
use crate::state::Paths;
use k3s_node::Setup;

const STARTED: u64 = 1000;

fn wanted(role: Role) -> Readiness {
    let setup = Setup {
        name: role.unit().to_owned(),
        role,
        binary: "/usr/local/bin/k3s".to_owned(),
        args: Vec::new(),
        unit: None,
        env: None,
        enabled: true,
    };
    let paths = Paths {
        node: "n1".to_owned(),
        ..Paths::usual(None)
    };
    Readiness {
        setup,
        paths,
        version: "v1.36.3+k3s1".parse().unwrap(),
        since: None,
    }
}

fn ready_look() -> Look {
    Look {
        show: Show {
            active: "active".to_owned(),
            started: STARTED,
            main_pid: 7,
            ..Show::default()
        },
        readyz: Some("ok".to_owned()),
        node: Some(Node {
            running: Some("v1.36.3+k3s1".parse().unwrap()),
            ready: true,
            renewed: Some(STARTED + 5),
            ..Node::default()
        }),
        ..Look::default()
    }
}

fn with(change: impl FnOnce(&mut Look)) -> Look {
    let mut look = ready_look();
    change(&mut look);
    look
}

fn activating(change: impl FnOnce(&mut Look)) -> Look {
    with(|look| {
        look.show.active = "activating".to_owned();
        change(look);
    })
}

fn node(look: &mut Look) -> &mut Node {
    look.node.as_mut().unwrap()
}

fn assert_missing(role: Role, cases: impl IntoIterator<Item = (Look, &'static str)>) {
    for (look, words) in cases {
        let missing = look.missing(&wanted(role), STARTED).unwrap_err();
        assert!(missing.contains(words), "{missing} has no {words:?}");
    }
}

#[test]
fn names_each_missing_part_of_a_server() {
    assert_eq!(ready_look().missing(&wanted(Role::Server), STARTED), Ok(()));
    let cases = [
        (
            with(|look| look.show.started = STARTED - 1),
            "from before the restart",
        ),
        (
            with(|look| look.readyz = Some("a\n[-]etcd failed".to_owned())),
            "[-]etcd failed",
        ),
        (with(|look| look.readyz = None), "/readyz"),
        (with(|look| look.node = None), "cannot be read"),
        // The object of a node that is restarting says Ready and the old version.
        (
            with(|look| node(look).running = "v1.36.2+k3s1".parse().ok()),
            "still reports v1.36.2+k3s1",
        ),
        (with(|look| node(look).running = None), "no version"),
        (with(|look| node(look).renewed = Some(STARTED)), "Lease"),
        (with(|look| node(look).renewed = None), "Lease"),
        (
            with(|look| {
                node(look).ready = false;
                node(look).ready_message = "container runtime network not ready".to_owned();
            }),
            "node n1 is not Ready: \"container runtime network not ready\"",
        ),
        (with(|look| look.etcd = Etcd::Learner), "not a voter"),
        (with(|look| look.etcd = Etcd::Silent), "metrics"),
        (
            with(|look| {
                look.etcd = Etcd::Silent;
                node(look).voter = Some(false);
            }),
            "not a voter",
        ),
        (
            with(|look| {
                look.etcd = Etcd::Learner;
                node(look).voter = Some(true);
            }),
            "not a voter",
        ),
    ];
    assert_missing(Role::Server, cases);
}

#[test]
fn accepts_an_agent_whose_unit_is_still_activating() {
    let agent = wanted(Role::Agent);
    assert_eq!(activating(|_| ()).missing(&agent, STARTED), Ok(()));
    let cases = [
        (
            activating(|look| look.show.started = STARTED - 1),
            "from before the restart",
        ),
        (activating(|look| node(look).ready = false), "not Ready"),
        (activating(|look| node(look).renewed = Some(STARTED)), "Lease"),
        (
            activating(|look| node(look).running = "v1.36.2+k3s1".parse().ok()),
            "still reports v1.36.2+k3s1",
        ),
        (activating(|look| look.node = None), "cannot be read"),
        // Between two attempts of a restart loop there is no process.
        (
            activating(|look| {
                look.show.main_pid = 0;
                look.show.restarts = 3;
            }),
            "k3s-agent.service is activating, restarted 3 times by systemd",
        ),
        (
            with(|look| look.show.active = "deactivating".to_owned()),
            "is deactivating",
        ),
        (
            with(|look| look.show.active = "inactive".to_owned()),
            "is inactive",
        ),
    ];
    assert_missing(Role::Agent, cases);
}

#[test]
fn demands_that_the_unit_of_a_server_is_active() {
    assert_missing(Role::Server, [(activating(|_| ()), "k3s.service is activating")]);
}

/// Looks at an agent of v1.36.3, each so many seconds after the first: `Some` once it counts as ready, else what is missing.
fn settle(given: Option<u64>, looks: &[(u64, Look)]) -> Result<Vec<Option<String>>> {
    settle_as(&wanted(Role::Agent), given, looks)
}

fn settle_as(wanted: &Readiness, given: Option<u64>, looks: &[(u64, Look)]) -> Result<Vec<Option<String>>> {
    let mut good = None;
    let looks = looks.iter().map(|(at, look)| {
        let (given, now) = (given.map(Duration::from_secs), Duration::from_secs(*at));
        Ok(settled(look, wanted, STARTED, given, now, &mut good)?.err())
    });
    looks.collect()
}

/// What is missing while it settles.
fn stay(seconds: u64) -> String {
    format!("it must stay so for {seconds} s")
}

#[test]
fn an_activating_unit_must_stay_so_longer_than_an_active_one() {
    let active = [(0, ready_look()), (4, ready_look()), (6, ready_look())];
    assert_eq!(
        settle(Some(5), &active).unwrap(),
        [Some(stay(5)), Some(stay(5)), None]
    );
    let late = [0, 6, 14, 15].map(|at| (at, activating(|_| ())));
    assert_eq!(
        settle(Some(5), &late).unwrap(),
        [Some(stay(15)), Some(stay(15)), Some(stay(15)), None]
    );
    let late = [0, 15].map(|at| (at, activating(|_| ())));
    assert_eq!(settle(None, &late).unwrap(), [Some(stay(15)), None]);
    assert_eq!(settle(Some(16), &late).unwrap(), [Some(stay(16)), Some(stay(16))]);
    let becomes_active = [(0, activating(|_| ())), (6, ready_look())];
    assert_eq!(settle(Some(5), &becomes_active).unwrap(), [Some(stay(15)), None]);
}

#[test]
fn an_active_agent_need_not_settle_where_ready_comes_last() {
    let looks = [(0, ready_look())];
    for (version, first) in [
        ("v1.30.14+k3s1", Some(stay(5))),
        ("v1.31.13+k3s1", Some(stay(5))),
        ("v1.31.14+k3s1", None),
        ("v1.32.9+k3s1", Some(stay(5))),
        ("v1.32.10+k3s1", None),
        ("v1.33.5+k3s1", Some(stay(5))),
        ("v1.33.6+k3s1", None),
        ("v1.34.1+k3s1", Some(stay(5))),
        ("v1.34.2+k3s1", None),
        ("v1.35.0+k3s1", None),
        ("v1.37.1+k3s1", None),
    ] {
        let mut agent = wanted(Role::Agent);
        agent.version = version.parse().unwrap();
        let mut look = ready_look();
        node(&mut look).running = Some(agent.version.clone());
        assert_eq!(
            settle_as(&agent, None, &[(0, look)]).unwrap(),
            [first],
            "{version}"
        );
    }
    assert_eq!(
        settle(Some(5), &looks).unwrap(),
        [Some(stay(5))],
        "what the operator says holds"
    );
}

#[test]
fn a_server_settles_for_five_seconds_by_default() {
    let server = wanted(Role::Server);
    let look = || with(|look| look.readyz = Some("ok".to_owned()));
    let looks = [(0, look()), (4, look()), (5, look())];
    assert_eq!(
        settle_as(&server, None, &looks).unwrap(),
        [Some(stay(5)), Some(stay(5)), None]
    );
    assert_eq!(settle_as(&server, Some(0), &looks[..1]).unwrap(), [None]);
}

#[test]
fn detects_a_restart_loop_behind_an_activating_unit() {
    let other = activating(|look| look.show.main_pid = 8);
    let loops = [(0, activating(|_| ())), (16, other.clone()), (18, other)];
    let seen = settle(Some(5), &loops).unwrap();
    assert_eq!(
        seen[1].as_deref(),
        Some("k3s-agent.service was restarted once more")
    );
    assert!(seen[2].as_deref().unwrap().contains("must stay"), "{seen:?}");
    let failed = with(|look| look.show.active = "failed".to_owned());
    let error = settle(Some(5), &[(0, failed)]).unwrap_err().to_string();
    assert!(error.contains("has failed"), "{error}");
}

#[test]
fn says_why_the_unit_is_still_activating() {
    let agent = wanted(Role::Agent);
    let seconds = Duration::from_secs;
    let late = activating(|_| ()).ready(&agent, seconds(12), seconds(28));
    let notice = late.notice.unwrap();
    for words in [
        "node n1 was Ready after 12 s",
        "k3s-agent.service is still activating",
        "next heartbeat",
        "within 8 min",
        "network policies",
    ] {
        assert!(notice.contains(words), "{notice} has no {words:?}");
    }
    assert_eq!((late.became_ready_after, late.seconds), (12, 28));
    assert_eq!(late.unit_state, "activating");
    assert_eq!(ready_look().ready(&agent, seconds(4), seconds(9)).notice, None);
}

#[test]
fn reads_the_vote_from_etcd_else_from_the_condition() {
    for (etcd, voter) in [
        (Etcd::Voter, None),
        (Etcd::Voter, Some(false)),
        (Etcd::Silent, Some(true)),
        (Etcd::None, None),
    ] {
        let look = with(|look| {
            look.etcd = etcd;
            node(look).voter = voter;
        });
        assert_eq!(
            look.missing(&wanted(Role::Server), STARTED),
            Ok(()),
            "{etcd:?} {voter:?}"
        );
    }
}

#[test]
fn an_agent_needs_no_readyz_and_a_server_without_kubelet_no_node() {
    let look = with(|look| look.readyz = None);
    assert_eq!(look.missing(&wanted(Role::Agent), STARTED), Ok(()));
    let mut bare = wanted(Role::Server);
    bare.paths.has_agent = false;
    assert_eq!(
        bare.to_string(),
        "the API server to be Ready with k3s v1.36.3+k3s1"
    );
    let look = with(|look| {
        look.node = None;
        look.api_version = "v1.36.3+k3s1".parse().ok();
    });
    assert_eq!(look.missing(&bare, STARTED), Ok(()));
    let old = with(|look| {
        look.node = None;
        look.api_version = "v1.36.2+k3s1".parse().ok();
    });
    assert!(
        old.missing(&bare, STARTED)
            .unwrap_err()
            .contains("still reports v1.36.2+k3s1")
    );
}

#[test]
fn reads_the_metric_of_etcd() {
    for (line, etcd) in [
        ("etcd_server_is_learner 0", Etcd::Voter),
        ("etcd_server_is_learner 1", Etcd::Learner),
        ("", Etcd::Silent),
    ] {
        let bytes = format!("@etcd {}\n{line}\n@end 0\n\n", line.len());
        assert_eq!(Look::parse(bytes.as_bytes(), "k3s.service").unwrap().etcd, etcd);
    }
    assert_eq!(
        Look::parse(b"@end 0\n\n", "k3s.service").unwrap().etcd,
        Etcd::None
    );
}
