use super::*;
use crate::params::RULES;
use crate::samples::{CONFIG, container, params, ready};
use crate::state::{Access, Sysctl};
use serde_json::json;

fn checks(options: serde_json::Value, state: &State) -> Vec<Check> {
    let params = params(options);
    all(&params, state, &Names::of(&params, state))
}

/// What is not fine, as (rule, verdict, line).
fn faults(options: serde_json::Value, state: &State) -> Vec<(&'static str, Verdict, Option<String>)> {
    let checks = checks(options, state);
    let faults = checks.into_iter().filter(|check| check.verdict != Verdict::Ok);
    faults
        .map(|check| (check.rule, check.verdict, check.config_line))
        .collect()
}

fn with_config(text: &str) -> State {
    State {
        config: Some(Config::parse(text)),
        ..container()
    }
}

fn advice(state: &State, rule: &str) -> String {
    advice_for(json!({"vmid": 111}), state, rule)
}

fn advice_for(options: serde_json::Value, state: &State, rule: &str) -> String {
    let check = checks(options, state)
        .into_iter()
        .find(|check| check.rule == rule && check.verdict != Verdict::Ok);
    let check = check.unwrap_or_else(|| panic!("{rule} is fine"));
    format!("{}: {}", check.evidence, check.next.unwrap_or_default())
}

fn shut(state: &mut State, name: &str, access: Access, value: &str) {
    let value = value.to_owned();
    state.sysctls.insert(name.to_owned(), Sysctl { access, value });
}

#[test]
fn a_container_with_the_lines_that_k3s_needs_is_fine() {
    assert_eq!(faults(json!({"vmid": 111}), &container()), []);
    assert_eq!(faults(json!({"vmid": 111}), &ready()), []);
}

#[test]
fn the_missing_feature_is_named_with_those_that_are_there() {
    let line = |text: &str| Some(text.to_owned());
    for (config, rule, wanted) in [
        ("lxc.cgroup2.devices.allow: a\n", "nesting", "features: nesting=1"),
        (
            "features: fuse=1\nlxc.cgroup2.devices.allow: a\n",
            "nesting",
            "features: fuse=1,nesting=1",
        ),
        (
            "features: nesting=0\nlxc.cgroup2.devices.allow: a\n",
            "nesting",
            "features: nesting=1",
        ),
        // There the kernel itself wants it, whatever AppArmor does.
        (
            "unprivileged: 1\nfeatures: keyctl=1\nlxc.apparmor.profile: unconfined\n",
            "nesting",
            "features: keyctl=1,nesting=1",
        ),
    ] {
        let faults = faults(json!({"vmid": 111, "nfs_client": false}), &with_config(config));
        assert_eq!(faults, [(rule, Verdict::Refused, line(wanted))], "{config}");
    }
    let unprivileged = with_config("unprivileged: 1\nfeatures: nesting=1\n");
    assert_eq!(
        faults(json!({"vmid": 111, "nfs_client": false}), &unprivileged),
        []
    );
    let unconfined = with_config("lxc.apparmor.profile: unconfined\nlxc.cgroup2.devices.allow: a\n");
    assert_eq!(faults(json!({"vmid": 111}), &unconfined), []);
    let generated = |allow: &str| {
        let more = "unprivileged: 1\nlxc.apparmor.profile: generated\n";
        with_config(&format!("{more}lxc.apparmor.allow_nesting: {allow}\n"))
    };
    assert_eq!(
        faults(json!({"vmid": 111, "nfs_client": false}), &generated("1")),
        []
    );
    assert_eq!(
        faults(json!({"vmid": 111, "nfs_client": false}), &generated("0")).len(),
        1
    );
    assert!(advice(&with_config(""), "nesting").contains(
        "give /etc/pve/lxc/111.conf on pve1 the line `features: nesting=1`, then stop and start the container"
    ));
}

#[test]
fn advises_one_line_for_a_read_only_proc_sys() {
    let mut state = with_config("features: nesting=1\nlxc.cgroup2.devices.allow: a\n");
    shut(&mut state, "vm/overcommit_memory", Access::ReadOnly, "0");
    let line = Some("lxc.mount.auto: proc:rw".to_owned());
    assert_eq!(
        faults(json!({"vmid": 111}), &state),
        [("proc_sys", Verdict::Refused, line)]
    );
    assert!(advice(&state, "proc_sys").contains("vm.overcommit_memory is 0 and has to become 1"));
}

