//! The rules as a table; `merge_world` checks of each row what has to hold of all.

use super::super::merge_world::{NAME, World, items, name};
use super::*;
use serde_yaml_ng::Value;
use std::path::Path;

/// A file, and what becomes of it.
struct Row {
    file: &'static str,
    /// The clusters, contexts and users that are changed or added, in this order.
    touched: [&'static [&'static str]; 3],
    /// By which context this cluster is entered afterwards.
    context: &'static str,
    /// Which one is current afterwards.
    current: &'static str,
}

const SECOND: &str = "k3s-k3s-1-2";

const ROWS: [Row; 9] = [
    Row {
        file: "kubectl.yaml",
        touched: [&["default"], &[], &["default"]],
        context: "default",
        current: "default",
    },
    Row {
        file: "k3d.yaml",
        touched: [&[NAME], &[NAME], &[NAME]],
        context: NAME,
        current: "k3d-dev",
    },
    Row {
        file: "minikube.yaml",
        touched: [&[NAME], &[NAME], &[NAME]],
        context: NAME,
        current: "minikube",
    },
    Row {
        file: "eks.yaml",
        touched: [&[NAME], &[NAME], &[NAME]],
        context: NAME,
        current: "arn:aws:eks:eu-west-1:123456789012:cluster/shop",
    },
    Row {
        file: "oidc.yaml",
        touched: [&[NAME], &[NAME], &[NAME]],
        context: NAME,
        current: "on-prem",
    },
    // The user is the other cluster's: it stays, and this cluster's context gets one of its own.
    Row {
        file: "shared-default.yaml",
        touched: [&["home"], &["home"], &[NAME]],
        context: "home",
        current: "home",
    },
    // Who comes by a token or as another person goes on doing so.
    Row {
        file: "several-methods.yaml",
        touched: [&["k3s-vip", "k3s-tunnel"], &[], &["admin"]],
        context: "admin",
        current: "viewer",
    },
    Row {
        file: "other-default.yaml",
        touched: [&[NAME], &[NAME], &[NAME]],
        context: NAME,
        current: "default",
    },
    // Another authority under our own name: it may be another cluster that is called the same.
    Row {
        file: "kubectl.json",
        touched: [&[SECOND], &[SECOND], &[SECOND]],
        context: SECOND,
        current: SECOND,
    },
];

#[test]
fn kubeconfigs_as_tools_and_people_write_them() {
    let world = World::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubeconfigs");
    let count = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(count, ROWS.len(), "a row for each file");
    for row in ROWS {
        eprintln!("{}", row.file);
        let text = std::fs::read_to_string(folder.join(row.file)).unwrap();
        let (merged, after) = world.merged(&text, &[]);
        for (kind, names) in Kind::ALL.into_iter().zip(row.touched) {
            let touched: Vec<&str> = merged
                .touched
                .iter()
                .filter_map(|(own, name)| (*own == kind).then_some(name.as_str()))
                .collect();
            assert_eq!(touched, names, "{}: {}", row.file, kind.list());
        }
        assert_eq!(merged.context, row.context, "{}", row.file);
        assert_eq!(
            after.get("current-context").and_then(Value::as_str),
            Some(row.current),
            "{}",
            row.file
        );
    }
}

#[test]
fn a_file_that_is_not_there_or_empty_becomes_one_of_this_cluster_alone() {
    let world = World::new();
    for text in ["", "# nothing yet\n", "{}\n", "kind: Config\napiVersion: v1\n"] {
        let (merged, after) = world.merged(text, &[]);
        assert_eq!(
            (merged.context.as_str(), merged.config.current()),
            (NAME, Some(NAME))
        );
        assert_eq!(items(&after, "clusters").len(), 1);
    }
}

/// One cluster, context and user with these contents.
fn one(cluster: &str, user: &str, more: &str) -> String {
    format!(
        "clusters: [{{name: a, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n\
         contexts: [{{name: c, context: {{cluster: a, user: u}}}}{more}]\n"
    )
}

