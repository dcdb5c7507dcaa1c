//! A node as a folder, on which the module's programs run unchanged, with processes that look like those of pods.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and is the outside world"
)]

use ansible_module::{Call, params, run};
use k3s_service::K3sService;
use serde_json::{Value, json};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use testbed::{Sandbox, assert_settles};

const MOVED: [&str; 5] = [
    "/etc/systemd",
    "/etc/rancher",
    "/usr/local/bin",
    "/var/lib/rancher",
    "/run/",
];

/// This machine may run a k3s with pods of its own: of all processes only those of the test say what they are.
const PROGRAMS: &str = r#"
## tr
#!/bin/sh
line=$(/usr/bin/tr "$@")
case $line in *"$SANDBOX"*) echo "$line" ;; esac

## systemctl
#!/bin/sh
command=$1
shift
[ "$1" != --no-block ] || shift
case $command in
disable) rm -f "$SANDBOX/state/$1.enabled" ;;
stop) rm -f "$SANDBOX/state/$1.started" ;;
show)
    while [ "$1" = -p ]; do shift 2; done
    for unit; do
        echo "Id=$unit"
        if [ -f "$SANDBOX/etc/systemd/system/$unit" ]; then echo "LoadState=loaded"; else echo "LoadState=not-found"; fi
        if [ -f "$SANDBOX/state/$unit.started" ]; then echo "ActiveState=active"; else echo "ActiveState=inactive"; fi
        if [ -f "$SANDBOX/state/$unit.enabled" ]; then echo "UnitFileState=enabled"; else echo "UnitFileState=disabled"; fi
        echo
    done
    ;;
esac
"#;

/// What a playbook that many homelabs are made with writes, without an environment file.
const WORKER: &str = "[Service]\nType=notify\nExecStart=/usr/local/bin/k3s agent --server https://10.99.0.101:6443 --token ab%%cd\nKillMode=process\n";
const SERVER: &str = "[Service]\nType=notify\nExecStart=/usr/local/bin/k3s server\nKillMode=process\n";
const SHUTDOWN: &str =
    "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStop=/usr/local/bin/k3s-killall.sh\n";

/// A worker that runs in the unit of this name.
fn node(unit: &str) -> Sandbox {
    let node = Sandbox::new(&MOVED, PROGRAMS);
    node.make_folder("run/systemd/system");
    node.make_folder("usr/local/bin");
    put_unit(&node, unit, WORKER);
    node
}

fn put_unit(node: &Sandbox, unit: &str, text: &str) {
    node.put(&format!("etc/systemd/system/{unit}"), &node.moved(text));
    node.put(&format!("state/{unit}.enabled"), "");
    node.put(&format!("state/{unit}.started"), "");
}

/// What a pod leaves running, as far as its name goes.
fn pod(node: &Sandbox, data_dir: &str) -> Child {
    let name = node.moved(&format!("{data_dir}/data/1a2b/bin/containerd-shim-runc-v2"));
    Command::new("/bin/sleep").arg0(name).arg("600").spawn().unwrap()
}

fn end(mut pod: Child) {
    pod.kill().unwrap();
    pod.wait().unwrap();
}

/// Puts the script that ends this pod there, and reaps it when it is ended. The script waits for that: the module's time is not
/// the machine's.
fn killall(node: &Sandbox, data_dir: &str, mut pod: Child) -> std::thread::JoinHandle<()> {
    let script = format!(
        "#!/bin/sh\n[ \"$K3S_DATA_DIR\" = '{}' ] && kill -9 {1} && while kill -0 {1} 2>/dev/null; do sleep 0.01; done\n",
        node.moved(data_dir),
        pod.id()
    );
    node.put_program("usr/local/bin/k3s-killall.sh", &script);
    std::thread::spawn(move || drop(pod.wait()))
}

fn answer(node: &Sandbox, options: &Value) -> Value {
    let call = Call::parse(options.to_string().as_bytes()).unwrap();
    run::<K3sService>(&params::<K3sService>(&call).unwrap(), &call, node).into_json()
}

fn taken_out(node: &Sandbox, data_dir: &str, options: &Value, unit: &str) {
    let reaped = killall(node, data_dir, pod(node, data_dir));
    let done = answer(node, options);
    assert_eq!(
        (&done["failed"], &done["changed"]),
        (&json!(false), &json!(true)),
        "{done}"
    );
    reaped.join().unwrap();
    assert_eq!(
        (&done["unit"], &done["active"], &done["enabled"], &done["pods"]),
        (&json!(unit), &json!(false), &json!(false), &json!(0))
    );
    let again = answer(node, options);
    assert_eq!(
        (&again["changed"], &again["actions"]),
        (&json!(false), &json!([])),
        "{again}"
    );
}

