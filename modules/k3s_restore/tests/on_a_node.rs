//! Servers as folders: the module's programs run unchanged, with a k3s and a systemd of a few lines, and any changing
//! program can be the one before which everything is killed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use ansible_module::{Call, params, run};
use host::Output;
use k3s_restore::K3sRestore;
use serde_json::{Value, json};
use server_archive::{About, CHECK, Datastore, Objects, UNPACK, checked, packed, unpacked};
use std::ops::Deref;
use std::path::Path;
use testbed::{Sandbox, assert_settles};

const MOVED: [&str; 7] = [
    "/mnt/vault",
    "/etc/systemd",
    "/etc/rancher",
    "/usr/local/bin",
    "/var/lib/homelab-k3s",
    "/var/lib/rancher",
    "/run/",
];
const PROGRAMS: &str = include_str!("programs.sh");
const NAME: &str = "k3s-n1-20260101T000000Z";
const ARCHIVE: &str = "/var/lib/homelab-k3s/backups/k3s-n1-20260101T000000Z.tar.gz";
const SERVER: &str = "var/lib/rancher/k3s/server";
const TOKEN: &str = "K10abc::server:s3cr3t\n";

struct Node(Sandbox);

impl Deref for Node {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.0
    }
}

/// What our own binary would answer.
fn ourselves(arguments: &[String]) -> Output {
    let done = match arguments {
        [word, path, _] if word == CHECK => checked(path, "s3cr3t\n"),
        [word, path, folder] if word == UNPACK => unpacked(path, folder),
        other => panic!("{other:?}"),
    };
    match done {
        Ok(answer) => Output {
            stdout: serde_json::to_vec(&answer).unwrap(),
            ..Output::default()
        },
        Err(error) => Output {
            status: 1,
            stderr: format!("{error:#}\n").into_bytes(),
            ..Output::default()
        },
    }
}

impl Node {
    /// A server that runs, with the backup of an earlier day.
    fn new(datastore: Datastore, args: &str) -> Self {
        Self::in_unit("k3s.service", datastore, args)
    }

    fn in_unit(name: &str, datastore: Datastore, args: &str) -> Self {
        let node = Self(Sandbox::new(&MOVED, PROGRAMS).answering(ourselves));
        node.make_folder("run/systemd/system");
        node.make_folder("etc/rancher/k3s");
        std::fs::create_dir_all(node.path("usr/local/bin")).unwrap();
        std::fs::rename(node.path("bin/k3s"), node.path("usr/local/bin/k3s")).unwrap();
        let unit = format!(
            "[Service]\nEnvironmentFile=-{}\nExecStart={} server {args}\n",
            node.path(&format!("etc/systemd/system/{name}.env")).display(),
            node.moved("/usr/local/bin/k3s")
        );
        node.put(&format!("etc/systemd/system/{name}"), &unit);
        node.put(&format!("etc/systemd/system/{name}.env"), "K3S_TOKEN=s3cr3t\n");
        node.put("etc/rancher/node/password", "pw");
        node.put(&format!("{SERVER}/token"), TOKEN);
        node.put(&format!("{SERVER}/tls/server-ca.crt"), "the authority");
        node.put(&format!("{SERVER}/cred/passwd"), "");
        node.fill(datastore, "then");
        node.take(datastore);
        node.fill(datastore, "now");
        node.put("state/unit", name);
        node.start(name);
        node
    }

    fn start(&self, unit: &str) {
        self.put(&format!("state/{unit}.enabled"), "");
        self.put(&format!("state/{unit}.started"), "");
    }

    fn is_started(&self, unit: &str) -> bool {
        self.has(&format!("state/{unit}.enabled")) && self.has(&format!("state/{unit}.started"))
    }

    fn fill(&self, datastore: Datastore, content: &str) {
        if datastore == Datastore::Etcd {
            self.make_folder(&format!("{SERVER}/db/etcd/member/wal"));
            self.put(&format!("{SERVER}/db/etcd/data"), content);
        } else {
            self.put(&format!("{SERVER}/db/state.db"), content);
            self.put(&format!("{SERVER}/db/state.db-wal"), content);
        }
    }

