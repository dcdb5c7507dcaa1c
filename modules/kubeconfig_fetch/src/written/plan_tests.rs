use super::super::dest::Paths;
use super::super::state::{Facts, Ls};
use super::*;
use crate::kubeconfig::Kubeconfig;
use crate::params::Params;
use crate::reach::{Cause, Obstacle};
use crate::samples::{Cluster, admin};
use k3s_certs::testing::NOW;
use serde_json::{Value, json};
use std::time::SystemTime;

const DEST: &str = "/home/user/.kube/config";
const ME: (u32, u32) = (1000, 1000);
const STAMP: &str = "20260101T000000Z";

struct Desk {
    ours: Cluster,
    state: State,
}

impl Desk {
    /// A home folder without a kubeconfig.
    fn new() -> Self {
        let ours = Cluster::new(1);
        let state = State {
            credentials: ours.credentials("https://k3s-1:6443", &admin()),
            name: "k3s-k3s-1".to_owned(),
            paths: Paths {
                dest: DEST.to_owned(),
                others: Vec::new(),
                unmentioned: None,
                is_found: true,
            },
            facts: Facts {
                me: ME,
                target: DEST.to_owned(),
                folder: Some(ls("drwxr-xr-x", ME)),
                ..Facts::default()
            },
            before: None,
            view: View::default(),
            unmentioned: None,
            unreadable: Vec::new(),
            verdict: Verdict::NotAsked,
            keep_address: false,
            replace: false,
            now: SystemTime::UNIX_EPOCH + NOW,
        };
        Self { ours, state }
    }

    fn with_file(mut self, text: &str, mode: &str) -> Self {
        self.state.before = Some(text.as_bytes().to_vec());
        self.state.facts.file = Some(ls(mode, ME));
        self.state.view.dest = document(DEST, text);
        self
    }

    /// The file that a first run leaves.
    fn settled(self) -> Self {
        let text = merged(&self.state).config.to_text().unwrap();
        self.with_file(&text, "-rw-------")
    }

    /// The kubeconfig of before the renewal.
    fn stale(&self) -> String {
        self.ours
            .kubeconfig("default", "https://127.0.0.1:6443", &admin().days(-400, -35))
    }

    fn plan(&self, more: Value) -> Result<Plan<Step>> {
        let mut options = json!({"state": "written", "content": "x"});
        options
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        match serde_json::from_value(options).unwrap() {
            Params::Written(params) => plan(&params, &self.state),
            Params::Read(_) => panic!(),
        }
    }

