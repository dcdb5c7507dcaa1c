//! The scripts that look at a node, on a node that is a folder.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use host::{Command, Host as _};
use testbed::Sandbox;

const LOOK: &str = include_str!("../src/look.sh");
const OBJECTS: &str = include_str!("../src/objects.sh");
const VALUES: &str = include_str!("../src/values.sh");
const MOVED: [&str; 5] = [
    "/etc/",
    "/mnt/k3s",
    "/proc/sys/net",
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

/// What the script says of a node.
fn look(node: &Sandbox) -> String {
    let script = format!("set -- M k3s n1 5\n{LOOK}");
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
        let answer = look(&node);
        assert!(
            answer.contains(&format!("\nM data\n{data}\n")),
            "{text}: {answer}"
        );
        assert!(
            answer.contains("v1.33.7+k3s1\"}}}\n\nM why\n\n\nM etcd\n3.5.25\n"),
            "{text}: {answer}"
        );
    }
}

#[test]
fn what_an_earlier_k3s_has_left_in_the_usual_folder_does_not_count() {
    let node = node(CONFIG, "data-dir: /srv/k3s\n");
    node.make_folder("/srv/k3s/agent");
    node.make_folder("/var/lib/rancher/k3s/server/db/etcd/member/wal");
    let answer = look(&node);
    assert!(
        answer.contains("M why\nthis node has no kubeconfig") && !answer.contains("M etcd"),
        "{answer}"
    );
}

/// One part of what the script says.
fn part(node: &Sandbox, name: &str) -> String {
    let answer = look(node);
    let (_, after) = answer.split_once(&format!("\nM {name}\n")).unwrap();
    after.split("\nM ").next().unwrap().trim().to_owned()
}

#[test]
fn arguments_are_found_in_every_form_that_k3s_reads() {
    let cases = [
        (
            CONFIG,
            "kubelet-arg:\n  - fail-cgroupv1=false\n  - \"v=2\"\n",
            "kubelet-arg fail-cgroupv1=false\nkubelet-arg v",
        ),
        (
            CONFIG,
            "kubelet-arg:\n- '--config=/etc/kubelet.yaml' # ours\n",
            "kubelet-arg config=/etc/kubelet.yaml",
        ),
        (
            CONFIG,
            "kubelet-arg: fail-cgroupv1=false\n",
            "kubelet-arg fail-cgroupv1=false",
        ),
        (
            CONFIG,
            "\"kube-apiserver-arg\": [\"feature-gates=A=true,B=false\", 'anonymous-auth=false']\n",
            "kube-apiserver-arg feature-gates=A=true,B=false\nkube-apiserver-arg anonymous-auth",
        ),
        (
            CONFIG,
            "kubelet-arg: [v=2, fail-cgroupv1=false]\n",
            "kubelet-arg v\nkubelet-arg fail-cgroupv1=false",
        ),
        (
            CONFIG,
            "# kubelet-arg:\n#   - v=2\nnode-label:\n  - a=b\ntoken: kubelet-arg=x\n",
            "",
        ),
        (
            UNIT,
            "ExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--kubelet-arg' \\\n\t'fail-cgroupv1=false' \\\n\t'--kube-proxy-arg=conntrack-max-per-core=0' \\\n",
            "kubelet-arg fail-cgroupv1=false\nkube-proxy-arg conntrack-max-per-core=0",
        ),
    ];
    for (file, text, expected) in cases {
        assert_eq!(part(&node(file, text), "arguments"), expected, "{text}");
    }
}

#[test]
fn a_later_list_replaces_an_earlier_one_unless_it_adds_and_the_command_line_comes_last() {
    let node = node(
        CONFIG,
        "kubelet-arg:\n  - config=/a\nkube-proxy-arg:\n  - config=/b\n",
    );
    let drop_in = "/etc/rancher/k3s/config.yaml.d/20-more.yaml";
    node.put(
        drop_in,
        "kubelet-arg:\n  - config=/c\nkube-proxy-arg+:\n  - config=/d\n",
    );
    node.put(
        UNIT,
        "ExecStart=/usr/local/bin/k3s server '--kubelet-arg=config=/e'\n",
    );
    assert_eq!(
        part(&node, "arguments"),
        "kubelet-arg config=/c\nkube-proxy-arg config=/b\nkube-proxy-arg config=/d\nkubelet-arg config=/e"
    );
}

#[test]
fn no_value_is_printed_that_nobody_judges() {
    let node = node(
        CONFIG,
        "token: s3cret\nkube-apiserver-arg:\n  - audit-webhook-config-file=s3cret\n",
    );
    let answer = look(&node);
    assert!(
        answer.contains("audit-webhook-config-file") && !answer.contains("s3cret"),
        "{answer}"
    );
}

#[test]
fn the_last_of_the_kubelet_s_files_says_whether_it_starts_on_cgroup_v1() {
    let drop_ins = "/srv/k3s/agent/etc/kubelet.conf.d";
    let node = node(CONFIG, "data-dir: /srv/k3s\n");
    node.put(
        &format!("{drop_ins}/00-k3s-defaults.conf"),
        "clusterDomain: cluster.local\n",
    );
    assert_eq!(part(&node, "kubelet"), "");
    node.put(
        &format!("{drop_ins}/50-a.conf"),
        "kind: KubeletConfiguration\nfailCgroupV1: true\n",
    );
    node.put(&format!("{drop_ins}/60-b.conf"), "{\"failCgroupV1\": false}\n");
    node.put(&format!("{drop_ins}/70-c.conf"), "# failCgroupV1: true\n");
    node.put(&format!("{drop_ins}/80-d.yaml"), "failCgroupV1: true\n");
    assert_eq!(
        part(&node, "kubelet"),
        "false",
        "another ending than .conf is not read"
    );
}