    fn take(&self, datastore: Datastore) {
        let copy = if datastore == Datastore::Etcd {
            "copy/snapshot"
        } else {
            "copy/state.db"
        };
        self.put(copy, "then");
        let about = About {
            name: NAME.to_owned(),
            taken_at: "2026-01-01T00:00:00Z".to_owned(),
            node: "node".to_owned(),
            k3s_version: "v1.31.4+k3s1".to_owned(),
            datastore,
            data_dir: self.path("var/lib/rancher/k3s").display().to_string(),
            objects: Objects::new(),
            nodes: Vec::new(),
        };
        self.make_folder("var/lib/homelab-k3s/backups");
        let out = std::fs::File::create(self.path(ARCHIVE)).unwrap();
        packed(self.path("").as_path(), about, &self.path(copy), out).unwrap();
    }

    fn ask(&self, state: &str, more: Value) -> Value {
        let mut all = json!({"state": state, "backup": NAME, "archive": ARCHIVE, "timeout": 30});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let call = Call::parse(&serde_json::to_vec(&all).unwrap()).unwrap();
        let params = params::<K3sRestore>(&call).unwrap();
        run::<K3sRestore>(&params, &call, &self.0).into_json()
    }

    fn must(&self, state: &str, more: Value) -> Value {
        let answer = self.ask(state, more);
        assert_eq!(answer["failed"], false, "{state}: {answer}");
        answer
    }

    /// The stages of the server that gets the backup; the first failure ends it.
    fn restore(&self) -> Result<(), Value> {
        for (state, more) in [
            ("stopped", json!({"first": true})),
            ("replaced", json!({})),
            ("started", json!({})),
            ("finished", json!({})),
        ] {
            let answer = self.ask(state, more);
            if answer["failed"] == true {
                return Err(answer);
            }
        }
        Ok(())
    }

    fn in_server(&self, path: &str) -> String {
        self.text(&format!("{SERVER}/{path}"))
    }

    /// What was set aside, by its path below the folder for that.
    fn aside(&self) -> Vec<(String, String)> {
        let folders = self
            .names(SERVER)
            .into_iter()
            .filter(|name| name.starts_with("before-restore-"));
        let mut files: Vec<(String, String)> = folders
            .flat_map(|folder| self.files(&format!("{SERVER}/{folder}")))
            .map(|(path, text)| (path.split('/').skip(6).collect::<Vec<_>>().join("/"), text))
            .collect();
        files.sort();
        files
    }

    fn assert_restored(&self, datastore: Datastore) {
        let (now, old) = if datastore == Datastore::Etcd {
            let db = self.names(&format!("{SERVER}/db"));
            let olds = db.iter().filter(|name| name.starts_with("etcd-old-"));
            let olds = olds
                .map(|name| self.in_server(&format!("db/{name}/data")))
                .collect::<Vec<_>>();
            (self.in_server("db/etcd/data"), olds)
        } else {
            assert!(
                !self.has(&format!("{SERVER}/db/state.db-wal")),
                "the old log is beside the new database"
            );
            let olds = self.aside().into_iter().filter(|(path, _)| path == "state.db");
            (
                self.in_server("db/state.db"),
                olds.map(|(_, text)| text).collect(),
            )
        };
        assert_eq!(now, "then");
        assert!(
            old.contains(&"now".to_owned()),
            "the old database is gone: {old:?}"
        );
        assert!(self.is_started(&self.text("state/unit")));
        assert_eq!(self.names("var/lib/homelab-k3s"), ["backups", "restored.json"]);
        assert_eq!(self.in_server("token"), TOKEN);
        assert_eq!(self.in_server("tls/server-ca.crt"), "the authority");
    }
}