#[test]
fn a_cluster_is_known_by_its_authority_or_without_one_by_its_address() {
    let world = World::new();
    let known = |cluster: &str| {
        let (merged, _) = world.merged(&one(cluster, "", ""), &[]);
        merged.touched.contains(&(Kind::Cluster, "a".to_owned()))
    };
    for cluster in [
        "certificate-authority-data: OUR_CA, server: \"https://192.0.2.99:1\"",
        "certificate-authority-data: OUR_CA",
        "certificate-authority: certs/ca.crt",
        "certificate-authority: /home/user/.kube/certs/ca.crt",
        "insecure-skip-tls-verify: true, server: \"https://K3S-1:6443/\"",
        "certificate-authority-data: \"%%%\", server: \"https://k3s-1:6443\"",
        // Behind a proxy too, since nobody else has this authority.
        "certificate-authority-data: OUR_CA, proxy-url: \"socks5://localhost:1080\"",
    ] {
        assert!(known(cluster), "{cluster}");
    }
    for cluster in [
        "",
        "server: \"https://k3s-1:6444\"",
        "certificate-authority-data: OTHER_CA, server: \"https://k3s-2:6443\"",
        "certificate-authority: certs/missing.crt, server: \"https://k3s-2:6443\"",
        // The address may have been given to another machine, or mean another one in another network.
        "certificate-authority-data: STALE_CA, server: \"https://k3s-1:6443\"",
        "certificate-authority-data: OTHER_CA, server: \"https://k3s-1:6443\", proxy-url: \"socks5://localhost:1080\"",
    ] {
        assert!(!known(cluster), "{cluster}");
    }
}

#[test]
fn only_the_administrators_certificate_is_renewed() {
    const OURS: &str = "certificate-authority-data: OUR_CA";
    let world = World::new();
    let foreign = ", {name: d, context: {cluster: b, user: u}}";
    let stays_alone = |user: &str, more: &str| {
        let (merged, after) = world.merged(&one(OURS, user, more), &[]);
        let is_renewed = merged.touched.contains(&(Kind::User, "u".to_owned()));
        assert_ne!(
            is_renewed,
            items(&after, "users").len() == 2,
            "else one is added: {user}"
        );
        !is_renewed
    };
    for user in [
        "client-certificate-data: OUR_OLD_CERT, client-key-data: OUR_OLD_KEY",
        "client-certificate: certs/admin.crt, client-key: certs/admin.key",
        // Of the cluster that stood here before.
        "client-certificate-data: STALE_CERT",
        "client-certificate-data: \"%%%\"",
        "client-certificate: gone.crt",
        "",
    ] {
        assert!(!stays_alone(user, ""), "{user}");
    }
    for user in [
        "token: abc",
        "tokenFile: /run/token",
        "username: a, password: b",
        "exec: {command: kubelogin}",
        "auth-provider: {name: oidc}",
        "client-certificate-data: OPERATOR_CERT, client-key-data: OPERATOR_KEY",
    ] {
        assert!(stays_alone(user, ""), "{user}");
    }
    // Shared with a context of another cluster, it is renewed only if it can be nobody else's.
    assert!(!stays_alone("client-certificate-data: OUR_OLD_CERT", foreign));
    for user in [
        "client-certificate-data: OTHER_CERT",
        "client-certificate-data: \"%%%\"",
    ] {
        assert!(stays_alone(user, foreign), "{user}");
    }
}

#[test]
fn a_context_without_its_user_gets_one() {
    let world = World::new();
    let text = one("certificate-authority-data: OUR_CA", "token: abc", "").replace("user: u}", "user: gone}");
    let (merged, after) = world.merged(&text, &[]);
    assert_eq!(merged.context, "c");
    assert_eq!(
        items(&after, "users").iter().map(name).collect::<Vec<_>>(),
        ["u", NAME]
    );
}

