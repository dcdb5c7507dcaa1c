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
fn a_crash_loop_is_inside_a_running_pod_and_is_healed_by_its_annotation() {
    let lab = Lab::start(VERSION, 1);
    let two = "{name: well, image: x}, {name: ill, image: y}";
    let annotations = "lab/fails: crash, lab/container: ill, lab/exit-code: '3', lab/message: no such file";
    lab.apply(&[DEMO, &deployment("web", annotations, two)].concat());
    let at = |index: usize, field: &str| format!("/items/0/status/containerStatuses/{index}{field}");
    let list = lab.wait_for_value("pods", &at(1, "/state/waiting/reason"), "CrashLoopBackOff");
    let found = &list["items"][0];
    assert_eq!(found["status"]["phase"], "Running");
    let ill = &found["status"]["containerStatuses"][1];
    let before = &ill["lastState"]["terminated"];
    assert_eq!(
        (&before["exitCode"], &before["reason"], &before["message"]),
        (&3.into(), &"Error".into(), &"no such file".into())
    );
    let told = ill["state"]["waiting"]["message"].as_str().unwrap();
    assert!(
        told.starts_with("back-off ") && told.contains(" restarting failed container=ill pod=web-"),
        "{told}"
    );
    assert_eq!(
        condition(found, "Ready")["message"],
        "containers with unready status: [ill]"
    );
    assert!(condition(found, "Ready").get("lastProbeTime").is_some());
    let first = ill["restartCount"].as_i64().unwrap();
    lab.wait_for("more restarts", || {
        let now = lab.json("pods");
        now.pointer(&at(1, "/restartCount")).and_then(Value::as_i64) > Some(first)
    });
    // It runs for a moment after each restart.
    lab.wait_for("the back-off in the table", || {
        let table = lab.get("pods -n demo");
        table.contains("1/2     CrashLoopBackOff") && table.contains(" ago)")
    });
    let name = found["metadata"]["name"].as_str().unwrap();
    lab.run(&["annotate", "pod", "-n", "demo", name, "lab/fails-"]);
    lab.wait_for("health", || lab.get("deploy -n demo web").contains("1/1"));
    let healed = lab.json("pods");
    assert_eq!(
        healed.pointer(&at(0, "/restartCount")),
        Some(&0.into()),
        "the other container ran on"
    );
    assert!(healed.pointer(&at(1, "/restartCount")).and_then(Value::as_i64) > Some(first));
}