#[test]
fn etcd_is_replaced_by_k3s_as_its_unit_runs_it() {
    let node = Node::new(
        Datastore::Etcd,
        "--node-ip 10.0.0.1 --token s3cr3t --server https://10.0.0.9:6443 --etcd-s3",
    );
    node.put(
        "etc/rancher/k3s/config.yaml",
        "server: https://10.0.0.9:6443\ntls-san: [a]\n",
    );
    node.put(
        "etc/rancher/k3s/config.yaml.d/10.yaml",
        "token: s3cr3t\ndisable: [traefik]\n",
    );
    node.restore().unwrap();
    node.assert_restored(Datastore::Etcd);
    let asked = node.text("state/reset");
    assert_eq!(
        asked,
        "server --node-ip 10.0.0.1 --etcd-s3=false --cluster-reset \
         --cluster-reset-restore-path=/var/lib/homelab-k3s/restore/files/datastore/snapshot\n\
         K3S_CONFIG_FILE=/var/lib/homelab-k3s/restore/config.yaml\nK3S_TOKEN_FILE=/var/lib/homelab-k3s/restore/token\n\
         tls-san:\n- a\ndisable:\n- traefik\ns3cr3t"
    );
    // No file of the operator was touched.
    assert_eq!(
        node.text("etc/rancher/k3s/config.yaml"),
        "server: https://10.0.0.9:6443\ntls-san: [a]\n"
    );
    assert!(
        node.aside().is_empty(),
        "nothing but etcd was replaced: {:?}",
        node.aside()
    );
}

#[test]
fn a_server_in_a_unit_of_another_name_is_restored_under_it() {
    let shutdown = "[Service]\nType=oneshot\nExecStop=/usr/local/bin/k3s-killall.sh\n";
    for datastore in [Datastore::Etcd, Datastore::Sqlite] {
        let node = Node::in_unit("k3s-server.service", datastore, "");
        node.put("etc/systemd/system/k3s-shutdown.service", shutdown);
        node.start("k3s-shutdown.service");
        node.must("stopped", json!({"first": true}));
        assert!(!node.is_started("k3s-server.service"));
        node.restore().unwrap();
        node.assert_restored(datastore);
        // It does not run k3s, and its work is another's.
        assert!(node.is_started("k3s-shutdown.service"));
        assert!(!node.has("state/k3s.service.enabled"));
    }
}

#[test]
fn a_second_k3s_is_named_before_anything_is_stopped() {
    let node = Node::new(Datastore::Etcd, "");
    let second = node.moved("[Service]\nExecStart=/usr/local/bin/k3s server\n");
    node.put("etc/systemd/system/edge.service", &second);
    let stop = || node.ask("stopped", json!({"first": true}));
    node.put("state/edge.service.enabled", "");
    let refused = stop()["msg"].as_str().unwrap().to_owned();
    assert!(
        refused.contains("`systemctl disable --now edge.service`"),
        "{refused}"
    );
    assert!(node.is_started("k3s.service"));
    node.remove_file("state/edge.service.enabled");
    assert_eq!(stop()["failed"], false);
}

#[test]
fn snapshots_in_a_folder_of_their_own_stay_unchanged() {
    for (args, config) in [
        ("--etcd-snapshot-dir /mnt/vault/etcd", ""),
        ("", "etcd-snapshot-dir: /mnt/vault/etcd\n"),
    ] {
        let node = Node::new(Datastore::Etcd, args);
        node.put("etc/rancher/k3s/config.yaml", config);
        node.put("mnt/vault/etcd/on-demand-1", "of today");
        node.restore().unwrap();
        node.assert_restored(Datastore::Etcd);
        assert_eq!(node.text("mnt/vault/etcd/on-demand-1"), "of today");
        // The reset is passed the folder as the unit is.
        let asked = node.text("state/reset");
        assert!(asked.contains("etcd-snapshot-dir"), "{asked}");
        assert!(
            asked.contains(
                "--cluster-reset-restore-path=/var/lib/homelab-k3s/restore/files/datastore/snapshot"
            ),
            "{asked}"
        );
        assert!(!node.has(&format!("{SERVER}/db/snapshots")));
    }
}

