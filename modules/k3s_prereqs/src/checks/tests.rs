use super::*;
use crate::samples::{CONFIG, container, params, ready};
use crate::state::{Access, Sysctl};
use serde_json::json;

/// What is not fine, as (rule, verdict, line).
fn faults(options: serde_json::Value, state: &State) -> Vec<(&'static str, Verdict, Option<String>)> {
    let checks = all(&params(options), state);
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
    let checks = all(&params(json!({"vmid": 111})), state);
    let check = checks
        .into_iter()
        .find(|check| check.rule == rule && check.verdict != Verdict::Ok);
    let check = check.unwrap_or_else(|| panic!("{rule} is fine"));
    format!("{}: {}", check.found, check.advice.unwrap_or_default())
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
        (
            "unprivileged: 1\nfeatures: nesting=1\n",
            "keyctl",
            "features: keyctl=1,nesting=1",
        ),
    ] {
        let faults = faults(json!({"vmid": 111, "nfs_client": false}), &with_config(config));
        assert_eq!(faults, [(rule, Verdict::Refused, line(wanted))], "{config}");
    }
    assert!(advice(&with_config(""), "nesting").contains(
        "give /etc/pve/lxc/111.conf on pve1 the line `features: nesting=1`, then stop and start the container"
    ));
}

#[test]
fn a_read_only_proc_sys_is_mended_by_one_line() {
    let mut state = with_config("features: nesting=1\nlxc.cgroup2.devices.allow: a\n");
    shut(&mut state, "vm/overcommit_memory", Access::ReadOnly, "0");
    let line = Some("lxc.mount.auto: proc:rw sys:rw".to_owned());
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
fn what_apparmor_denies_is_not_mended_by_a_mount() {
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
    ] {
        shut(&mut state, name, Access::ReadOnly, value);
    }
    assert_eq!(faults(json!({"vmid": 111}), &state), []);
}

#[test]
fn an_unprivileged_container_gets_its_sysctls_from_the_host() {
    let mut state = with_config("unprivileged: 1\nfeatures: keyctl=1,nesting=1\n");
    shut(&mut state, "vm/overcommit_memory", Access::ReadOnly, "0");
    shut(&mut state, "kernel/panic", Access::ReadOnly, "0");
    let told = advice(&state, "proc_sys");
    assert!(
        told.contains("set vm.overcommit_memory=1 kernel.panic=10 on pve1"),
        "{told}"
    );
    assert!(told.contains("KubeletInUserNamespace"), "{told}");
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
    state.cgroup.version = 1;
    assert_eq!(
        faults(json!({"vmid": 111}), &state),
        [("cgroup_v1", Verdict::Warning, None)]
    );
}

#[test]
fn modules_are_loaded_on_the_proxmox_host() {
    let mut state = container();
    state.kernel_parts.retain(|name| name == "overlay");
    assert!(advice(&state, "kernel").contains("on pve1: `modprobe -a br_netfilter nf_conntrack`"));
    state.config = None;
    assert_eq!(faults(json!({}), &state), [("kernel", Verdict::Warning, None)]);
}

#[test]
fn small_and_odd_disks_are_told() {
    let mut state = container();
    state.free_mb = 600;
    assert_eq!(faults(json!({"vmid": 111}), &state), []);
    assert_eq!(
        faults(json!({"vmid": 111, "min_free_mb": 601}), &state),
        [("disk", Verdict::Refused, None)]
    );
    state.disk_type = "zfs".into();
    assert_eq!(
        faults(json!({"vmid": 111}), &state),
        [("zfs", Verdict::Warning, None)]
    );
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
fn read_only_sys_and_few_devices_are_warnings() {
    let mut state = with_config("features: nesting=1\n");
    state.sys_writable = false;
    let line = Some("lxc.mount.auto: proc:rw sys:rw".to_owned());
    assert_eq!(
        faults(json!({"vmid": 111}), &state),
        [
            ("sys", Verdict::Warning, line),
            ("devices", Verdict::Warning, None)
        ]
    );
    assert!(
        advice(&state, "devices").contains("if pods need devices of the machine, give /etc/pve/lxc/111.conf")
    );
}

#[test]
fn a_distribution_or_an_init_that_is_not_known_is_refused_whatever_is_allowed() {
    let mut state = container();
    state.os.id = "alpine".into();
    state.systemd = false;
    let told = faults(json!({"vmid": 111, "allow": RULES}), &state);
    assert_eq!(
        told,
        [
            ("systemd", Verdict::Refused, None),
            ("distribution", Verdict::Refused, None)
        ]
    );
    assert!(advice(&state, "distribution").contains("the distribution is alpine"));
}

#[test]
fn an_allowed_rule_is_told_as_a_warning() {
    let mut state = container();
    state.free_mb = 1;
    assert_eq!(
        faults(json!({"vmid": 111, "allow": ["disk"]}), &state),
        [("disk", Verdict::Warning, None)]
    );
}

#[test]
fn a_profile_holds_or_is_told_what_does_not() {
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
        let checks = all(&params(options), &state);
        let told: Vec<_> = checks.iter().filter(|check| check.rule == "profile").collect();
        assert_eq!(told.len(), usize::from(!wrong.is_empty()), "{profile}");
        assert!(told.iter().all(|check| check.found.ends_with(wrong)), "{told:?}");
    }
}