#[test]
fn a_file_or_folder_that_an_argument_names_counts_for_its_copy() {
    let drop_ins = "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d";
    let by_file = node(CONFIG, "kubelet-arg:\n  - config=/etc/kubelet.yaml\n");
    by_file.put("/etc/kubelet.yaml", "failCgroupV1: false\n");
    by_file.put(&format!("{drop_ins}/10-cli-config.conf"), "failCgroupV1: true\n");
    assert_eq!(part(&by_file, "kubelet"), "false");
    let by_folder = node(CONFIG, "kubelet-arg:\n  - config-dir=/etc/kubelet.d\n");
    by_folder.put("/etc/kubelet.d/1.conf", "failCgroupV1: false\n");
    by_folder.put(
        &format!("{drop_ins}/20-cli-config-dir/1.conf"),
        "failCgroupV1: true\n",
    );
    assert_eq!(part(&by_folder, "kubelet"), "false");
    by_folder.put(CONFIG, "");
    assert_eq!(
        part(&by_folder, "kubelet"),
        "true",
        "without the argument the copy counts"
    );
}

#[test]
fn what_decides_on_kube_proxy_s_limit_is_read() {
    let config = "kube-proxy-arg:\n  - config=/etc/proxy.yaml\ndisable-kube-proxy: true\n";
    let node = node(CONFIG, config);
    node.put(
        "/etc/proxy.yaml",
        "conntrack:\n  # maxPerCore: 7\n  maxPerCore: 0\n",
    );
    node.put("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n");
    assert_eq!(
        part(&node, "kube-proxy"),
        "off\nmax-per-core 0\nnf_conntrack_max 262144\nwritable"
    );
    for (file, text, off) in [
        (CONFIG, "disable-kube-proxy: false\n", false),
        (
            UNIT,
            "ExecStart=/usr/local/bin/k3s server '--disable-kube-proxy' \\\n",
            true,
        ),
        (
            UNIT,
            "ExecStart=/usr/local/bin/k3s server --disable-kube-proxy=false\n",
            false,
        ),
        (
            UNIT,
            "ExecStart=/usr/local/bin/k3s server --disable-kube-proxy\n",
            true,
        ),
    ] {
        assert_eq!(
            part(&self::node(file, text), "kube-proxy") == "off",
            off,
            "{text}"
        );
    }
}

/// Definitions of Traefik's, of which one is somebody's own, and objects of the others.
const WITH_ROUTES: &str = r#"
## k3s
#!/bin/sh
case "$*" in
*" get customresourcedefinitions a.old b.old c.old --ignore-not-found "*)
    printf 'a.old kube-system/traefik-crd \nb.old kube-system/traefik-crd \nc.old mine/traefik-crd \n';;
*" get customresourcedefinitions k.old --ignore-not-found "*) echo 'k.old kube-system/traefik-crd keep';;
*" get a.old,b.old --all-namespaces "*)
    printf 'A demo/web /\nA kube-system/traefik-dashboard kube-system/traefik\nB demo/auth mine/traefik\n';;
*) exit 1;;
esac
"#;

#[test]
fn only_objects_that_go_with_k3s_s_own_definitions_are_listed() {
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
    assert_eq!(asked(&node, "k.old").text(), "", "Helm keeps it");
    let silent = asked(&node, "d.old");
    assert_eq!(
        (silent.status, silent.text().as_str()),
        (1, ""),
        "kubectl's failure is ours"
    );
}

/// A cluster with the values of a chart, or without the kind.
const WITH_VALUES: &str = r#"
## k3s
#!/bin/sh
case "$*" in
*" get customresourcedefinitions "*) cat "$SANDBOX/kinds";;
*" get helmchartconfigs.helm.cattle.io traefik --namespace kube-system "*) cat "$SANDBOX/values";;
*) exit 1;;
esac
"#;

#[test]
fn a_key_of_a_chart_s_values_is_found_unless_the_other_is_there() {
    let node = Sandbox::new(&MOVED, WITH_VALUES);
    let asked = |values: &str| {
        node.put("values", values);
        let script = format!("set -- k3s 5 traefik oldName newName\n{VALUES}");
        let output = node.run(&Command::new(["/bin/sh", "-s"]).stdin(script)).unwrap();
        assert_eq!(output.status, 0, "{output:?}");
        output.text()
    };
    node.put(
        "kinds",
        "customresourcedefinition/helmchartconfigs.helm.cattle.io\n",
    );
    let old = "providers:\n  oldName:\n    enabled: true\n";
    assert_eq!(asked(old), "", "an agent may not ask");
    node.put("/etc/rancher/k3s/k3s.yaml", "");
    assert_eq!(asked(old), "HelmChartConfig kube-system/traefik\n");
    assert_eq!(
        asked("{\"providers\": {\"oldName\": {}}}"),
        "HelmChartConfig kube-system/traefik\n"
    );
    assert_eq!(asked(&format!("{old}  newName:\n    enabled: true\n")), "");
    assert_eq!(asked("# oldName:\nports: {}\n"), "");
    assert_eq!(asked(""), "", "there is none");
    node.put("kinds", "");
    assert_eq!(asked(old), "", "k3s runs no controller of charts");
}
