//! A container's state, as a pod's status shows it.

use crate::clock;
use crate::json::{flag, number, text, uid};
use crate::version::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Waiting { reason: String, message: String },
    Running { since: String },
    Ended(Ended),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) code: i64,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) started: String,
    pub(super) finished: String,
}

impl State {
    pub(super) fn waiting(reason: &str, message: &str) -> Self {
        Self::Waiting {
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(super) fn running() -> Self {
        Self::Running {
            since: clock::seconds(),
        }
    }

    fn from_json(state: &Value) -> Option<Self> {
        if let Some(waiting) = state.get("waiting") {
            return Some(Self::waiting(text(waiting, "/reason"), text(waiting, "/message")));
        }
        if let Some(running) = state.get("running") {
            let since = text(running, "/startedAt").to_owned();
            return Some(Self::Running { since });
        }
        Ended::from_json(state).map(Self::Ended)
    }

    fn json(&self, id: &str) -> Value {
        match self {
            Self::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
            Self::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
            Self::Running { since } => json!({"running": {"startedAt": since}}),
            Self::Ended(ended) => ended.json(id),
        }
    }
}

impl Ended {
    fn from_json(state: &Value) -> Option<Self> {
        let ended = state.get("terminated")?;
        let field = |name: &str| text(ended, &format!("/{name}")).to_owned();
        Some(Self {
            code: number(ended, "/exitCode"),
            reason: field("reason"),
            message: field("message"),
            started: field("startedAt"),
            finished: field("finishedAt"),
        })
    }

    fn json(&self, id: &str) -> Value {
        let mut ended = json!({
            "exitCode": self.code, "reason": self.reason, "startedAt": self.started, "finishedAt": self.finished,
            "containerID": id,
        });
        if !self.message.is_empty() {
            ended["message"] = json!(self.message);
        }
        json!({"terminated": ended})
    }
}

#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) name: String,
    image: String,
    pub(super) state: State,
    pub(super) restarts: i64,
    pub(super) last: Option<Ended>,
    pub(super) ready: bool,
}

impl Container {
    /// As the pod's status has it, else waiting.
    pub(super) fn of(spec: &Value, statuses: &[Value], waits_for: &str) -> Self {
        let own = statuses
            .iter()
            .find(|status| text(status, "/name") == text(spec, "/name"));
        let state = own.and_then(|status| State::from_json(&status["state"]));
        Self {
            name: text(spec, "/name").to_owned(),
            image: text(spec, "/image").to_owned(),
            state: state.unwrap_or_else(|| State::waiting(waits_for, "")),
            restarts: own.map_or(0, |status| number(status, "/restartCount")),
            last: own.and_then(|status| Ended::from_json(&status["lastState"])),
            ready: own.is_some_and(|status| flag(status, "/ready")),
        }
    }

    /// A running container ends; one that does not run has run for no time.
    pub(super) fn end(&mut self, code: i64, reason: &str, message: &str) {
        let now = clock::seconds();
        let started = match &self.state {
            State::Running { since } => since.clone(),
            _ => now.clone(),
        };
        self.state = State::Ended(Ended {
            code,
            reason: reason.to_owned(),
            message: message.to_owned(),
            started,
            finished: now,
        });
        self.ready = false;
    }

    /// What ended becomes what was before.
    pub(super) fn wait(&mut self, reason: &str, message: &str) {
        if let State::Ended(ended) = &self.state {
            self.last = Some(ended.clone());
        }
        self.state = State::waiting(reason, message);
        self.ready = false;
    }

    pub(super) fn restart(&mut self) {
        if let State::Ended(ended) = &self.state {
            self.last = Some(ended.clone());
        }
        self.restarts += 1;
        self.state = State::running();
    }

    pub(super) fn has_succeeded(&self) -> bool {
        matches!(&self.state, State::Ended(ended) if ended.code == 0)
    }

    pub(super) fn status(&self, pod: &Value) -> Value {
        let id = |restarts: i64| {
            let sum = Sha256::digest(format!("{}/{}/{restarts}", uid(pod), self.name));
            format!("containerd://{}", hex(&sum))
        };
        let began = self.restarts > 0 || !matches!(self.state, State::Waiting { .. });
        let mut status = json!({
            "name": self.name, "image": self.image, "imageID": "", "ready": self.ready,
            "started": matches!(self.state, State::Running { .. }), "restartCount": self.restarts,
            "state": self.state.json(&id(self.restarts)),
            "lastState": self.last.as_ref().map_or_else(|| json!({}), |ended| ended.json(&id((self.restarts - 1).max(0)))),
        });
        if began {
            status["imageID"] = json!(format!(
                "{}@sha256:{}",
                self.image,
                hex(&Sha256::digest(&self.image))
            ));
            status["containerID"] = json!(id(self.restarts));
        }
        status
    }
}
