//! The life of one pod: it is created, starts, runs, and does wrong what its annotations say. There is no container.

use super::Kubelet;
use super::container::{Container, State};
use super::picture::Picture;
use super::status::report;
use super::trouble::{Behaviour, Trouble, is_job};
use crate::clock::paced;
use anyhow::Result;
use serde_json::Value;
use std::time::Duration;

const START_SECONDS: f64 = 1.5;
const INIT_SECONDS: f64 = 0.5;
const JOB_SECONDS: f64 = 2.0;
/// The kubelet's: doubled each time, up to five minutes.
const FIRST_BACK_OFF: f64 = 10.0;
const LAST_BACK_OFF: f64 = 300.0;
pub(super) struct Life<'a> {
    kubelet: &'a Kubelet,
    picture: Picture,
    behaviour: Behaviour,
}

impl<'a> Life<'a> {
    pub(super) fn of(kubelet: &'a Kubelet, pod: &Value) -> Self {
        Self {
            kubelet,
            picture: Picture::of(pod, &kubelet.config.node_ip),
            behaviour: Behaviour::of(pod),
        }
    }

    pub(super) async fn live(mut self) -> Result<()> {
        if !self.picture.has_begun() {
            self.report().await?;
            tokio::time::sleep(paced(START_SECONDS)).await;
            if !self.initialize().await? {
                return Ok(());
            }
        }
        self.wait_for_start().await?;
        self.run_all().await?;
        if let Some(Trouble::Crash { code, reason }) = self.behaviour.trouble
            && self.behaviour.fails(&self.picture.pod)
        {
            self.crash(Which::Main, code, reason).await?;
        }
        if is_job(&self.picture.pod) && self.picture.phase() == "Running" {
            tokio::time::sleep(paced(JOB_SECONDS)).await;
            for one in &mut self.picture.mains {
                one.end(0, "Completed", "");
            }
            self.report().await?;
        }
        Ok(())
    }

    /// The pod is healthy again.
    pub(super) async fn recover(mut self) -> Result<()> {
        self.run_all().await
    }

    async fn report(&mut self) -> Result<()> {
        let status = self.picture.status();
        report(self.kubelet, &self.picture.pod, &status).await?;
        // The next picture's conditions are compared with this one's.
        self.picture.pod["status"] = status;
        Ok(())
    }

    /// Sleeps, but not beyond the moment of recovery. Whether that has come.
    async fn sleep(&self, seconds: f64) -> bool {
        let nap = paced(seconds);
        let left = self
            .behaviour
            .left(&self.picture.start_time())
            .map(Duration::from_secs_f64);
        tokio::time::sleep(left.map_or(nap, |left| left.min(nap))).await;
        left.is_some_and(|left| left <= nap)
    }

    /// Runs the init containers, one after the other. Whether the pod goes on.
    async fn initialize(&mut self) -> Result<bool> {
        for at in 0..self.picture.inits.len() {
            self.picture.inits[at].state = State::running();
            self.report().await?;
            tokio::time::sleep(paced(INIT_SECONDS)).await;
            if self.behaviour.trouble == Some(Trouble::Init)
                && at == 0
                && !self.crash(Which::Init, 1, "Error").await?
            {
                return Ok(false);
            }
            self.picture.inits[at].end(0, "Completed", "");
            self.picture.inits[at].ready = true;
        }
        Ok(true)
    }

    /// Holds a container that cannot even start.
    async fn wait_for_start(&mut self) -> Result<()> {
        let trouble = self.behaviour.trouble;
        if !matches!(trouble, Some(Trouble::Image | Trouble::Config))
            || !self.behaviour.fails(&self.picture.pod)
        {
            return Ok(());
        }
        for one in self.picture.mains.iter_mut().skip(1) {
            (one.state, one.ready) = (State::running(), true);
        }
        // One that ran already has to end before it cannot start.
        if matches!(self.picture.mains[0].state, State::Running { .. }) {
            self.picture.mains[0].end(1, "Error", "");
        }
        let mut back_off = BackOff::default();
        loop {
            let states = if trouble == Some(Trouble::Image) {
                self.image_states()
            } else {
                vec![(
                    "CreateContainerConfigError",
                    "configmap \"lab-missing\" not found".to_owned(),
                )]
            };
            let nap = back_off.next();
            for (reason, message) in states {
                self.picture.mains[0].wait(reason, &message);
                self.report().await?;
                if self.sleep(nap).await {
                    return Ok(());
                }
            }
        }
    }

