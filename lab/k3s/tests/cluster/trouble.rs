//! Pods that do wrong, and what the API and kubectl say of them.

use crate::lab::{DEMO, Lab, VERSION};
use serde_json::Value;

fn pod(name: &str, annotations: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: demo, annotations: {{{annotations}}}}}\nspec: \
         {{containers: [{{name: c, image: x}}]{spec}}}\n---\n"
    )
}

fn deployment(name: &str, annotations: &str, containers: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: demo}}\nspec:\n  selector: \
         {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}, annotations: \
         {{{annotations}}}}}\n    spec: {{containers: [{containers}]}}\n---\n"
    )
}

impl Lab {
    fn json(&self, what: &str) -> Value {
        serde_json::from_str(&self.get(&format!("{what} -n demo -o json"))).unwrap()
    }

    /// Waits until a pointer into an object has a text or number.
    fn wait_for_value(&self, what: &str, pointer: &str, wanted: &str) -> Value {
        let mut found = Value::Null;
        self.wait_for(&format!("{what} {pointer} = {wanted}"), || {
            found = self.json(what);
            match found.pointer(pointer) {
                Some(Value::String(text)) => text == wanted,
                Some(other) => *other == wanted.parse::<i64>().unwrap_or_default(),
                None => false,
            }
        });
        found
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    let all = object["status"]["conditions"].as_array().unwrap();
    all.iter().find(|condition| condition["type"] == kind).unwrap()
}

const WAITING: &str = "/status/containerStatuses/0/state/waiting/reason";

#[test]
fn a_crash_loop_is_inside_a_running_pod_and_ends_with_its_annotation() {
    let lab = Lab::start(VERSION, 1);
    lab.apply(
        &[
            DEMO,
            &deployment("web", "lab/fails: crash", "{name: c, image: x}"),
        ]
        .concat(),
    );
    let first = "/items/0/status/containerStatuses/0";
    let list = lab.wait_for_value(
        "pods",
        &format!("{first}/state/waiting/reason"),
        "CrashLoopBackOff",
    );
    let found = &list["items"][0];
    assert_eq!(found["status"]["phase"], "Running");
    let container = &found["status"]["containerStatuses"][0];
    let before = &container["lastState"]["terminated"];
    assert_eq!(
        (&before["exitCode"], &before["reason"]),
        (&1.into(), &"Error".into())
    );
    let message = container["state"]["waiting"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("back-off ") && message.contains(" restarting failed container=c pod=web-"),
        "{message}"
    );
    let ready = condition(found, "Ready");
    assert_eq!(ready["message"], "containers with unready status: [c]");
    assert!(ready.get("lastProbeTime").is_some());
    let restarts = |list: &Value| {
        list.pointer(&format!("{first}/restartCount"))
            .and_then(Value::as_i64)
    };
    lab.wait_for("more restarts", || restarts(&lab.json("pods")) > restarts(&list));
    let name = found["metadata"]["name"].as_str().unwrap();
    lab.run(&["annotate", "pod", "-n", "demo", name, "lab/fails-"]);
    lab.wait_for("health", || lab.available("deploy/web") == "1");
}

#[test]
fn what_cannot_start_is_pending_and_says_why() {
    let lab = Lab::start(VERSION, 1);
    let init = ", initContainers: [{name: first, image: i}]";
    let pods = ["image", "config", "init"].map(|fails| pod(fails, &format!("lab/fails: {fails}"), init));
    lab.apply(&[DEMO.to_owned(), pods.concat(), pod("well", "", init)].concat());
    let image = lab.wait_for_value("pod/image", WAITING, "ImagePullBackOff");
    assert_eq!(image["status"]["phase"], "Pending");
    lab.wait_for_value("pod/image", WAITING, "ErrImagePull");
    lab.wait_for_value("pod/config", WAITING, "CreateContainerConfigError");
    let first = "/status/initContainerStatuses/0/state";
    let init = lab.wait_for_value("pod/init", &format!("{first}/waiting/reason"), "CrashLoopBackOff");
    assert_eq!(
        (&init["status"]["phase"], init.pointer(WAITING)),
        (&"Pending".into(), Some(&"PodInitializing".into()))
    );
    let initialized = condition(&init, "Initialized");
    assert_eq!(
        initialized["message"],
        "containers with incomplete status: [first]"
    );
    let well = lab.wait_for_value("pod/well", "/status/phase", "Running");
    assert_eq!(
        well.pointer(&format!("{first}/terminated/reason")),
        Some(&"Completed".into())
    );
}

#[test]
fn the_scheduler_says_why_there_is_no_room() {
    let lab = Lab::start(VERSION, 2);
    let asks = ", nodeSelector: {disk: ssd}";
    let greedy = "apiVersion: v1\nkind: Pod\nmetadata: {name: greedy, namespace: demo}\nspec: {containers: [{name: c, \
                  image: x, resources: {requests: {cpu: '64'}}}]}\n---\n";
    lab.apply(&[DEMO, &pod("picky", "", asks), greedy].concat());
    let why = |name: &str| {
        let mut found = Value::Null;
        lab.wait_for("a reason", || {
            found = lab.json(&format!("pod/{name}"));
            found["status"]["conditions"]
                .as_array()
                .is_some_and(|all| !all.is_empty())
        });
        let condition = condition(&found, "PodScheduled");
        assert_eq!(
            (&condition["status"], &condition["reason"]),
            (&"False".into(), &"Unschedulable".into())
        );
        assert_eq!(found["status"]["phase"], "Pending");
        condition["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        why("picky"),
        "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector. preemption: 0/2 nodes are \
         available: 2 Preemption is not helpful for scheduling."
    );
    assert_eq!(
        why("greedy"),
        "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims found \
         for incoming pod."
    );
    lab.run(&["label", "node", "n2", "disk=ssd"]);
    lab.wait_for_value("pod/picky", "/status/phase", "Running");
}

#[test]
fn a_pod_recovers_after_its_time() {
    let lab = Lab::start(VERSION, 1);
    let annotations = "lab/fails: oom, lab/recovers-seconds: '60'";
    lab.apply(&[DEMO, &deployment("late", annotations, "{name: c, image: x}")].concat());
    let first = "/items/0/status/containerStatuses/0";
    let list = lab.wait_for_value(
        "pods",
        &format!("{first}/state/waiting/reason"),
        "CrashLoopBackOff",
    );
    let reason = list.pointer(&format!("{first}/lastState/terminated/reason"));
    assert_eq!(reason, Some(&"OOMKilled".into()));
    lab.wait_for("the recovery", || lab.available("deploy/late") == "1");
}