#[test]
fn a_line_that_is_there_and_not_in_effect_asks_for_a_restart() {
    let mut state = container();
    shut(&mut state, "kernel/panic", Access::ReadOnly, "0");
    assert_eq!(
        faults(json!({"vmid": 111}), &state),
        [("proc_sys", Verdict::Refused, None)]
    );
    assert!(advice(&state, "proc_sys").contains("is not in effect: stop and start the container"));
}

#[test]
fn advises_no_mount_for_what_apparmor_denies() {
    let mut state = with_config(
        "features: nesting=1\nlxc.cgroup2.devices.allow: a\nlxc.mount.auto: \"proc:rw sys:rw\"\n",
    );
    shut(&mut state, "vm/overcommit_memory", Access::Denied, "0");
    let line = Some("lxc.apparmor.profile: unconfined".to_owned());
    assert_eq!(
        faults(json!({"vmid": 111}), &state),
        [("proc_sys", Verdict::Refused, line)]
    );
}

#[test]
fn what_is_so_already_need_not_be_set() {
    let mut state = container();
    for (name, value) in [
        ("vm/overcommit_memory", "1"),
        ("kernel/panic", "10"),
        ("kernel/panic_on_oops", "1"),
        ("vm/panic_on_oom", "0"),
        ("kernel/keys/root_maxkeys", "1000000"),
        ("kernel/keys/root_maxbytes", "25000000"),
    ] {
        shut(&mut state, name, Access::ReadOnly, value);
    }
    assert_eq!(faults(json!({"vmid": 111}), &state), []);
}

#[test]
fn each_value_that_the_kubelet_sets_has_to_be_exactly_that() {
    for (name, value, wanted) in [
        ("vm/overcommit_memory", "2", "has to become 1"),
        ("vm/panic_on_oom", "1", "has to become 0"),
        ("kernel/panic", "0", "has to become 10"),
        ("kernel/panic_on_oops", "0", "has to become 1"),
        // More than it wants is not what it wants.
        ("kernel/keys/root_maxkeys", "2000000", "has to become 1000000"),
        ("kernel/keys/root_maxbytes", "1", "has to become 25000000"),
        ("net/ipv4/ip_forward", "0", "has to become 1"),
    ] {
        let mut state = container();
        shut(&mut state, name, Access::ReadOnly, value);
        let advice = advice(&state, "proc_sys");
        assert!(
            advice.contains(&format!("{} is {value} and {wanted}", name.replace('/', "."))),
            "{advice}"
        );
    }
}

/// An unprivileged container in which the kubelet can set nothing and cannot open the kernel's messages.
fn unprivileged() -> State {
    let mut state = with_config("unprivileged: 1\nfeatures: nesting=1\n");
    shut(&mut state, "vm/overcommit_memory", Access::ReadOnly, "0");
    state.kmsg.kind = Some("device".into());
    state
}

#[test]
fn a_kubelet_of_1_37_goes_on_in_a_user_namespace_where_it_may_set_nothing() {
    let rules = |version: Option<&str>, state: &State| -> Vec<&str> {
        let options = json!({"vmid": 111, "nfs_client": false, "version": version});
        faults(options, state)
            .into_iter()
            .map(|(rule, ..)| rule)
            .collect()
    };
    let state = unprivileged();
    for version in [None, Some("v1.36.9+k3s1")] {
        assert_eq!(rules(version, &state), ["proc_sys", "kmsg"], "{version:?}");
    }
    assert_eq!(rules(Some("v1.37.0+k3s1"), &state), [""; 0]);
    // What is installed counts where nothing else is to be.
    let installed = State {
        k3s: Some("v1.37.0+k3s1".parse().unwrap()),
        ..unprivileged()
    };
    assert_eq!(rules(None, &installed), [""; 0]);
    // By hand it can be had before, and given up after.
    let mut reported = unprivileged();
    reported.kubelet.in_user_namespace = Some(true);
    assert_eq!(rules(Some("v1.33.1+k3s1"), &reported), [""; 0]);
    reported.kubelet.in_user_namespace = Some(false);
    assert_eq!(rules(Some("v1.37.0+k3s1"), &reported), ["proc_sys", "kmsg"]);
    // It says nothing of what k3s sets itself, nor of a container that is not in a user namespace.
    let mut closed = unprivileged();
    shut(&mut closed, "net/ipv4/ip_forward", Access::ReadOnly, "0");
    assert_eq!(rules(Some("v1.37.0+k3s1"), &closed), ["proc_sys"]);
    let mut privileged = container();
    shut(&mut privileged, "vm/overcommit_memory", Access::ReadOnly, "0");
    assert_eq!(rules(Some("v1.37.0+k3s1"), &privileged), ["proc_sys"]);
}

