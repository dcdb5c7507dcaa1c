//! How far a server's start has come. A real one needs seconds for each step, and whoever waits for it must bear
//! all of them: refused, unavailable, not ready, ready, and later still the kubelet's new version.

use crate::clock::paced;
use std::time::Duration;
use tokio::time::Instant;

/// Seconds from the start of the process, as recorded of 1.36: of etcd each moment but the kubelet's, of SQLite that the unit is
/// up after 7 s.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    pub listen: f64,
    pub serve: f64,
    pub ready: f64,
    pub kubelet: f64,
}

pub const SQLITE: Delays = Delays {
    listen: 0.5,
    serve: 6.0,
    ready: 7.0,
    kubelet: 11.0,
};
pub const ETCD: Delays = Delays {
    listen: 0.5,
    serve: 7.3,
    ready: 8.4,
    kubelet: 12.0,
};
/// Agents that start again were seen active after 4 s; that waits for what the kubelet has said.
pub const AGENT_READY: f64 = 4.0;
pub const AGENT_KUBELET: f64 = 3.0;

#[derive(Clone, Copy, Debug)]
pub struct Phase {
    started: Instant,
    pub delays: Delays,
}

impl Phase {
    pub fn begin(delays: Delays) -> Self {
        Self {
            started: Instant::now(),
            delays,
        }
    }

    pub fn serves(&self) -> bool {
        self.passed(self.delays.serve)
    }

    pub fn is_ready(&self) -> bool {
        self.passed(self.delays.ready)
    }

    fn passed(&self, seconds: f64) -> bool {
        self.started.elapsed() >= paced(seconds)
    }

    /// Sleeps until a recorded moment of the start.
    pub async fn reach(&self, seconds: f64) {
        tokio::time::sleep_until(self.started + paced(seconds)).await;
    }

    /// What is left until a recorded moment.
    pub fn left(&self, seconds: f64) -> Duration {
        (self.started + paced(seconds)).saturating_duration_since(Instant::now())
    }
}