    /// The two faces of a missing image: while it is tried, and between two tries.
    fn image_states(&self) -> Vec<(&'static str, String)> {
        let image = self.picture.pod["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap_or_default();
        let cause = format!(
            "failed to pull and unpack image \"docker.io/library/{image}:latest\": failed to resolve reference \
             \"docker.io/library/{image}:latest\": pull access denied, repository does not exist or may require \
             authorization: server message: insufficient_scope: authorization failed"
        );
        vec![
            ("ErrImagePull", cause),
            ("ImagePullBackOff", format!("Back-off pulling image \"{image}\"")),
        ]
    }

    async fn run_all(&mut self) -> Result<()> {
        for one in &mut self.picture.mains {
            match one.state {
                State::Running { .. } => {}
                State::Ended(_) => one.restart(),
                State::Waiting { .. } if one.last.is_some() => one.restart(),
                State::Waiting { .. } => one.state = State::running(),
            }
            one.ready = true;
        }
        self.report().await
    }

    fn container(&mut self, which: Which) -> &mut Container {
        match which {
            Which::Init => &mut self.picture.inits[0],
            Which::Main => &mut self.picture.mains[0],
        }
    }

    /// A container that ends again and again, until the pod recovers or is not restarted. Whether it is well again.
    async fn crash(&mut self, which: Which, code: i64, reason: &str) -> Result<bool> {
        let policy = self.picture.pod["spec"]["restartPolicy"]
            .as_str()
            .unwrap_or("Always")
            .to_owned();
        let stays_down = policy == "Never" || policy == "OnFailure" && code == 0;
        let mut back_off = BackOff::default();
        let mut times = 0;
        loop {
            if self.sleep(self.behaviour.run_seconds).await {
                return Ok(true);
            }
            let message = self.behaviour.message.clone();
            self.container(which).end(code, reason, &message);
            self.report().await?;
            if stays_down {
                return Ok(false);
            }
            times += 1;
            // The first restart comes at once.
            if times > 1 {
                let nap = back_off.next();
                let (own, pod) = (self.container(which).name.clone(), self.picture.full_name());
                let message = format!(
                    "back-off {} restarting failed container={own} pod={pod}",
                    go_duration(nap)
                );
                self.container(which).wait("CrashLoopBackOff", &message);
                self.report().await?;
                if self.sleep(nap).await {
                    self.container(which).restart();
                    return Ok(true);
                }
            }
            self.container(which).restart();
            self.container(which).ready = which == Which::Main;
            self.report().await?;
        }
    }
}

/// The first container of its sort.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Init,
    Main,
}

struct BackOff(f64);

impl Default for BackOff {
    fn default() -> Self {
        Self(FIRST_BACK_OFF)
    }
}

impl BackOff {
    fn next(&mut self) -> f64 {
        let now = self.0;
        self.0 = (self.0 * 2.0).min(LAST_BACK_OFF);
        now
    }
}

/// `10s`, `1m20s`, `5m0s`
fn go_duration(seconds: f64) -> String {
    let seconds = Duration::from_secs_f64(seconds).as_secs();
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        format!("{}m{}s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_offs_double_up_to_five_minutes() {
        let mut back_off = BackOff::default();
        let pauses: Vec<String> = (0..7).map(|_| go_duration(back_off.next())).collect();
        assert_eq!(pauses, ["10s", "20s", "40s", "1m20s", "2m40s", "5m0s", "5m0s"]);
    }
}