    fn steps(&self, more: Value) -> Vec<String> {
        self.plan(more)
            .unwrap()
            .steps
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn warnings(&self) -> Vec<String> {
        self.plan(json!({})).unwrap().warnings
    }
}

fn ls(mode: &str, owner: (u32, u32)) -> Ls {
    Ls {
        mode: mode.to_owned(),
        owner,
    }
}

fn document(path: &str, text: &str) -> Option<Document> {
    let config = Kubeconfig::parse(text.as_bytes()).unwrap();
    config.map(|config| Document {
        path: path.to_owned(),
        config,
    })
}

#[test]
fn a_new_file_is_written_and_its_folder_made() {
    let mut desk = Desk::new();
    assert_eq!(desk.steps(json!({})), [format!("write {DEST}")]);
    desk.state.facts.folder = None;
    assert_eq!(
        desk.steps(json!({})),
        [
            "make the folder /home/user/.kube".to_owned(),
            format!("write {DEST}")
        ]
    );
}

#[test]
fn a_file_that_is_right_is_left_alone() {
    let desk = Desk::new().settled();
    let plan = desk.plan(json!({})).unwrap();
    assert!(plan.steps.is_empty() && plan.diff.is_empty() && plan.warnings.is_empty());
    assert!(changes(&desk.state).is_empty());
}

#[test]
fn a_file_that_others_can_read_is_made_private_and_nothing_else() {
    let desk = Desk::new().settled();
    let text = format!(
        "# mine\n{}",
        String::from_utf8(desk.state.before.clone().unwrap()).unwrap()
    );
    let desk = desk.with_file(&text, "-rw-r--r--");
    let plan = desk.plan(json!({})).unwrap();
    let [Step::Write { file, .. }] = &plan.steps[..] else {
        panic!("{:?}", plan.steps)
    };
    assert_eq!(file.content, text.as_bytes(), "comments and all");
    assert_eq!(file.mode, 0o600);
    assert_eq!(
        plan.steps[0].to_string(),
        format!("let nobody but its owner read {DEST}")
    );
    assert_eq!(
        changes(&desk.state),
        ["- mode     -rw-r--r--", "+ mode     -rw-------"]
    );
}

#[test]
fn what_is_changed_is_kept_first_unless_that_is_not_wanted() {
    let desk = Desk::new();
    let stale = format!("# mine\n{}", desk.stale());
    let desk = desk.with_file(&stale, "-rw-------");
    let renew = format!("renew the entries of this cluster in {DEST}");
    let backup = format!("keep the old file in {DEST}.backup-{STAMP}");
    assert_eq!(desk.steps(json!({})), [backup, renew.clone()]);
    assert_eq!(desk.steps(json!({"backup": false})), [renew]);
    let plan = desk.plan(json!({})).unwrap();
    let (Step::Backup(backup), Step::Write { file, before, .. }) = (&plan.steps[0], &plan.steps[1]) else {
        panic!("{:?}", plan.steps)
    };
    assert_eq!(
        (&backup.content[..], backup.mode, backup.owner),
        (stale.as_bytes(), 0o600, ME)
    );
    assert_eq!((file.mode, file.owner), (0o600, ME));
    assert_eq!(before.as_deref(), Some(stale.as_bytes()));
}

#[test]
fn backups_are_bounded_and_never_overwritten() {
    let desk = Desk::new();
    let stale = desk.stale();
    let mut desk = desk.with_file(&stale, "-rw-------");
    let name = |stamp: &str| format!("config.backup-{stamp}");
    desk.state.facts.backups = ["20250101T000000Z", "20250102T000000Z", "by-hand", STAMP]
        .map(name)
        .to_vec();
    let steps = desk.steps(json!({"backup_keep": 2}));
    assert_eq!(
        steps[0],
        format!("keep the old file in {DEST}.backup-20260101T000001Z")
    );
    assert_eq!(
        steps[2..],
        ["20250101T000000Z", "20250102T000000Z"]
            .map(|stamp| format!("remove the old backup {DEST}.backup-{stamp}"))
    );
    assert_eq!(desk.steps(json!({})).len(), 2);
}

#[test]
fn the_owner_of_a_file_is_kept_or_the_file_is() {
    let desk = Desk::new();
    let stale = desk.stale();
    let mut desk = desk.with_file(&stale, "-rw-------");
    desk.state.facts.file = Some(ls("-rw-------", (0, 0)));
    let error = desk.plan(json!({})).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{DEST} belongs to the user with the id 0")),
        "{error}"
    );
    desk.state.facts.me = (0, 0);
    desk.state.facts.file = Some(ls("-rw-------", (1234, 5)));
    let plan = desk.plan(json!({})).unwrap();
    for step in &plan.steps {
        let (Step::Backup(file) | Step::Write { file, .. }) = step else {
            panic!("{step}")
        };
        assert_eq!(file.owner, (1234, 5));
    }
}

#[test]
fn the_difference_shows_no_login_of_an_address() {
    let desk = Desk::new();
    let stale = desk
        .stale()
        .replace("https://127.0.0.1:6443", "https://me:pw-1@127.0.0.1:6443");
    let plan = desk.with_file(&stale, "-rw-------").plan(json!({})).unwrap();
    let shown = format!("{:?}", plan.diff);
    assert!(shown.contains("at https://********@127.0.0.1:6443"), "{shown}");
    assert!(!shown.contains("pw-1"), "{shown}");
}

