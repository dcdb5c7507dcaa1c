//! The scripts that look at a node, on a node that is a folder.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ansible_module::Module as _;
use k3s_version::{Https, State, VersionCheck};
use serde_json::json;
use testbed::Sandbox;

const MOVED: [&str; 11] = [
    "/etc/attic",
    "/etc/default",
    "/etc/kubelet.d",
    "/etc/kubelet.yaml",
    "/etc/proxy.yaml",
    "/etc/rancher",
    "/etc/systemd",
    "/mnt/k3s",
    "/proc/sys/net",
    "/srv/k3s",
    "/var/lib/rancher",
];

/// A `k3s` whose kubeconfigs lead to one node, and whose etcd reports its version.
const K3S: &str = r#"
## k3s
#!/bin/sh
case "$*" in
--version) echo "k3s version v1.33.7+k3s1 (a562d090)";;
*/metrics*) printf 'other 1\netcd_server_version{server_version="3.5.25"} 1\n';;
*) echo '{"status": {"nodeInfo": {"kubeletVersion": "v1.33.7+k3s1"}}}';;
esac

## systemctl
#!/bin/sh

## uname
#!/bin/sh
echo N1
"#;

fn observe(node: &Sandbox) -> anyhow::Result<State> {
    let params = serde_json::from_value(json!({"version": "v1.33.7+k3s1", "timeout": 5})).unwrap();
    VersionCheck::<Https>::observe(&params, node)
}

fn node(file: &str, text: &str) -> Sandbox {
    let node = Sandbox::new(&MOVED, K3S);
    node.put(file, &node.moved(text));
    node
}

const UNIT: &str = "/etc/systemd/system/k3s.service";
const AGENT: &str = "/etc/systemd/system/k3s-agent.service";
const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

/// Paths and texts.
type Files<'a> = &'a [(&'a str, &'a str)];

fn unit(arguments: &str) -> String {
    format!("[Service]\nExecStart=/usr/local/bin/k3s {arguments}\n")
}

#[test]
fn etcd_and_the_kubelet_s_kubeconfig_are_found_wherever_k3s_keeps_its_data() {
    let attic = "server --config /etc/attic/k3s.yaml";
    let cases: [(&str, &str, &str, Files); 8] = [
        ("/var/lib/rancher/k3s", UNIT, "server", &[]),
        (
            "/srv/k3s",
            UNIT,
            "\\\n    server \\\n\t'--data-dir' \\\n\t'/srv/k3s' \\\n",
            &[],
        ),
        ("/srv/k3s", AGENT, "agent '--data-dir=/srv/k3s'", &[]),
        ("/srv/k3s", AGENT, "agent -d /srv/k3s", &[]),
        (
            "/srv/k3s",
            UNIT,
            attic,
            &[("/etc/attic/k3s.yaml", "data-dir: /srv/k3s\n")],
        ),
        (
            "/srv/k3s",
            "/etc/systemd/system/k3s-node.service",
            "agent\nEnvironmentFile=-/etc/default/%N",
            &[("/etc/default/k3s-node", "K3S_DATA_DIR='/srv/k3s'\n")],
        ),
        (
            "/srv/k3s",
            UNIT,
            "server",
            &[(CONFIG, "data-dir: \"/srv/k3s\" # on the big disk\n---\n")],
        ),
        // Named, but k3s has not been started there.
        (
            "/var/lib/rancher/k3s",
            UNIT,
            "server",
            &[(CONFIG, "data-dir: /mnt/k3s\n")],
        ),
    ];
    for (data, file, arguments, files) in cases {
        let node = node(file, &unit(arguments));
        for (path, text) in files {
            node.put(path, &node.moved(text));
        }
        node.put(&format!("{data}/agent/kubelet.kubeconfig"), "");
        node.make_folder(&format!("{data}/server/db/etcd/member/wal"));
        let seen = observe(&node).unwrap().node;
        assert_eq!(seen.data_dir.as_deref(), Some(data), "{arguments}");
        assert_eq!(seen.running.unwrap().to_string(), "v1.33.7+k3s1", "{arguments}");
        assert_eq!(
            (seen.etcd.member, seen.etcd.version.as_deref()),
            (true, Some("3.5.25")),
            "{arguments}"
        );
        assert_eq!(seen.name, "n1");
    }
}

