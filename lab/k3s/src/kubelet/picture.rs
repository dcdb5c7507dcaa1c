//! A pod's status as the API shows it, made from the states of its containers.

use super::container::{Container, State};
use crate::clock;
use crate::json::{items, namespace, text, uid};
use serde_json::{Value, json};

/// A pod and the states of its containers.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) pod: Value,
    node_ip: String,
    pub(super) inits: Vec<Container>,
    pub(super) mains: Vec<Container>,
}

impl Picture {
    pub(super) fn of(pod: &Value, node_ip: &str) -> Self {
        let inits = items(pod, "/spec/initContainers");
        let waits_for = if inits.is_empty() {
            "ContainerCreating"
        } else {
            "PodInitializing"
        };
        let all = |specs: &[Value], statuses: &str| -> Vec<Container> {
            let statuses = items(pod, statuses);
            specs
                .iter()
                .map(|spec| Container::of(spec, statuses, waits_for))
                .collect()
        };
        Self {
            inits: all(inits, "/status/initContainerStatuses"),
            mains: all(items(pod, "/spec/containers"), "/status/containerStatuses"),
            node_ip: node_ip.to_owned(),
            pod: pod.clone(),
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        !text(&self.pod, "/status/startTime").is_empty()
            && self
                .mains
                .iter()
                .any(|one| !matches!(one.state, State::Waiting { .. }) || one.restarts > 0)
    }

    /// The kubelet's own rule.
    pub(super) fn phase(&self) -> &'static str {
        let policy = text(&self.pod, "/spec/restartPolicy");
        let failed = |one: &&Container| matches!(&one.state, State::Ended(ended) if ended.code != 0);
        if self.inits.iter().any(|one| !one.has_succeeded()) {
            let over = policy == "Never" && self.inits.iter().any(|one| failed(&one));
            return if over { "Failed" } else { "Pending" };
        }
        let untouched = |one: &Container| matches!(one.state, State::Waiting { .. }) && one.last.is_none();
        if self.mains.iter().any(untouched) {
            return "Pending";
        }
        let ended = |one: &Container| matches!(one.state, State::Ended(_));
        if policy == "Always" || !self.mains.iter().all(ended) {
            return "Running";
        }
        match self.mains.iter().find(failed) {
            None => "Succeeded",
            Some(_) if policy == "OnFailure" => "Running",
            Some(_) => "Failed",
        }
    }

    pub(super) fn status(&self) -> Value {
        let phase = self.phase();
        let mut status = json!({
            "phase": phase, "hostIP": self.node_ip, "startTime": self.start_time(),
            "conditions": self.conditions(phase),
            "containerStatuses": self.mains.iter().map(|one| one.status(&self.pod)).collect::<Vec<_>>(),
        });
        if !self.inits.is_empty() {
            status["initContainerStatuses"] = self.inits.iter().map(|one| one.status(&self.pod)).collect();
        }
        if self.has_sandbox() {
            let address = self.address();
            status["podIPs"] = json!([{"ip": address}]);
            status["podIP"] = json!(address);
        }
        status
    }

    fn has_sandbox(&self) -> bool {
        let first = |reason: &str| reason == "ContainerCreating" || reason == "PodInitializing";
        let waits = |one: &Container| matches!(&one.state, State::Waiting { reason, .. } if first(reason));
        !self.inits.iter().chain(&self.mains).all(waits)
    }

    pub(super) fn start_time(&self) -> String {
        let known = text(&self.pod, "/status/startTime");
        if known.is_empty() {
            clock::seconds()
        } else {
            known.to_owned()
        }
    }

    /// Pods answer nowhere; the address only has to look right and differ.
    fn address(&self) -> String {
        let own = text(&self.pod, "/status/podIP");
        if !own.is_empty() {
            return own.to_owned();
        }
        let host = self.node_ip.rsplit('.').next().unwrap_or_default();
        let sum = uid(&self.pod)
            .bytes()
            .fold(0u32, |sum, b| sum.wrapping_mul(31).wrapping_add(u32::from(b)));
        format!("10.42.{host}.{}", sum % 250 + 2)
    }

