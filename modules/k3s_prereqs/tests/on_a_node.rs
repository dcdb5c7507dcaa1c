//! Nodes as folders: the module's programs run unchanged, with a systemd and package managers of a few lines.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use ansible_module::{Call, params, run};
use k3s_prereqs::K3sPrereqs;
use serde_json::{Value, json};
use testbed::{Sandbox, assert_settles};

const MOVED: [&str; 14] = [
    "/etc/systemd",
    "/etc/rancher",
    "/usr/local/bin",
    "/etc/os-release",
    "/usr/lib/os-release",
    "/dev/kmsg",
    "/dev/console",
    "/run/",
    "/var/lib/rancher",
    "/var/lib/homelab-k3s",
    "/proc/sys",
    "/proc/filesystems",
    "/sys/fs/cgroup",
    "/sys/module",
];
const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
const ROCKY: &str =
    "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"10.0\"\nPRETTY_NAME=\"Rocky Linux 10.0\"\n";

fn node(os_release: &str) -> Sandbox {
    let node = Sandbox::new(&MOVED, include_str!("programs.sh"));
    for folder in [
        "etc/systemd/system",
        "run/systemd/system",
        "dev",
        "sys/fs/cgroup/cpu",
        "sys/fs/cgroup/cpuset",
        "sys/fs/cgroup/memory",
        "sys/fs/cgroup/pids",
        "var/lib/rancher",
    ] {
        node.make_folder(folder);
    }
    node.put("dev/console", "");
    node.put("usr/lib/os-release", os_release);
    node.put("proc/filesystems", "nodev\toverlay\n");
    node.put("proc/sys/net/ipv4/ip_forward", "1\n");
    node.put("proc/sys/vm/overcommit_memory", "0\n");
    node.put("proc/sys/net/bridge/bridge-nf-call-iptables", "1\n");
    node.put("proc/sys/net/netfilter/nf_conntrack_max", "1\n");
    node
}

fn answer(node: &Sandbox, options: Value) -> Value {
    let mut options = options;
    options["min_free_mb"] = json!(0);
    let call = Call::parse(options.to_string().as_bytes()).unwrap();
    run::<K3sPrereqs>(&params::<K3sPrereqs>(&call).unwrap(), &call, node).into_json()
}

#[test]
fn a_new_debian_gets_its_packages_and_dev_kmsg_and_a_second_run_changes_nothing() {
    let node = node(DEBIAN);
    let first = answer(&node, json!({"packages": ["open-iscsi"], "package_lock_wait": 7}));
    assert_eq!(
        (&first["failed"], &first["changed"]),
        (&json!(false), &json!(true)),
        "{first}"
    );
    assert_eq!(first["packages_missing"], json!(["nfs-common", "open-iscsi"]));
    assert!(first["kmsg"].as_str().unwrap().starts_with("link to "), "{first}");
    let calls = node.text("state/calls");
    assert!(
        calls.ends_with(
            "noninteractive -q -y -o DPkg::Lock::Timeout=7 -o Dpkg::Options::=--force-confold --no-install-recommends \
             install nfs-common open-iscsi\n"
        ),
        "{calls}"
    );
    let unit = node.text("etc/systemd/system/conf-kmsg.service");
    assert!(
        unit.contains("Before=k3s.service k3s-agent.service\n")
            && unit.contains("WantedBy=multi-user.target")
    );
    let second = answer(&node, json!({"packages": ["open-iscsi"]}));
    assert_eq!(
        (&second["changed"], &second["actions"]),
        (&json!(false), &json!([])),
        "{second}"
    );
}

/// All of a node that this module changes.
fn world(node: &Sandbox) -> impl PartialEq + std::fmt::Debug {
    let files = ["etc", "var"].map(|folder| node.files(folder));
    (
        files,
        node.names("dev"),
        node.names("state"),
        node.text("state/packages"),
    )
}