#[test]
fn the_difference_shows_names_and_dates_and_no_key() {
    let desk = Desk::new();
    let stale = desk.stale();
    let desk = desk.with_file(&stale, "-rw-------");
    let plan = desk.plan(json!({})).unwrap();
    let [diff] = &plan.diff[..] else { panic!() };
    assert_eq!(diff.before_header, DEST);
    let lines: Vec<&str> = diff.before.lines().collect();
    assert!(
        lines[0].starts_with("cluster  default  at https://127.0.0.1:6443  authority sha256 "),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("user     default  certificate sha256 ")
            && lines[1].ends_with(" until 2025-11-27T00:00:00Z"),
        "{lines:?}"
    );
    assert_eq!(lines[2..], ["current  default", "mode     -rw-------"]);
    assert!(
        diff.after.contains("cluster  default  at https://k3s-1:6443")
            && diff.after.contains("until 2026-12-31T00:00:00Z")
    );
    let debug = format!(
        "{diff:?}{:?}{:?}",
        changes(&desk.state),
        plan.steps.iter().map(ToString::to_string).collect::<Vec<_>>()
    );
    for line in stale.split_whitespace().filter(|word| word.len() > 60) {
        assert!(!debug.contains(&line[..40]), "{line}");
    }
    assert_eq!(changes(&desk.state).len(), 4, "{:?}", changes(&desk.state));
}

#[test]
fn an_api_server_that_is_not_reached_is_a_warning_with_its_cause() {
    let desk = Desk::new();
    let stale = desk.stale().replace("127.0.0.1", "192.0.2.10");
    let mut desk = desk.with_file(&stale, "-rw-------");
    desk.state.verdict = Verdict::Fails(Obstacle {
        cause: Cause::CertificateName,
        detail: "certificate not valid for name \"k3s-1\"".to_owned(),
    });
    let [warning] = &desk.warnings()[..] else { panic!() };
    for part in [
        "the API server at https://k3s-1:6443 was not reached from this machine: certificate not valid for name \"k3s-1\"",
        "add `tls-san: [k3s-1]` to /etc/rancher/k3s/config.yaml",
        "until now the file had https://192.0.2.10:6443: -e k3s_kubeconfig_server=https://192.0.2.10:6443 keeps that",
    ] {
        assert!(warning.contains(part), "{warning}");
    }
    desk.state.verdict = Verdict::Answers;
    assert!(desk.warnings().is_empty());
}

#[test]
fn reports_kubectls_own_file_when_another_one_is_written() {
    let mut desk = Desk::new();
    let stale = desk.stale();
    desk.state.unmentioned = document("/home/user/.kube/config", &stale);
    let [warning] = &desk.warnings()[..] else { panic!() };
    assert!(
        warning.contains("-e k3s_kubeconfig_dest=/home/user/.kube/config"),
        "{warning}"
    );
    let elsewhere = Cluster::new(2).kubeconfig("default", "https://127.0.0.1:6443", &admin());
    desk.state.unmentioned = document("/home/user/.kube/config", &elsewhere);
    assert!(desk.warnings().is_empty());
}

#[test]
fn warns_the_user_of_side_effects() {
    let mut desk = Desk::new();
    desk.state.unreadable = vec!["reading /b: it is not a kubeconfig".to_owned()];
    desk.state.credentials = desk
        .ours
        .credentials("https://k3s-1:6443", &admin().days(-400, -35));
    let warnings = desk.warnings();
    assert_eq!(
        warnings[0],
        "reading /b: it is not a kubeconfig. kubectl will stumble over it"
    );
    assert_eq!(
        warnings[1],
        "the client certificate has expired on 2025-11-27T00:00:00Z"
    );
}

#[test]
fn another_cluster_of_the_same_name_is_named_with_the_way_to_replace_it() {
    let other = Cluster::new(2).kubeconfig("k3s-k3s-1", "https://k3s-1:6443", &admin());
    let mut desk = Desk::new().with_file(&other, "-rw-------");
    let [warning] = &desk.warnings()[..] else { panic!() };
    for part in [
        "the entry k3s-k3s-1 has another authority than this cluster",
        "this cluster is entered as k3s-k3s-1-2",
        "kubectl config delete-cluster k3s-k3s-1",
        "-e k3s_kubeconfig_replace=true",
    ] {
        assert!(warning.contains(part), "{warning}");
    }
    assert_eq!(merged(&desk.state).context, "k3s-k3s-1-2");
    desk.state.replace = true;
    assert!(desk.warnings().is_empty());
    assert_eq!(merged(&desk.state).context, "k3s-k3s-1");
}
