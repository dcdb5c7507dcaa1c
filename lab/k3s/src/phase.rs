//! How far a server's start has come. A real one needs seconds for each step, and whoever waits for it must bear
//! all of them: refused, unavailable, not ready, ready, and later still the kubelet's new version.

use crate::clock::paced;
use std::time::Duration;
use tokio::time::Instant;

/// Recorded seconds from the start of the process (SQLite: recording 12, etcd: recording 07).
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    pub listen: f64,
    pub serve: f64,
    pub ready: f64,
    pub kubelet: f64,
}

pub const SQLITE: Delays = Delays {
    listen: 2.3,
    serve: 3.0,
    ready: 9.0,
    kubelet: 20.5,
};
pub const ETCD: Delays = Delays {
    listen: 0.8,
    serve: 5.5,
    ready: 16.8,
    kubelet: 25.0,
};
/// Agents were seen active 9 to 10 s after their start.
pub const AGENT_READY: f64 = 9.0;
pub const AGENT_KUBELET: f64 = 12.0;

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