#[test]
fn an_unprivileged_container_gets_its_sysctls_from_the_host() {
    let mut state = with_config("unprivileged: 1\nfeatures: keyctl=1,nesting=1\n");
    shut(&mut state, "vm/overcommit_memory", Access::ReadOnly, "0");
    shut(&mut state, "kernel/panic", Access::ReadOnly, "0");
    let reported = advice(&state, "proc_sys");
    assert!(
        reported.contains("set vm.overcommit_memory=1 kernel.panic=10 on pve1"),
        "{reported}"
    );
    assert!(
        reported.contains(
            "kubelet-arg: [feature-gates=KubeletInUserNamespace=true], which k3s from v1.37 on does not need"
        ),
        "{reported}"
    );
    assert!(advice(&state, "nfs").contains("mounts no NFS"));
}

#[test]
fn cgroups_have_to_be_delegated_and_complete() {
    let mut state = with_config(CONFIG);
    state.cgroup.writable = false;
    let line = Some("lxc.mount.auto: cgroup:rw".to_owned());
    assert_eq!(
        faults(json!({"vmid": 111}), &state),
        [("cgroup", Verdict::Refused, line)]
    );
    state.cgroup.controllers = vec!["io".into(), "pids".into()];
    assert!(advice(&state, "cgroup").contains("the cgroup controllers cpu, cpuset, memory are not there"));
    state.cgroup = container().cgroup;
}

#[test]
fn refuses_cgroup_v1_from_1_35_on_unless_allowed() {
    let mut state = with_config(CONFIG);
    state.cgroup.version = 1;
    let verdict = |version: Option<&str>, state: &State| {
        let faults = faults(json!({"vmid": 111, "version": version}), state);
        faults.first().map(|(rule, verdict, _)| (*rule, *verdict))
    };
    for version in [None, Some("v1.34.9+k3s1")] {
        assert_eq!(
            verdict(version, &state),
            Some(("cgroup_v1", Verdict::Warning)),
            "{version:?}"
        );
    }
    assert_eq!(
        verdict(Some("v1.35.0+k3s1"), &state),
        Some(("cgroup_v1", Verdict::Refused))
    );
    let reported = advice_for(
        json!({"vmid": 111, "version": "v1.36.2+k3s1"}),
        &state,
        "cgroup_v1",
    );
    assert!(
        reported.contains("the kubelet of k3s v1.36.2+k3s1 does not start: boot pve1 with cgroup v2, or give k3s kubelet-arg: [fail-cgroupv1=false]"),
        "{reported}"
    );
    let allowed = json!({"vmid": 111, "version": "v1.35.0+k3s1", "allow": ["cgroup_v1"]});
    assert_eq!(faults(allowed, &state)[0].1, Verdict::Warning);
    state.kubelet.fails_on_cgroup_v1 = Some(false);
    assert_eq!(verdict(Some("v1.35.0+k3s1"), &state), None);
    state.kubelet.fails_on_cgroup_v1 = Some(true);
    assert_eq!(
        verdict(Some("v1.35.0+k3s1"), &state),
        Some(("cgroup_v1", Verdict::Refused))
    );
}

#[test]
fn what_nothing_loads_by_itself_is_refused_and_the_rest_is_a_warning() {
    let mut state = container();
    state.kernel_parts.clear();
    let reported = [
        ("kernel", Verdict::Refused, None),
        ("modules", Verdict::Warning, None),
    ];
    assert_eq!(faults(json!({"vmid": 111}), &state), reported);
    assert!(advice(&state, "kernel").contains("on pve1: `modprobe -a br_netfilter`"));
    assert!(advice(&state, "modules").contains("on pve1: `modprobe -a overlay nf_conntrack`"));
    state.config = None;
    assert_eq!(faults(json!({}), &state)[0], ("kernel", Verdict::Warning, None));
}