#[test]
fn what_an_earlier_k3s_has_left_in_the_usual_folder_does_not_count() {
    let node = node(CONFIG, "data-dir: /srv/k3s\n");
    node.make_folder("/srv/k3s/agent");
    node.make_folder("/var/lib/rancher/k3s/server/db/etcd/member/wal");
    let seen = observe(&node).unwrap().node;
    assert_eq!(
        seen.silence.as_deref(),
        Some("this node has no kubeconfig of k3s")
    );
    assert!(!seen.etcd.member);
}

#[test]
fn a_k3s_that_a_shell_starts_is_refused_by_name() {
    let hidden =
        "[Service]\nExecStart=/bin/sh -c \"sleep 5; exec /usr/local/bin/k3s server --data-dir /srv/k3s\"\n";
    let error = observe(&node(UNIT, hidden)).err().unwrap().to_string();
    assert!(error.contains(UNIT) && error.contains("/bin/sh"), "{error}");
}

#[test]
fn a_value_counts_in_every_form_that_k3s_reads() {
    let cases = [
        (
            CONFIG,
            "kubelet-arg:\n  - fail-cgroupv1=false\n  - \"v=2\"\n".to_owned(),
        ),
        (CONFIG, "kubelet-arg: fail-cgroupv1=false\n".to_owned()),
        (
            CONFIG,
            "\"kubelet-arg\": [\"v=2\", '--fail-cgroupv1=false'] # ours\n".to_owned(),
        ),
        (UNIT, unit("server '--kubelet-arg' \\\n\t'fail-cgroupv1=false'")),
        (UNIT, unit("server --kubelet-arg=fail-cgroupv1=false")),
    ];
    for (file, text) in cases {
        let seen = observe(&node(file, &text)).unwrap().node;
        assert_eq!(
            seen.arguments.value("kubelet", "fail-cgroupv1"),
            Some("false"),
            "{text}"
        );
    }
    let none = "# kubelet-arg:\n#   - fail-cgroupv1=false\nnode-label:\n  - a=b\ntoken: kubelet-arg=x\n";
    let seen = observe(&node(CONFIG, none)).unwrap().node;
    assert_eq!(seen.arguments.value("kubelet", "fail-cgroupv1"), None);
}

#[test]
fn a_later_list_replaces_an_earlier_one_unless_it_adds_and_the_command_line_comes_last() {
    let node = node(
        CONFIG,
        "kubelet-arg:\n  - v=1\nkube-proxy-arg:\n  - v=1\n  - x=1\n",
    );
    let drop_in = "/etc/rancher/k3s/config.yaml.d/20-more.yaml";
    node.put(drop_in, "kubelet-arg:\n  - x=2\nkube-proxy-arg+:\n  - v=2\n");
    node.put(UNIT, &unit("server '--kubelet-arg=x=3'"));
    let arguments = observe(&node).unwrap().node.arguments;
    assert_eq!(arguments.value("kubelet", "v"), None);
    assert_eq!(arguments.value("kubelet", "x"), Some("3"));
    assert_eq!(arguments.value("kube-proxy", "v"), Some("2"));
    assert_eq!(arguments.value("kube-proxy", "x"), Some("1"));
}