#[test]
fn a_name_that_another_has_is_not_taken_from_it() {
    let world = World::new();
    let text = format!(
        "clusters: [{{name: a, cluster: {{certificate-authority-data: OUR_CA}}}}, {{name: {NAME}, cluster: {{server: \"https://x\"}}}}]\n\
         contexts: [{{name: {NAME}, context: {{cluster: {NAME}, user: {NAME}}}}}]\nusers: [{{name: {NAME}, user: {{token: x}}}}]\n"
    );
    let (merged, _) = world.merged(&text, &[]);
    let second = format!("{NAME}-2");
    let expected = [
        (Kind::Cluster, "a".to_owned()),
        (Kind::User, second.clone()),
        (Kind::Context, second),
    ];
    assert_eq!(merged.touched, expected);
}

#[test]
fn the_current_context_changes_only_where_it_leads_nowhere() {
    let world = World::new();
    let ours = "certificate-authority-data: OUR_CA";
    let other = "certificate-authority-data: OTHER_CA, server: \"https://x:1\"";
    let cases = [
        (ours, "", "c"),
        (ours, "current-context: \"\"\n", "c"),
        (ours, "current-context: gone\n", "c"),
        (ours, "current-context: c\n", "c"),
        (ours, "current-context: ~\n", "c"),
        (other, "", NAME),
        (other, "current-context: gone\n", NAME),
        (other, "current-context: c\n", "c"),
    ];
    for (cluster, current, expected) in cases {
        let text = one(cluster, "client-certificate-data: OTHER_CERT", "") + current;
        let (merged, _) = world.merged(&text, &[]);
        assert_eq!(merged.config.current(), Some(expected), "{text}");
    }
}

#[test]
fn the_other_files_of_kubeconfig_count() {
    let world = World::new();
    let stale = one(
        "certificate-authority-data: OUR_CA",
        "client-certificate-data: OUR_OLD_CERT",
        "",
    ) + "current-context: c\n";
    // What a later file has stale, the first now has current, and the first is the one that kubectl believes.
    let (merged, after) = world.merged("kind: Config\n", &[&stale]);
    assert_eq!(merged.context, "c");
    assert_eq!(
        merged.touched,
        [(Kind::Cluster, "a".to_owned()), (Kind::User, "u".to_owned())]
    );
    assert!(
        after.get("current-context").is_none(),
        "it is said in the other file"
    );
    // A context that another file has does not lead nowhere.
    let elsewhere = one("server: \"https://x:1\"", "token: t", "").replace("name: c", "name: away");
    let (merged, _) = world.merged("current-context: away\n", &[&elsewhere]);
    assert_eq!(
        (merged.context.as_str(), merged.config.current()),
        (NAME, Some("away"))
    );
    // A name in the first file hides the same name in a later one.
    let hidden = one("certificate-authority-data: OUR_CA", "", "");
    let (merged, _) = world.merged(
        &one("certificate-authority-data: OTHER_CA", "token: t", ""),
        &[&hidden],
    );
    assert_eq!(merged.touched[0], (Kind::Cluster, NAME.to_owned()));
}

#[test]
fn the_file_keeps_the_language_that_it_is_in() {
    let world = World::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubeconfigs");
    let text = std::fs::read_to_string(folder.join("kubectl.json")).unwrap();
    let (merged, _) = world.merged(&text, &[]);
    let written = merged.config.to_text().unwrap();
    let json: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(json["users"][1]["user"]["token"], "a<b");
    let text = std::fs::read_to_string(folder.join("oidc.yaml")).unwrap();
    let written = world.merged(&text, &[]).0.config.to_text().unwrap();
    for line in [
        "      insecure-skip-tls-verify: yes\n",
        "    namespace: \"on\"\n",
        "        expiry: \"2026-01-01\"\n",
        "        refresh-token: \"0o17\"\n",
        "    version: 1.10\n",
        "    seen: 1_000\n",
        "  - 0x1F\n",
        "- name: \"123\"\n",
    ] {
        assert!(written.contains(line.trim_start()), "{line} is not in\n{written}");
    }
}