#[test]
fn puts_sqlite_in_place_with_the_old_one_beside_it() {
    let node = Node::new(Datastore::Sqlite, "");
    node.restore().unwrap();
    node.assert_restored(Datastore::Sqlite);
    let aside: Vec<String> = node.aside().into_iter().map(|(path, _)| path).collect();
    assert_eq!(aside, ["state.db", "state.db-wal"]);
}

#[test]
fn old_data_that_a_killed_run_did_not_move_is_kept_beside_what_it_moved() {
    let node = Node::new(Datastore::Etcd, "--server https://10.0.0.9:6443");
    node.must("stopped", json!({}));
    let record = node.text("var/lib/homelab-k3s/restore.json");
    let stamp = serde_json::from_str::<Value>(&record).unwrap()["stamp"].clone();
    let aside = format!("{SERVER}/before-restore-{}", stamp.as_str().unwrap());
    node.put(&format!("{aside}/etcd/data"), "half of it");
    node.must("replaced", json!({}));
    assert!(!node.has(&format!("{SERVER}/db/etcd")));
    assert_eq!(node.text(&format!("{aside}/etcd/data")), "half of it");
    assert_eq!(node.text(&format!("{aside}/etcd.next/data")), "now");
}

#[test]
fn a_failure_after_keys_are_replaced_does_not_start_the_old_datastore_with_them() {
    let node = Node::new(Datastore::Etcd, "");
    node.put(&format!("{SERVER}/tls/server-ca.crt"), "another authority");
    node.put("state/reset-fails", "");
    node.restore().unwrap_err();
    assert_eq!(node.in_server("tls/server-ca.crt"), "the authority");
    assert_eq!(node.must("given_back", json!({}))["touched"], true);
    assert!(!node.has("state/k3s.service.started"));
}

/// Killed before each program that changes something, then the same stages once more.
fn kill_everywhere(datastore: Datastore) {
    for at in 1.. {
        let node = Node::new(datastore, "");
        // Others than the backup's, so that they are replaced too.
        node.put(&format!("{SERVER}/tls/server-ca.crt"), "another authority");
        node.forget_counts();
        node.kill_at.set(at);
        if node.restore().is_ok() {
            assert!(
                !node.was_killed() && at > 30,
                "only {at} programs change anything"
            );
            return;
        }
        node.revive();
        if let Err(answer) = node.restore() {
            panic!("{datastore}, killed before the changing program {at}: {answer}");
        }
        node.assert_restored(datastore);
        let aside = node.aside();
        let old = aside.iter().find(|(path, _)| path == "tls/server-ca.crt");
        assert_eq!(old.unwrap().1, "another authority", "killed before {at}");
    }
}

#[test]
fn a_kill_at_any_moment_is_made_good_with_etcd() {
    kill_everywhere(Datastore::Etcd);
}

#[test]
fn a_kill_at_any_moment_is_made_good_with_sqlite() {
    kill_everywhere(Datastore::Sqlite);
}

#[test]
fn a_module_that_dies_between_two_programs_is_made_good_too() {
    for runs in 1.. {
        let node = Node::new(Datastore::Etcd, "");
        node.die_after.set(runs);
        if node.restore().is_ok() {
            assert!(runs > 30, "only {runs} commands make a restore");
            return;
        }
        node.revive();
        node.restore()
            .unwrap_or_else(|answer| panic!("after {runs} runs: {answer}"));
        node.assert_restored(Datastore::Etcd);
    }
}

#[test]
fn repeats_no_finished_stage() {
    let node = Node::new(Datastore::Etcd, "");
    for (state, more) in [
        ("stopped", json!({"first": true})),
        ("replaced", json!({})),
        ("started", json!({})),
    ] {
        assert_eq!(node.must(state, more.clone())["changed"], true, "{state}");
        let again = node.must(state, more);
        assert_eq!(
            (&again["changed"], &again["actions"]),
            (&json!(false), &json!([])),
            "{state}"
        );
        assert_eq!(again["touched"], state != "stopped");
    }
    // Not even the backup is needed any more.
    node.remove_file(ARCHIVE);
    for state in ["stopped", "replaced", "started"] {
        assert_eq!(node.must(state, json!({}))["changed"], false, "{state}");
    }
    assert_eq!(node.must("finished", json!({}))["changed"], true);
    assert_eq!(node.must("finished", json!({}))["changed"], false);
}