#[test]
fn the_last_of_the_kubelet_s_files_says_whether_it_starts_on_cgroup_v1() {
    let drop_ins = "/srv/k3s/agent/etc/kubelet.conf.d";
    let node = node(CONFIG, "data-dir: /srv/k3s\n");
    let fails = |node: &Sandbox| observe(node).unwrap().node.kubelet_fails_on_cgroup_v1;
    node.put(
        &format!("{drop_ins}/00-k3s-defaults.conf"),
        "clusterDomain: cluster.local\n",
    );
    assert_eq!(fails(&node), None);
    node.put(
        &format!("{drop_ins}/50-a.conf"),
        "kind: KubeletConfiguration\nfailCgroupV1: true\n",
    );
    node.put(&format!("{drop_ins}/60-b.conf"), "{\"failCgroupV1\": false}\n");
    node.put(&format!("{drop_ins}/70-c.conf"), "# failCgroupV1: true\n");
    node.put(&format!("{drop_ins}/80-d.yaml"), "failCgroupV1: true\n");
    assert_eq!(fails(&node), Some(false), "another ending than .conf is not read");
}

#[test]
fn a_file_or_folder_that_an_argument_names_counts_for_its_copy() {
    let drop_ins = "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d";
    let fails = |node: &Sandbox| observe(node).unwrap().node.kubelet_fails_on_cgroup_v1;
    let by_file = node(CONFIG, "kubelet-arg:\n  - config=/etc/kubelet.yaml\n");
    by_file.put("/etc/kubelet.yaml", "failCgroupV1: false\n");
    by_file.put(&format!("{drop_ins}/10-cli-config.conf"), "failCgroupV1: true\n");
    assert_eq!(fails(&by_file), Some(false));
    let by_folder = node(CONFIG, "kubelet-arg:\n  - config-dir=/etc/kubelet.d\n");
    by_folder.put("/etc/kubelet.d/1.conf", "failCgroupV1: false\n");
    by_folder.put(
        &format!("{drop_ins}/20-cli-config-dir/1.conf"),
        "failCgroupV1: true\n",
    );
    assert_eq!(fails(&by_folder), Some(false));
    by_folder.put(CONFIG, "");
    assert_eq!(
        fails(&by_folder),
        Some(true),
        "without the argument the copy counts"
    );
}

#[test]
fn what_decides_on_kube_proxy_s_limit_is_read() {
    let config = "kube-proxy-arg:\n  - config=/etc/proxy.yaml\ndisable-kube-proxy: yes\n";
    let node = node(CONFIG, config);
    node.put(
        "/etc/proxy.yaml",
        "conntrack:\n  # maxPerCore: 7\n  maxPerCore: 0\n",
    );
    node.put("/proc/sys/net/netfilter/nf_conntrack_max", "262144\n");
    let proxy = observe(&node).unwrap().node.proxy;
    assert_eq!(
        (
            proxy.off,
            proxy.max_per_core_in_file,
            proxy.conntrack_max,
            proxy.may_set_conntrack_max
        ),
        (true, Some(0), Some(262_144), true)
    );
    for (file, text, off) in [
        (CONFIG, "disable-kube-proxy: no\n".to_owned(), false),
        (UNIT, unit("server '--disable-kube-proxy' \\\n"), true),
        (UNIT, unit("server --disable-kube-proxy=false"), false),
    ] {
        assert_eq!(
            observe(&self::node(file, &text)).unwrap().node.proxy.off,
            off,
            "{text}"
        );
    }
}

/// What a k3s says whose API is down, or that is none.
fn saying(version: &str, api: &str) -> Sandbox {
    let node = node(UNIT, &unit("server"));
    let text = format!("#!/bin/sh\ncase \"$*\" in --version) echo '{version}';; *) {api};; esac\n");
    node.put_program("bin/k3s", &text);
    node.put("/etc/rancher/k3s/k3s.yaml", "");
    node
}

#[test]
fn what_runs_is_unknown_with_a_reason_where_the_api_is_down() {
    let refused = "echo 'E1125 memcache.go:265] err' >&2; echo 'The connection to the server 127.0.0.1:6443 was refused' >&2; exit 1";
    let seen = observe(&saying("k3s version v1.33.7+k3s1 (a)", refused))
        .unwrap()
        .node;
    assert_eq!(seen.running, None);
    assert!(seen.silence.unwrap().starts_with("The connection to the server"));
}