const DATA: &str = "/var/lib/rancher/k3s";

#[test]
fn the_pods_that_are_left_running_are_seen_and_ended() {
    taken_out(&node("k3s-agent.service"), DATA, &json!({}), "k3s-agent");
}

#[test]
fn a_worker_in_a_unit_of_another_name_is_taken_out_of_service_too() {
    let node = node("k3s-node.service");
    put_unit(&node, "k3s-shutdown.service", SHUTDOWN);
    taken_out(&node, DATA, &json!({"unit": "k3s-agent"}), "k3s-node");
    // It does not run k3s, and stays unchanged.
    assert!(node.has("state/k3s-shutdown.service.started") && node.has("state/k3s-shutdown.service.enabled"));
}

#[test]
fn the_data_folder_is_the_one_that_k3s_has() {
    let elsewhere = "/var/lib/rancher/a b";
    let node = node("k3s-agent.service");
    let config = node.moved(&format!("data-dir: {elsewhere}\n"));
    node.put("etc/rancher/k3s/config.yaml", &config);
    taken_out(&node, elsewhere, &json!({}), "k3s-agent");
}

#[test]
fn whatever_stood_there_a_second_run_changes_nothing() {
    for (unit, asked) in [
        ("k3s.service", "k3s"),
        ("k3s-agent.service", "k3s-agent"),
        ("k3s-node.service", "k3s-agent"),
    ] {
        for (started, enabled) in [(true, true), (true, false), (false, true), (false, false)] {
            for (disabled, pods) in [(true, "ended"), (true, "left"), (false, "ended"), (false, "left")] {
                let case =
                    format!("{unit}, started {started}, enabled {enabled}, disabled {disabled}, pods {pods}");
                let node = node(unit);
                if unit == "k3s.service" {
                    node.put("etc/systemd/system/k3s.service", &node.moved(SERVER));
                }
                for (note, there) in [("started", started), ("enabled", enabled)] {
                    if !there {
                        node.remove_file(&format!("state/{unit}.{note}"));
                    }
                }
                node.put_program("usr/local/bin/k3s-killall.sh", "#!/bin/sh\n");
                let run = |check: bool| {
                    let options = json!({"unit": asked, "disabled": disabled, "pods": pods, "_ansible_check_mode": check});
                    answer(&node, &options)
                };
                let first = assert_settles(&case, run, || node.names("state"));
                assert_eq!(first["failed"], false, "{case}: {first}");
                assert_eq!(
                    first["changed"],
                    started || (enabled && disabled),
                    "{case}: {first}"
                );
            }
        }
    }
}

#[test]
fn a_k3s_that_a_shell_starts_under_another_name_is_named() {
    let node = node("k3s-agent.service");
    let wrapped = "[Service]\nExecStart=/bin/sh -c 'sleep 5; exec k3s agent'\n";
    put_unit(&node, "late.service", wrapped);
    let refused = answer(&node, &json!({"unit": "k3s-agent"}));
    let said = refused["msg"].as_str().unwrap();
    assert!(said.contains("`systemctl disable --now late.service`"), "{said}");
    assert!(node.has("state/k3s-agent.service.started"));
}

#[test]
fn nothing_is_touched_where_the_pods_could_not_be_ended() {
    let node = node("k3s-agent.service");
    let pod = pod(&node, DATA);
    let refused = answer(&node, &json!({}));
    let left = answer(&node, &json!({"pods": "left"}));
    end(pod);
    let said = refused["msg"].as_str().unwrap();
    assert!(
        said.contains("k3s-killall.sh, which ends them, is not there"),
        "{said}"
    );
    assert_eq!(refused["changed"], false);
    assert_eq!(
        (&left["failed"], &left["pods"]),
        (&json!(false), &json!(1)),
        "{left}"
    );
}

#[test]
fn a_pod_of_another_data_folder_is_seen_by_its_socket() {
    let node = node("k3s-agent.service");
    let mut shell = Command::new("/bin/sh");
    shell.arg0("/srv/elsewhere/bin/containerd-shim-runc-v2");
    let socket = node.moved("/run/k3s/containerd/containerd.sock");
    shell.args(["-c", "read -r wait", "sh", "-address", &socket]);
    let pod = shell.stdin(Stdio::piped()).spawn().unwrap();
    let answer = answer(&node, &json!({"pods": "left", "disabled": false}));
    end(pod);
    assert_eq!(answer["pods"], 1, "{answer}");
}