#[test]
fn whatever_packages_are_asked_for_a_second_run_changes_nothing() {
    for (os, nfs) in [(DEBIAN, "nfs-common"), (ROCKY, "nfs-utils")] {
        for there in ["", nfs, "open-iscsi"] {
            for (nfs_client, packages) in [
                (true, json!([])),
                (false, json!([])),
                (false, json!(["open-iscsi", nfs, "open-iscsi"])),
            ] {
                let case = format!("{there:?} is there, nfs_client {nfs_client}, packages {packages}");
                let node = node(os);
                node.put("state/packages", &format!("{there}\n"));
                let run = |check: bool| {
                    let options =
                        json!({"nfs_client": nfs_client, "packages": packages, "_ansible_check_mode": check});
                    answer(&node, options)
                };
                let first = assert_settles(&case, run, || world(&node));
                assert_eq!(
                    (&first["failed"], &first["changed"]),
                    (&json!(false), &json!(true)),
                    "{case}: {first}"
                );
            }
        }
    }
}

#[test]
fn whatever_the_service_of_dev_kmsg_is_like_a_second_run_changes_nothing() {
    let complete = node(DEBIAN);
    answer(&complete, json!({}));
    let unit = complete.text("etc/systemd/system/conf-kmsg.service");
    for text in [
        Some(unit.as_str()),
        Some("[Service]\nExecStart=/bin/true\n"),
        None,
    ] {
        for (enabled, started, linked) in [
            (true, true, true),
            (false, true, true),
            (true, false, true),
            (true, true, false),
            (false, false, false),
        ] {
            let case = format!("{text:?}, enabled {enabled}, started {started}, linked {linked}");
            let node = node(DEBIAN);
            node.put("state/packages", "nfs-common\n");
            if let Some(text) = text {
                node.put("etc/systemd/system/conf-kmsg.service", &node.moved(text));
            }
            for (note, there) in [("enabled", enabled), ("started", started)] {
                if there {
                    node.put(&format!("state/{note}"), "");
                }
            }
            if linked {
                std::os::unix::fs::symlink(node.path("dev/console"), node.path("dev/kmsg")).unwrap();
            }
            let first = assert_settles(
                &case,
                |check| answer(&node, json!({"_ansible_check_mode": check})),
                || world(&node),
            );
            assert_eq!(first["failed"], false, "{case}: {first}");
            let is_complete = text == Some(unit.as_str()) && enabled && started && linked;
            assert_eq!(first["changed"], !is_complete, "{case}: {first}");
        }
    }
}

/// What /etc/os-release of each says of itself.
fn os_release(id: &str, like: &str, version: &str) -> String {
    format!("PRETTY_NAME=\"{id} {version}\"\nID={id}\nID_LIKE=\"{like}\"\nVERSION_ID=\"{version}\"\n")
}

#[test]
fn each_distribution_gets_the_nfs_client_by_its_own_name_and_manager() {
    let (apt, dnf) = (
        "--no-install-recommends install nfs-common\n",
        "-y -q --setopt=install_weak_deps=False install nfs-utils\n",
    );
    for (id, like, version, call) in [
        ("debian", "", "12", apt),
        ("debian", "", "13", apt),
        ("ubuntu", "debian", "24.04", apt),
        ("rocky", "rhel centos fedora", "9.6", dnf),
        ("rocky", "rhel centos fedora", "10.0", dnf),
        ("almalinux", "rhel centos fedora", "9.6", dnf),
        ("ol", "fedora", "9.6", dnf),
    ] {
        let node = node(&os_release(id, like, version));
        // The right profile lets it through.
        let options = json!({"os_id": id, "os_version": version});
        let first = answer(&node, options.clone());
        assert_eq!(first["failed"], false, "{id} {version}: {first}");
        let calls = node.text("state/calls");
        assert!(calls.ends_with(call), "{id} {version}: {calls}");
        assert_eq!(answer(&node, options)["changed"], false, "{id} {version}");
    }
}

#[test]
fn a_distribution_whose_packages_are_not_known_is_refused_by_its_name() {
    for (id, like) in [("alpine", ""), ("opensuse-leap", "suse opensuse"), ("arch", "")] {
        let node = node(&os_release(id, like, "1"));
        let msg = answer(&node, json!({}))["msg"].to_string();
        assert!(msg.contains(&format!("the distribution is {id}, whose")), "{msg}");
        assert!(!node.has("state/calls") && !node.has("dev/kmsg"));
    }
}