#[test]
fn a_server_without_a_kubelet_is_silent_for_that_reason() {
    let node = saying(
        "k3s version v1.33.7+k3s1 (a)",
        "echo 'nodes \"n1\" not found' >&2; exit 1",
    );
    node.put(CONFIG, "disable-agent: yes\n");
    let seen = observe(&node).unwrap().node;
    assert!(seen.agentless);
    let silence = seen.silence.unwrap();
    assert!(silence.contains("(disable-agent)"), "{silence}");
    node.put(CONFIG, "disable-agent: no\n");
    assert!(!observe(&node).unwrap().node.agentless);
}

#[test]
fn etcd_is_asked_on_the_loopback_of_ipv6_too() {
    let node = saying(
        "k3s version v1.33.7+k3s1 (a)",
        r#"case "$*" in *"http://[::1]:2381"*) echo 'etcd_server_version{server_version="3.5.25"} 1';; *) exit 1;; esac"#,
    );
    node.make_folder("/var/lib/rancher/k3s/server/db/etcd/member/wal");
    let etcd = observe(&node).unwrap().node.etcd;
    assert_eq!((etcd.member, etcd.version.as_deref()), (true, Some("3.5.25")));
}

#[test]
fn a_program_that_is_not_k3s_is_an_error_with_its_words() {
    let error = observe(&saying("Segmentation fault", "exit 1")).err().unwrap();
    let text = format!("{error:#}");
    assert!(
        text.contains("k3s --version") && text.contains("Segmentation fault"),
        "{text}"
    );
}

/// A server on the eve of a hop: the version that runs, and what kubectl answers besides.
fn server(version: &str, answers: &str) -> Sandbox {
    let node = node(UNIT, &unit("server"));
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in\n--version) echo 'k3s version {version} (a)' ;;\n\
         *\" get --raw /api/v1/nodes/\"*) echo '{{\"status\": {{\"nodeInfo\": {{\"kubeletVersion\": \"{version}\"}}}}}}' ;;\n\
         {answers}\n*) echo 'error: asked for something else' >&2; exit 1 ;;\nesac\n"
    );
    node.put_program("bin/k3s", &text);
    node.put(KUBECONFIG, "");
    node
}

const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";

/// What was found for a rule, on the way to a version.
fn found(node: &Sandbox, to: &str, rule: &str) -> anyhow::Result<Vec<String>> {
    let params = serde_json::from_value(json!({"version": to, "timeout": 5})).unwrap();
    let mut seen = VersionCheck::<Https>::observe(&params, node)?.node;
    Ok(seen.found.remove(rule).unwrap_or_default())
}

/// Definitions of Traefik's, of which one is somebody's own, and objects of the others.
const WITH_ROUTES: &str = r#"
*" --kubeconfig "*" get customresourcedefinitions ingressroutes.traefik.containo.us "*" --ignore-not-found "*)
    [ ! -f "$SANDBOX/state/silent" ] || { echo "error: the server was unable to return a response" >&2; exit 1; }
    printf 'a.old\tkube-system\ttraefik-crd\t\nb.old\tkube-system\ttraefik-crd\t\nc.old\tmine\ttraefik-crd\t\n' ;;
*" --kubeconfig "*" get a.old,b.old --all-namespaces "*)
    echo "Warning: deprecated" >&2
    printf 'A\tdemo\tweb\t\t\nA\tkube-system\ttraefik-dashboard\tkube-system\ttraefik\nB\tdemo\tauth\tmine\ttraefik\n' ;;"#;