#[test]
fn reports_small_and_unsuitable_disks() {
    let mut state = container();
    state.free_mb = 600;
    assert_eq!(faults(json!({"vmid": 111}), &state), []);
    assert_eq!(
        faults(json!({"vmid": 111, "min_free_mb": 601}), &state),
        [("disk", Verdict::Refused, None)]
    );
    state.disk_type = "zfs".into();
    for version in [None, Some("2.1.15-pve1")] {
        state.zfs_version = version.map(str::to_owned);
        assert_eq!(
            faults(json!({"vmid": 111}), &state),
            [("zfs", Verdict::Warning, None)],
            "{version:?}"
        );
    }
    for version in ["2.2.0-pve1", "2.3.4-pve1", "10.0"] {
        state.zfs_version = Some(version.to_owned());
        assert_eq!(faults(json!({"vmid": 111}), &state), [], "{version}");
    }
}

#[test]
fn a_kmsg_of_the_kernel_s_that_cannot_be_opened_is_refused() {
    let mut state = container();
    state.kmsg.kind = Some("device".into());
    assert_eq!(
        faults(json!({"vmid": 111}), &state),
        [("kmsg", Verdict::Refused, None)]
    );
}

#[test]
fn few_devices_are_a_warning() {
    let state = with_config("features: nesting=1\n");
    assert_eq!(
        faults(json!({"vmid": 111}), &state),
        [("devices", Verdict::Warning, None)]
    );
    assert!(
        advice(&state, "devices").contains("if pods need devices of the machine, give /etc/pve/lxc/111.conf")
    );
}

#[test]
fn the_same_fault_of_two_nodes_reads_the_same() {
    let general = |vmid: u32, host: &str| {
        let state = State {
            location: format!("container {vmid} on {host}"),
            outside: host.to_owned(),
            kernel_parts: Vec::new(),
            ..with_config("")
        };
        all(&params(json!({"vmid": vmid})), &state, &Names::general(&state))
    };
    let checks = general(111, "pve1");
    assert_eq!(checks, general(112, "pve2"));
    let nesting = checks.iter().find(|check| check.rule == "nesting").unwrap();
    assert!(
        nesting.next.as_ref().unwrap().starts_with(
            "give the container's configuration (/etc/pve/lxc/<pct_id>.conf) the line `features: nesting=1`"
        ),
        "{nesting:?}"
    );
}

#[test]
fn a_distribution_or_an_init_that_is_not_known_is_refused_whatever_is_allowed() {
    let mut state = container();
    state.os.id = "alpine".into();
    state.systemd = false;
    let reported = faults(json!({"vmid": 111, "allow": RULES}), &state);
    assert_eq!(
        reported,
        [
            ("systemd", Verdict::Refused, None),
            ("distribution", Verdict::Refused, None)
        ]
    );
    assert!(advice(&state, "distribution").contains("the distribution is alpine"));
}

#[test]
fn reports_an_allowed_rule_as_a_warning() {
    let mut state = container();
    state.free_mb = 1;
    assert_eq!(
        faults(json!({"vmid": 111, "allow": ["disk"]}), &state),
        [("disk", Verdict::Warning, None)]
    );
}

#[test]
fn reports_what_a_profile_lacks() {
    let mut state = container();
    state.os.id = "rocky".into();
    state.os.version = "10.0".into();
    for (profile, wrong) in [
        (
            json!({"os_id": "rocky", "os_version": "10", "min_kernel": "6.8", "cgroup_version": 2}),
            "",
        ),
        (json!({"min_kernel": "6.8.12"}), ""),
        (
            json!({"os_id": "debian"}),
            "the distribution is rocky, and has to be debian",
        ),
        (json!({"os_version": "1"}), "its version is 10.0, and has to be 1"),
        (
            json!({"os_version": "10.1"}),
            "its version is 10.0, and has to be 10.1",
        ),
        (
            json!({"min_kernel": "6.12"}),
            "the kernel is 6.8.12-4-pve, and has to be 6.12 or newer",
        ),
        (
            json!({"cgroup_version": 1}),
            "the version of cgroups is 2, and has to be 1",
        ),
    ] {
        let mut options = profile.clone();
        options["vmid"] = json!(111);
        let checks = checks(options, &state);
        let reported: Vec<_> = checks.iter().filter(|check| check.rule == "profile").collect();
        assert_eq!(reported.len(), usize::from(!wrong.is_empty()), "{profile}");
        assert!(
            reported.iter().all(|check| check.evidence.ends_with(wrong)),
            "{reported:?}"
        );
    }
}
