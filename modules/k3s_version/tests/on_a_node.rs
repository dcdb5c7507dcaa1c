//! The scripts that look at a node, on a node that is a folder.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use host::{Command, Host as _};
use testbed::Sandbox;

const LOOK: &str = include_str!("../src/look.sh");
const OBJECTS: &str = include_str!("../src/objects.sh");
const MOVED: [&str; 5] = [
    "/etc/",
    "/mnt/k3s",
    "/run/systemd",
    "/srv/k3s",
    "/var/lib/rancher",
];

/// A `k3s` whose kubeconfigs lead to one node, and whose etcd tells its version.
const K3S: &str = r#"
## k3s
#!/bin/sh
case "$*" in
--version) echo "k3s version v1.33.7+k3s1 (a562d090)";;
*/metrics*) echo 'etcd_server_version{server_version="3.5.25"} 1';;
*) echo '{"status": {"nodeInfo": {"kubeletVersion": "v1.33.7+k3s1"}}}';;
esac
"#;

/// What the script tells of a node, without the mark.
fn told(node: &Sandbox) -> String {
    let script = format!("set -- M k3s n1 5 yes\n{LOOK}");
    let output = node.run(&Command::new(["/bin/sh", "-s"]).stdin(script)).unwrap();
    output.text()
}

fn node(file: &str, text: &str) -> Sandbox {
    let node = Sandbox::new(&MOVED, K3S);
    node.put(file, &node.moved(text));
    node
}

const UNIT: &str = "/etc/systemd/system/k3s.service";
const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

#[test]
fn etcd_and_the_kubelet_s_kubeconfig_are_found_wherever_k3s_keeps_its_data() {
    let cases = [
        (
            "/var/lib/rancher/k3s",
            UNIT,
            "ExecStart=/usr/local/bin/k3s server\n",
        ),
        (
            "/srv/k3s",
            UNIT,
            "ExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--data-dir' \\\n\t'/srv/k3s' \\\n",
        ),
        (
            "/srv/k3s",
            UNIT,
            "ExecStart=/usr/local/bin/k3s agent '--data-dir=/srv/k3s'\n",
        ),
        (
            "/srv/k3s",
            UNIT,
            "ExecStart=/usr/local/bin/k3s agent -d /srv/k3s\n",
        ),
        (
            "/srv/k3s",
            "/etc/systemd/system/k3s-agent.service.env",
            "K3S_DATA_DIR='/srv/k3s'\n",
        ),
        ("/srv/k3s", CONFIG, "data-dir: \"/srv/k3s\" # on the big disk\n"),
        // Named, but k3s has not been started there.
        ("/var/lib/rancher/k3s", CONFIG, "data-dir: /mnt/k3s\n"),
    ];
    for (data, file, text) in cases {
        let node = node(file, text);
        node.put(&format!("{data}/agent/kubelet.kubeconfig"), "");
        node.make_folder(&format!("{data}/server/db/etcd/member/wal"));
        let told = told(&node);
        assert!(told.contains(&format!("\nM data\n{data}\n")), "{text}: {told}");
        assert!(
            told.contains("v1.33.7+k3s1\"}}}\n\nM why\n\n\nM etcd\n3.5.25\n"),
            "{text}: {told}"
        );
    }
}

#[test]
fn what_an_earlier_k3s_has_left_in_the_usual_folder_does_not_count() {
    let node = node(CONFIG, "data-dir: /srv/k3s\n");
    node.make_folder("/srv/k3s/agent");
    node.make_folder("/var/lib/rancher/k3s/server/db/etcd/member/wal");
    let told = told(&node);
    assert!(
        told.contains("M why\nthis node has no kubeconfig") && !told.contains("M etcd"),
        "{told}"
    );
}

/// Definitions of Traefik's, of which one is somebody's own, and objects of the others.
const WITH_ROUTES: &str = r#"
## k3s
#!/bin/sh
case "$*" in
*" get customresourcedefinitions a.old b.old c.old --ignore-not-found "*)
    printf 'a.old kube-system/traefik-crd\nb.old kube-system/traefik-crd\nc.old mine/traefik-crd\n';;
*" get a.old,b.old --all-namespaces "*)
    printf 'A demo/web /\nA kube-system/traefik-dashboard kube-system/traefik\nB demo/auth mine/traefik\n';;
*) exit 1;;
esac
"#;

#[test]
fn only_objects_that_go_with_k3s_s_own_definitions_are_told() {
    let node = Sandbox::new(&MOVED, WITH_ROUTES);
    let asked = |node: &Sandbox, definitions: &str| {
        let script = format!("set -- k3s 5 traefik-crd traefik {definitions}\n{OBJECTS}");
        node.run(&Command::new(["/bin/sh", "-s"]).stdin(script)).unwrap()
    };
    assert_eq!(
        asked(&node, "a.old b.old c.old").text(),
        "",
        "an agent may not ask"
    );
    node.put("/etc/rancher/k3s/k3s.yaml", "");
    assert_eq!(
        asked(&node, "a.old b.old c.old").text(),
        "A demo/web\nB demo/auth\n"
    );
    let silent = asked(&node, "d.old");
    assert_eq!(
        (silent.status, silent.text().as_str()),
        (1, ""),
        "kubectl's failure is ours"
    );
}