    fn conditions(&self, phase: &str) -> Vec<Value> {
        let named = |list: &[Container], which: fn(&Container) -> bool| {
            let names: Vec<&str> = list
                .iter()
                .filter(|one| which(one))
                .map(|one| one.name.as_str())
                .collect();
            names.join(" ")
        };
        let raw = named(&self.inits, |one| !one.has_succeeded());
        let unready = named(&self.mains, |one| !one.ready);
        let over = match phase {
            "Succeeded" => "PodCompleted",
            "Failed" => "PodFailed",
            _ => "",
        };
        let ready = match over {
            "" if unready.is_empty() && raw.is_empty() => (true, "", String::new()),
            "" => (
                false,
                "ContainersNotReady",
                format!("containers with unready status: [{unready}]"),
            ),
            over => (false, over, String::new()),
        };
        let initialized = if raw.is_empty() {
            (
                true,
                if over == "PodCompleted" { over } else { "" },
                String::new(),
            )
        } else {
            (
                false,
                "ContainersNotInitialized",
                format!("containers with incomplete status: [{raw}]"),
            )
        };
        let started = over.is_empty() && self.has_sandbox();
        vec![
            self.condition("PodReadyToStartContainers", (started, "", String::new())),
            self.condition("Initialized", initialized),
            self.condition("Ready", ready.clone()),
            self.condition("ContainersReady", ready),
            self.condition("PodScheduled", (true, "", String::new())),
        ]
    }

    /// With the time of its last change: now, if it has changed. What is null goes away in a merge.
    fn condition(&self, kind: &str, (is, reason, message): (bool, &str, String)) -> Value {
        let status = if is { "True" } else { "False" };
        let before = items(&self.pod, "/status/conditions")
            .iter()
            .find(|c| text(c, "/type") == kind && text(c, "/status") == status);
        let since = before.map_or_else(clock::seconds, |c| text(c, "/lastTransitionTime").to_owned());
        let or_null = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        json!({
            "type": kind, "status": status, "lastTransitionTime": since, "reason": or_null(reason),
            "message": or_null(&message),
        })
    }

    /// `web-7d9f8c6b5-abcde_demo(3f2c…)`, as the kubelet names a pod.
    pub(super) fn full_name(&self) -> String {
        let pod = &self.pod;
        format!("{}_{}({})", crate::json::name(pod), namespace(pod), uid(pod))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(policy: &str) -> Picture {
        let pod = json!({
            "metadata": {"name": "web", "namespace": "demo", "uid": "u1"},
            "spec": {
                "restartPolicy": policy,
                "containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}],
            },
            "status": {},
        });
        Picture::of(&pod, "10.99.0.101")
    }

    fn run(picture: &mut Picture) {
        for one in &mut picture.mains {
            (one.state, one.ready) = (State::running(), true);
        }
    }

    #[test]
    fn the_phase_follows_the_restart_policy() {
        for (policy, crashed, done) in [
            ("Always", "Running", "Running"),
            ("OnFailure", "Running", "Succeeded"),
            ("Never", "Failed", "Succeeded"),
        ] {
            let mut picture = picture(policy);
            assert_eq!(picture.phase(), "Pending", "{policy}");
            run(&mut picture);
            assert_eq!(picture.phase(), "Running", "{policy}");
            picture.mains[0].end(0, "Completed", "");
            assert_eq!(picture.phase(), "Running", "{policy}: the other one runs");
            picture.mains[1].end(0, "Completed", "");
            assert_eq!(picture.phase(), done, "{policy}");
            picture.mains[1].end(1, "Error", "");
            assert_eq!(picture.phase(), crashed, "{policy}");
        }
    }

    #[test]
    fn a_condition_keeps_the_time_of_its_last_change() {
        let mut picture = picture("Always");
        picture.pod["status"] = json!({"conditions": [
            {"type": "Ready", "status": "False", "lastTransitionTime": "2020-01-01T00:00:00Z"},
        ]});
        let time = |picture: &Picture| {
            let conditions = picture.conditions("Running");
            let ready = conditions.iter().find(|c| c["type"] == "Ready").unwrap().clone();
            text(&ready, "/lastTransitionTime").to_owned()
        };
        assert_eq!(time(&picture), "2020-01-01T00:00:00Z");
        run(&mut picture);
        assert_ne!(time(&picture), "2020-01-01T00:00:00Z");
    }
}