#[test]
fn what_cannot_start_is_pending_and_says_why() {
    let lab = Lab::start(VERSION, 1);
    let init = ", initContainers: [{name: first, image: i}, {name: second, image: j}]";
    lab.apply(
        &[
            DEMO,
            &pod("image", "lab/fails: image", ""),
            &pod(
                "config",
                "lab/fails: config, lab/message: 'secret \"db\" not found'",
                "",
            ),
            &pod("init", "lab/fails: init, lab/container: second", init),
            &pod("inits", "", init),
        ]
        .concat(),
    );
    let image = lab.wait_for_value("pod/image", WAITING, "ImagePullBackOff");
    assert_eq!(image["status"]["phase"], "Pending");
    lab.wait_for_value("pod/image", WAITING, "ErrImagePull");
    let config = lab.wait_for_value("pod/config", WAITING, "CreateContainerConfigError");
    let message = config.pointer("/status/containerStatuses/0/state/waiting/message");
    assert_eq!(message, Some(&"secret \"db\" not found".into()));
    let second = "/status/initContainerStatuses/1/state/waiting/reason";
    let init = lab.wait_for_value("pod/init", second, "CrashLoopBackOff");
    assert_eq!(
        (&init["status"]["phase"], init.pointer(WAITING)),
        (&"Pending".into(), Some(&"PodInitializing".into()))
    );
    let initialized = condition(&init, "Initialized");
    assert_eq!(
        (&initialized["reason"], &initialized["message"]),
        (
            &"ContainersNotInitialized".into(),
            &"containers with incomplete status: [second]".into()
        )
    );
    assert!(lab.get("pods -n demo").contains("Init:CrashLoopBackOff"));
    let well = lab.wait_for_value("pod/inits", "/status/phase", "Running");
    let done = well.pointer("/status/initContainerStatuses/1/state/terminated/reason");
    assert_eq!(done, Some(&"Completed".into()));
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
fn a_pod_recovers_after_its_time_and_an_evicted_one_is_replaced() {
    let lab = Lab::start(VERSION, 1);
    let one = "{name: c, image: x}";
    lab.apply(
        &[
            DEMO,
            &deployment("late", "lab/fails: oom, lab/recovers-seconds: '60'", one),
            &deployment("web", "", one),
        ]
        .concat(),
    );
    lab.wait_for("the crash", || {
        lab.get("pods -n demo").contains("CrashLoopBackOff")
    });
    assert!(lab.get("pods -n demo -o json").contains("\"OOMKilled\""));
    lab.wait_for("the well one", || lab.get("deploy -n demo web").contains("1/1"));
    let names = lab.run(&["get", "pods", "-n", "demo", "-l", "app=web", "-o", "name"]);
    lab.run(&["annotate", "-n", "demo", names.trim(), "lab/fails=evicted"]);
    let evicted = lab.wait_for_value(names.trim(), "/status/reason", "Evicted");
    assert_eq!(evicted["status"]["phase"], "Failed");
    assert!(
        evicted["status"]["message"]
            .as_str()
            .unwrap()
            .starts_with("The node was low on resource: memory.")
    );
    lab.wait_for("its replacement", || {
        lab.get("deploy -n demo web").contains("1/1")
    });
    assert!(
        lab.get("pods -n demo").contains("Evicted"),
        "the old one stays to be seen"
    );
    lab.wait_for("the recovery", || {
        lab.get("deploy -n demo late").contains("1/1")
            && !lab.get("pods -n demo").contains("CrashLoopBackOff")
    });
}

#[test]
fn a_job_that_fails_too_often_is_given_up() {
    let lab = Lab::start(VERSION, 1);
    let job = |name: &str, annotations: &str, policy: &str| {
        format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}, namespace: demo}}\nspec: {{backoffLimit: 1, \
             template: {{metadata: {{annotations: {{{annotations}}}}}, spec: {{restartPolicy: {policy}, containers: \
             [{{name: c, image: x}}]}}}}}}\n---\n"
        )
    };
    lab.apply(
        &[
            DEMO,
            &job("well", "", "Never"),
            &job("bad", "lab/fails: crash", "Never"),
            &job("again", "lab/fails: crash", "OnFailure"),
        ]
        .concat(),
    );
    for name in ["bad", "again"] {
        let mut failed = Value::Null;
        lab.wait_for("the end", || {
            failed = lab.json(&format!("job/{name}"));
            failed["status"]["conditions"].is_array()
        });
        let condition = condition(&failed, "Failed");
        assert_eq!(condition["reason"], "BackoffLimitExceeded", "{name}");
        assert_eq!(
            condition["message"],
            "Job has reached the specified backoff limit"
        );
    }
    let bad = lab.json("job/bad");
    assert_eq!(
        (&bad["status"]["failed"], bad["status"].get("succeeded")),
        (&2.into(), None)
    );
    let well = lab.wait_for_value("job/well", "/status/succeeded", "1");
    assert_eq!(condition(&well, "Complete")["status"], "True");
    let table = lab.get("pods -n demo");
    assert!(
        table.contains("0/1     Completed") && table.contains("0/1     Error"),
        "{table}"
    );
    let done = lab.run(&["get", "pods", "-n", "demo", "-l", "job-name=well", "-o", "json"]);
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(condition(&done["items"][0], "Ready")["reason"], "PodCompleted");
}

#[test]
fn a_crash_loop_goes_on_after_its_node_was_restarted() {
    let lab = Lab::start(VERSION, 2);
    let selected = ", nodeSelector: {kubernetes.io/hostname: n2}";
    lab.apply(&[DEMO, &pod("ill", "lab/fails: crash", selected)].concat());
    lab.wait_for_value("pod/ill", WAITING, "CrashLoopBackOff");
    lab.kill("n2");
    let count = |found: &Value| {
        found
            .pointer("/status/containerStatuses/0/restartCount")
            .and_then(Value::as_i64)
    };
    let before = count(&lab.json("pod/ill"));
    lab.start_agent(VERSION, "n2");
    lab.wait_for("more restarts", || count(&lab.json("pod/ill")) > before);
}