#[test]
fn compares_each_line_of_a_profile_with_the_node_and_names_it() {
    let version = "10.0";
    let rocky = json!({"os_id": "rocky", "os_version": "10", "min_kernel": "2.6", "cgroup_version": 1});
    for (line, wrong, said) in [
        (
            "os_id",
            json!("almalinux"),
            "os_id: the distribution is rocky, and has to be almalinux",
        ),
        (
            "os_version",
            json!("9"),
            "os_version: its version is 10.0, and has to be 9",
        ),
        ("min_kernel", json!("99.1"), "and has to be 99.1 or newer"),
        (
            "cgroup_version",
            json!(2),
            "cgroup_version: the version of cgroups is 1, and has to be 2",
        ),
    ] {
        let node = node(&os_release("rocky", "rhel", version));
        let mut profile = rocky.clone();
        profile[line] = wrong;
        let msg = answer(&node, profile)["msg"].as_str().unwrap().to_owned();
        assert!(
            msg.contains(said) && msg.contains(&format!("{line}: ")) && msg.contains("(profile)"),
            "{msg}"
        );
        let others = ["os_id: ", "os_version: ", "min_kernel: ", "cgroup_version: "];
        assert_eq!(
            others.iter().filter(|other| msg.contains(**other)).count(),
            1,
            "{msg}"
        );
        assert!(!node.has("state/calls") && !node.has("dev/kmsg"));
    }
    let node = node(&os_release("rocky", "rhel", version));
    assert_eq!(answer(&node, rocky)["failed"], false);
}

#[test]
fn a_package_of_the_profile_that_is_not_to_be_had_is_named() {
    for (id, said) in [
        ("rocky", "Unable to find a match: open-iscsi"),
        ("debian", "Unable to locate package open-iscsi"),
    ] {
        let node = node(&os_release(id, "", "10"));
        node.put("state/unknown", "");
        let failed = answer(&node, json!({"packages": ["open-iscsi"]}));
        let msg = failed["msg"].as_str().unwrap();
        assert!(
            msg.contains("open-iscsi ended with status") && msg.contains(said),
            "{msg}"
        );
    }
}

#[test]
fn rocky_has_dnf() {
    let node = node(ROCKY);
    let first = answer(&node, json!({}));
    assert_eq!(first["os"]["version"], "10.0");
    assert_eq!(
        node.text("state/calls"),
        "-y -q --setopt=install_weak_deps=False install nfs-utils\n"
    );
    assert_eq!(answer(&node, json!({}))["changed"], false);
}

#[test]
fn check_mode_says_what_would_be_done_and_does_nothing() {
    let node = node(DEBIAN);
    let before = node.files("etc");
    let planned = answer(&node, json!({"_ansible_check_mode": true, "_ansible_diff": true}));
    assert_eq!(planned["actions"].as_array().unwrap().len(), 2);
    assert_eq!(planned["diff"][1]["after_header"], "conf-kmsg.service");
    assert_eq!(node.files("etc"), before);
    assert!(!node.has("state/calls") && !node.has("dev/kmsg"));
}