/// The stages of a restore: to its end, or given back before or after the datastore was touched.
const WAYS: [&[&str]; 3] = [
    &["stopped", "replaced", "started", "finished"],
    &["stopped", "given_back"],
    &["stopped", "replaced", "given_back"],
];

#[test]
fn each_stage_of_every_server_settles() {
    for (datastore, first) in [
        (Datastore::Etcd, true),
        (Datastore::Etcd, false),
        (Datastore::Sqlite, true),
    ] {
        for (way, runs) in WAYS.iter().flat_map(|way| [(way, true), (way, false)]) {
            let node = Node::new(datastore, "");
            // Of another authority, so that its keys are replaced or set aside too.
            node.put(&format!("{SERVER}/tls/server-ca.crt"), "another authority");
            if !runs {
                node.remove_file("state/k3s.service.enabled");
                node.remove_file("state/k3s.service.started");
            }
            for stage in *way {
                let case = format!("{datastore}, first {first}, runs {runs}, {stage} of {way:?}");
                let more = if *stage == "stopped" {
                    json!({"first": first})
                } else {
                    json!({})
                };
                let run = |check: bool| {
                    let mut more = more.clone();
                    more["_ansible_check_mode"] = check.into();
                    node.ask(stage, more)
                };
                let world = || (node.files("etc"), node.files("var"), node.names("state"));
                let answer = assert_settles(&case, run, world);
                // Its old data is gone already, and it did not start with the machine before: it stays so.
                let is_left = !runs && way.len() == 3 && *stage == "given_back";
                assert_eq!(
                    (&answer["failed"], &answer["changed"]),
                    (&json!(false), &json!(!is_left)),
                    "{case}: {answer}"
                );
            }
        }
    }
}

#[test]
fn a_server_that_lost_everything_gets_token_keys_and_password_of_the_backup() {
    let node = Node::new(Datastore::Etcd, "--cluster-init");
    std::fs::remove_dir_all(node.path(SERVER)).unwrap();
    node.remove_file("etc/rancher/node/password");
    node.put("etc/systemd/system/k3s.service.env", "");
    node.restore().unwrap();
    assert_eq!(node.in_server("db/etcd/data"), "then");
    assert_eq!(node.in_server("token"), TOKEN);
    assert_eq!(node.in_server("tls/server-ca.crt"), "the authority");
    assert_eq!(node.text("etc/rancher/node/password"), "pw");
}

#[test]
fn a_server_whose_token_is_a_setting_and_whose_file_is_lost_gets_that_too() {
    let node = Node::new(Datastore::Etcd, "--cluster-init");
    std::fs::remove_dir_all(node.path(SERVER)).unwrap();
    node.restore().unwrap();
    assert_eq!(node.in_server("db/etcd/data"), "then");
    assert_eq!(node.in_server("token"), TOKEN);
    assert_eq!(
        node.text("etc/systemd/system/k3s.service.env"),
        "K3S_TOKEN=s3cr3t\n"
    );
}

#[test]
fn a_peer_is_stopped_set_aside_and_started_and_keeps_keys_that_fit() {
    for (identity, kept) in [("the authority", true), ("another", false)] {
        let node = Node::new(Datastore::Etcd, "--server https://10.0.0.9:6443");
        node.put(&format!("{SERVER}/tls/server-ca.crt"), identity);
        let seen = node.must("inspected", json!({}));
        node.must("stopped", json!({}));
        node.must("replaced", json!({"identity": seen["archive"]["identity"]}));
        assert!(
            !node.has(&format!("{SERVER}/db/etcd")),
            "the old database is still in place"
        );
        assert_eq!(node.has(&format!("{SERVER}/tls")), kept);
        assert!(
            node.aside().contains(&("etcd/data".to_owned(), "now".to_owned())),
            "{:?}",
            node.aside()
        );
        node.must("started", json!({}));
        node.must("finished", json!({}));
        assert!(node.has("state/k3s.service.enabled") && node.has("state/k3s.service.started"));
    }
}