#[test]
fn only_objects_that_go_with_k3s_s_own_definitions_are_listed() {
    let asked = |node: &Sandbox| found(node, "v1.32.2+k3s1", "traefik_containo_us");
    let node = server("v1.31.4+k3s1", WITH_ROUTES);
    assert_eq!(asked(&node).unwrap(), ["A demo/web", "B demo/auth"]);
    node.put("state/silent", "");
    let error = format!("{:#}", asked(&node).unwrap_err());
    assert!(
        error.contains("looking for objects of the definitions of traefik-crd ended with status 1")
            && error.contains("unable to return a response"),
        "{error}"
    );
}

#[test]
fn a_server_that_writes_its_kubeconfig_elsewhere_is_asked_too() {
    let node = server("v1.31.4+k3s1", WITH_ROUTES);
    node.remove_file(KUBECONFIG);
    node.put(CONFIG, "write-kubeconfig: /etc/rancher/admin.yaml\n");
    node.put("/etc/rancher/admin.yaml", "");
    let objects = found(&node, "v1.32.2+k3s1", "traefik_containo_us").unwrap();
    assert_eq!(objects, ["A demo/web", "B demo/auth"]);
}

#[test]
fn an_agent_is_not_asked() {
    let node = server("v1.31.4+k3s1", WITH_ROUTES);
    node.remove_file(KUBECONFIG);
    node.put("/var/lib/rancher/k3s/agent/kubelet.kubeconfig", "");
    assert!(
        found(&node, "v1.32.2+k3s1", "traefik_containo_us")
            .unwrap()
            .is_empty()
    );
}

/// A cluster with the values of a chart, or without the kind.
const WITH_VALUES: &str = r#"
*" get customresourcedefinitions helmchartconfigs.helm.cattle.io "*) cat "$SANDBOX/kinds" ;;
*" get helmchartconfigs.helm.cattle.io traefik -n kube-system "*)
    [ -s "$SANDBOX/kinds" ] || { echo "error: the server doesn't have a resource type" >&2; exit 1; }
    cat "$SANDBOX/values" ;;"#;

#[test]
fn a_key_of_a_chart_s_values_is_found_unless_the_other_is_there() {
    let node = server("v1.36.1+k3s1", WITH_VALUES);
    let ask = |values: &str| {
        let object = json!({"kind": "HelmChartConfig", "spec": {"valuesContent": values}});
        node.put("values", &object.to_string());
        found(&node, "v1.37.0+k3s1", "traefik_ingress_nginx")
    };
    let kind = "customresourcedefinition.apiextensions.k8s.io/helmchartconfigs.helm.cattle.io\n";
    node.put("kinds", kind);
    let old = "providers:\n  kubernetesIngressNginx:\n    enabled: true\n";
    let one = ["HelmChartConfig kube-system/traefik"];
    assert_eq!(ask(old).unwrap(), one);
    assert_eq!(
        ask("{\"providers\": {\"kubernetesIngressNginx\": {}}}").unwrap(),
        one
    );
    for other in [
        format!("{old}  kubernetesIngressNGINX:\n    enabled: true\n"),
        "# kubernetesIngressNginx:\nports: {}\n".to_owned(),
        "note: |\n  kubernetesIngressNginx: of old\n".to_owned(),
        String::new(),
    ] {
        assert_eq!(ask(&other).unwrap(), [""; 0], "{other}");
    }
    let error = format!("{:#}", ask("password: s3cr3t\n\t- {").unwrap_err());
    assert!(
        error.contains("HelmChartConfig kube-system/traefik are not valid YAML")
            && error.contains("allow_known_bad: [traefik_ingress_nginx]")
            && !error.contains("s3cr3t"),
        "{error}"
    );
    node.put("values", "");
    assert_eq!(
        found(&node, "v1.37.0+k3s1", "traefik_ingress_nginx").unwrap(),
        [""; 0]
    );
    node.put("kinds", "");
    assert_eq!(ask(old).unwrap(), [""; 0], "k3s runs no controller of charts");
}