#[test]
fn what_is_refused_is_refused_before_any_change() {
    let node = node("ID=alpine\nVERSION_ID=3.22.1\n");
    std::fs::remove_dir(node.path("run/systemd/system")).unwrap();
    let refused = answer(&node, json!({}));
    let msg = refused["msg"].as_str().unwrap();
    assert!(
        msg.contains("the distribution is alpine") && msg.contains("its init is not systemd"),
        "{msg}"
    );
    assert!(!node.has("state/calls") && !node.has("dev/kmsg"));
    let found = answer(&node, json!({"fail_on_refusal": false}));
    assert_eq!(
        (&found["failed"], &found["changed"]),
        (&json!(false), &json!(false))
    );
    let rules: Vec<&str> = found["refusals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["rule"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["systemd", "distribution"]);
}

/// The node has cgroup v1.
#[test]
fn finds_the_kubelets_configuration_where_k3s_keeps_it() {
    let options = json!({"version": "v1.36.2+k3s1", "fail_on_refusal": false});
    let rules = |node: &Sandbox, options: Value| -> Vec<String> {
        let refusals = answer(node, options)["refusals"].as_array().unwrap().clone();
        let rule = |refusal: &Value| refusal["rule"].as_str().unwrap().to_owned();
        refusals.iter().map(rule).collect()
    };
    let in_folder = "agent/etc/kubelet.conf.d/50-mine.conf";
    let (file, other) = (
        "failCgroupV1: false\n",
        json!({"data-dir": "/var/lib/rancher/other"}),
    );
    let node = node(DEBIAN);
    assert_eq!(rules(&node, options.clone()), ["cgroup_v1"]);
    node.put(&format!("var/lib/rancher/k3s/{in_folder}"), file);
    assert_eq!(rules(&node, options.clone()), [""; 0]);
    let mut moved = options.clone();
    moved["config"] = other;
    assert_eq!(rules(&node, moved.clone()), ["cgroup_v1"]);
    node.put(&format!("var/lib/rancher/other/{in_folder}"), file);
    assert_eq!(rules(&node, moved), [""; 0]);

    let written = self::node(DEBIAN);
    written.put(
        "etc/rancher/k3s/config.yaml.d/10-mine.YAML",
        "kubelet-arg: [fail-cgroupv1=false]\n",
    );
    assert_eq!(rules(&written, options.clone()), [""; 0]);

    // Without a version it is that of the k3s which is there, by its own arguments.
    let installed = self::node(DEBIAN);
    installed.put_program(
        "usr/local/bin/k3s",
        "#!/bin/sh\necho 'k3s version v1.36.2+k3s1 (5a67e8dc)'\n",
    );
    let mut unknown = options;
    unknown["version"] = Value::Null;
    assert_eq!(rules(&installed, unknown.clone()), ["cgroup_v1"]);
    let unit = "[Service]\nExecStart=/usr/local/bin/k3s agent --kubelet-arg=fail-cgroupv1=false\n";
    installed.put("etc/systemd/system/k3s-agent.service", unit);
    assert_eq!(rules(&installed, unknown), [""; 0]);
}

#[test]
fn an_older_unit_is_replaced_and_kept() {
    let node = node(DEBIAN);
    let old = "[Service]\nExecStart=/usr/local/bin/conf-kmsg.sh\n\n";
    node.put("etc/systemd/system/conf-kmsg.service", old);
    node.put("dev/kmsg", "");
    let first = answer(&node, json!({"nfs_client": false}));
    assert_eq!(
        first["actions"],
        json!(["replace conf-kmsg.service, and enable and start it"])
    );
    assert_eq!(node.text("var/lib/homelab-k3s/conf-kmsg.service.before"), old);
}

#[test]
fn reports_unfetched_package_lists_only_for_a_missing_package() {
    let node = node(DEBIAN);
    node.put("state/offline", "");
    assert_eq!(answer(&node, json!({}))["failed"], false);
    let locked = self::node(DEBIAN);
    locked.put("state/offline", "");
    locked.put("state/locked", "");
    let failed = answer(&locked, json!({}));
    let msg = failed["msg"].as_str().unwrap();
    assert!(
        msg.contains("installing nfs-common ended with status 1")
            && msg.contains("Could not get lock")
            && msg.contains("apt-get update failed: E: no network"),
        "{msg}"
    );
}

#[test]
fn a_package_manager_that_only_says_that_it_installs_is_found_out() {
    let node = node(DEBIAN);
    node.put("state/lies", "");
    let msg = answer(&node, json!({}))["msg"].to_string();
    assert!(msg.contains("nfs-common is still not installed"), "{msg}");
}

#[test]
fn reports_a_service_that_does_not_start_with_the_error_of_systemd() {
    let node = node(DEBIAN);
    node.put("state/will-not-start", "");
    let failed = answer(&node, json!({"nfs_client": false}));
    let msg = failed["msg"].as_str().unwrap();
    assert!(
        msg.contains("starting conf-kmsg.service failed: conf-kmsg.service: failed, says systemd"),
        "{msg}"
    );
}