#[test]
fn a_failure_before_any_change_leaves_everything_as_before() {
    for (enabled, active) in [(true, true), (false, true), (true, false)] {
        let node = Node::new(Datastore::Etcd, "");
        if !enabled {
            node.remove_file("state/k3s.service.enabled");
        }
        if !active {
            node.remove_file("state/k3s.service.started");
        }
        node.must("stopped", json!({"first": true}));
        assert!(!node.has("state/k3s.service.enabled") && !node.has("state/k3s.service.started"));
        node.must("given_back", json!({}));
        assert_eq!(node.has("state/k3s.service.enabled"), enabled);
        assert_eq!(node.has("state/k3s.service.started"), active);
        assert_eq!(node.names("var/lib/homelab-k3s"), ["backups"]);
        assert_eq!(node.in_server("db/etcd/data"), "now");
    }
}

#[test]
fn after_that_no_server_comes_up_with_the_old_data() {
    let peer = Node::new(Datastore::Etcd, "--server https://10.0.0.9:6443");
    peer.must("stopped", json!({}));
    peer.must("given_back", json!({"touched": true}));
    assert!(
        !peer.has(&format!("{SERVER}/db/etcd")),
        "it would come up as the old cluster"
    );
    assert!(peer.has("state/k3s.service.enabled") && !peer.has("state/k3s.service.started"));
    // And the run that continues it goes on from there.
    for state in ["stopped", "replaced", "started", "finished"] {
        peer.must(state, json!({}));
    }
    assert!(peer.has("state/k3s.service.enabled") && peer.has("state/k3s.service.started"));

    let first = Node::new(Datastore::Etcd, "");
    first.put("state/reset-fails", "");
    let answer = first.restore().unwrap_err();
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("k3s server --cluster-reset ended with status 1"),
        "{msg}"
    );
    assert!(
        msg.contains("encrypted with different token") && !msg.contains("s3cr3t"),
        "{msg}"
    );
    assert_eq!(first.must("given_back", json!({}))["touched"], true);
    assert!(first.has("state/k3s.service.enabled") && !first.has("state/k3s.service.started"));
    first.remove_file("state/reset-fails");
    first.restore().unwrap();
    first.assert_restored(Datastore::Etcd);
}

#[test]
fn a_reset_that_leaves_no_etcd_has_failed_whatever_its_status() {
    let node = Node::new(Datastore::Etcd, "");
    node.put("state/reset-does-nothing", "");
    let answer = node.restore().unwrap_err();
    assert!(
        answer["msg"]
            .as_str()
            .unwrap()
            .contains("succeeded, and left no etcd"),
        "{answer}"
    );
}

#[test]
fn a_reset_that_does_not_end_has_failed() {
    let node = Node::new(Datastore::Etcd, "");
    node.put("state/reset-times-out", "");
    let answer = node.restore().unwrap_err();
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("k3s server --cluster-reset did not end within 30 s"),
        "{msg}"
    );
}

#[test]
fn a_server_that_does_not_stop_is_named() {
    let node = Node::new(Datastore::Etcd, "");
    node.put("state/never-stops", "");
    let answer = node.ask("stopped", json!({"first": true}));
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("stopping k3s: k3s.service is active after it was stopped"),
        "{msg}"
    );
    // Nothing was touched: the server is released unchanged.
    node.must("given_back", json!({}));
    assert!(node.is_started("k3s.service"));
    assert_eq!(node.names("var/lib/homelab-k3s"), ["backups"]);
}

#[test]
fn reports_a_silent_api_with_the_masked_journal() {
    let node = Node::new(Datastore::Etcd, "");
    node.put("state/never-ready", "");
    let answer = node.restore().unwrap_err();
    let msg = answer["msg"].as_str().unwrap();
    assert!(
        msg.contains("waiting for the API to be ready took longer than 30 s"),
        "{msg}"
    );
    assert!(
        msg.contains("joining with token ********") && !msg.contains("s3cr3t"),
        "{msg}"
    );
    node.remove_file("state/never-ready");
    node.restore().unwrap();
}

#[test]
fn stages_out_of_order_are_refused() {
    let node = Node::new(Datastore::Etcd, "");
    let refusal = |state: &str, more: Value| {
        node.ask(state, more)["msg"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    for state in ["replaced", "started"] {
        assert!(
            refusal(state, json!({})).contains("no restore has begun on this server"),
            "{state}"
        );
    }
    node.must("stopped", json!({"first": true}));
    assert!(refusal("started", json!({})).contains("would bring the old cluster back"));
    assert!(refusal("finished", json!({})).contains("not started yet"));
    for state in ["stopped", "replaced", "finished", "given_back"] {
        let other = refusal(state, json!({"backup": "other"}));
        assert!(
            other.contains("finish it by -e k3s_restore_backup=k3s-n1"),
            "{state}: {other}"
        );
    }
    node.put("state/k3s.service.started", "");
    assert!(refusal("replaced", json!({})).contains("k3s runs"));
    node.remove_file("state/k3s.service.started");
    node.put("copy.tar.gz", "");
    let gone = refusal("replaced", json!({"archive": "/no/such/file"}));
    assert!(
        gone.contains("/no/such/file is not on this Proxmox host any more"),
        "{gone}"
    );
    node.put("var/lib/homelab-k3s/restore.json", "{");
    assert!(refusal("stopped", json!({})).contains("restore.json in the container): it is damaged"));
}

#[test]
fn compares_server_and_backup_without_showing_secrets() {
    let node = Node::new(Datastore::Etcd, "--cluster-init");
    let answer = node.must("inspected", json!({"count": true}));
    let server = &answer["server"];
    assert_eq!(
        (&server["token"], &server["identity"]),
        (&json!("same"), &json!("same"))
    );
    assert_eq!(server["token_place"], "the variable K3S_TOKEN");
    assert_eq!(answer["archive"]["name"], NAME);
    assert_eq!(answer["objects"], json!({"configmap": 2, "node": 1}));
    assert_eq!(
        answer["nodes"],
        json!([{"name": "n1", "server": true, "ready": true}])
    );
    assert!(!answer.to_string().contains("s3cr3t"), "{answer}");
    node.put(&format!("{SERVER}/tls/server-ca.crt"), "another");
    let other = node.must("inspected", json!({}));
    assert_eq!(other["server"]["identity"], "other");
    assert!(other.get("objects").is_none());
    let unknown = node.must("inspected", json!({"archive": "/no/such/file"}));
    assert_eq!(
        (&unknown["server"]["token"], &unknown["server"]["identity"]),
        (&json!("unknown"), &json!("unknown"))
    );
    assert!(!Path::new("/no/such/file").exists());
}

#[test]
fn nodes_that_lost_their_passwords_are_let_in_again() {
    let node = Node::new(Datastore::Etcd, "");
    node.must("stopped", json!({"first": true}));
    node.must("replaced", json!({}));
    let answer = node.must("started", json!({"admit": ["N1", "n2"]}));
    let last = "delete the node passwords of N1, n2, which may register again";
    assert_eq!(answer["actions"].as_array().unwrap().last(), Some(&json!(last)));
    assert_eq!(
        node.text("state/forgotten"),
        "n1.node-password.k3s n2.node-password.k3s\n"
    );
    // The cluster has a password of the first node only.
    let again = node.must("started", json!({"admit": ["N1", "n2"]}));
    let of_first = "delete the node passwords of N1, which may register again";
    assert_eq!(again["actions"], json!([of_first]));
    assert_eq!(node.must("started", json!({"admit": ["n2"]}))["changed"], false);
}
