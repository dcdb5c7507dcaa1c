//! The Job that runs Helm, and its pods.

use crate::release::Release;
use cluster::{Job, Pod};

/// The Job that runs Helm.
#[derive(Clone, Debug, Default)]
pub struct HelmJob {
    pub job: Job,
    /// How often its container was started anew.
    pub restarts: u64,
    /// Whether Helm is running now. Stopped halfway, it leaves a release that nobody finishes.
    pub busy: bool,
    /// Its youngest pod.
    pub pod: Option<String>,
}

impl HelmJob {
    fn is(&self, condition: &str) -> bool {
        self.job.is(condition).is_some()
    }

    pub fn is_complete(&self) -> bool {
        self.is("Complete")
    }

    /// It has not succeeded, and not for want of trying.
    pub fn is_failing(&self) -> bool {
        !self.is_complete() && (self.is("Failed") || self.job.failures > 0 || self.restarts > 0)
    }

    /// What it does about a release that has failed.
    pub fn policy(&self) -> &str {
        &self.job.failure_policy
    }

    /// Whether this Job has brought the release to where it is. A Job whose `EXPECTED_RELEASE_REVISION` is not the newest one (k3s of
    /// July 2026 on) completes without having done anything; what it does deploy carries its `CONFIG_HASH` as a label.
    pub fn has_deployed(&self, release: &Release) -> bool {
        let hash = &self.job.config_hash;
        let is_its_own = hash.is_empty() || *hash == release.config_hash;
        self.is_complete() && release.is_deployed() && is_its_own
    }

    /// In one word, for the answer.
    pub fn word(&self) -> &'static str {
        if self.is_complete() {
            "complete"
        } else if self.is_failing() {
            "failing"
        } else {
            "running"
        }
    }
}

/// How often its containers were started anew.
pub(crate) fn restarts(pod: &Pod) -> u64 {
    let statuses = &pod.status.container_statuses;
    statuses.iter().map(|one| u64::from(one.restart_count)).sum()
}

/// Whether Helm is at work in it.
pub(crate) fn runs(pod: &Pod) -> bool {
    let statuses = &pod.status.container_statuses;
    statuses.iter().any(|one| one.state.running.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(status: serde_json::Value, restarts: u64) -> HelmJob {
        with_hash(status, restarts, None)
    }

    fn with_hash(status: serde_json::Value, restarts: u64, hash: Option<&str>) -> HelmJob {
        let mut env = vec![
            json!({"name": "NAME", "value": "traefik"}),
            json!({"name": "FAILURE_POLICY", "value": "abort"}),
        ];
        env.extend(hash.map(|hash| json!({"name": "CONFIG_HASH", "value": hash})));
        let spec = json!({"template": {"spec": {"containers": [{"env": env}]}}});
        HelmJob {
            job: serde_json::from_value(json!({"metadata": {}, "spec": spec, "status": status})).unwrap(),
            restarts,
            ..HelmJob::default()
        }
    }

    fn helm(job: &Job) -> HelmJob {
        HelmJob {
            job: job.clone(),
            ..HelmJob::default()
        }
    }

    #[test]
    fn a_job_is_judged_by_its_conditions_and_its_restarts() {
        let complete = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        let given_up = json!({"conditions": [{"type": "Failed", "status": "True"}]});
        let cases = [
            (job(complete.clone(), 0), "complete"),
            // It came right in the end.
            (job(complete, 3), "complete"),
            (job(given_up, 0), "failing"),
            (job(json!({"failed": 1}), 0), "failing"),
            (job(json!({"active": 1}), 2), "failing"),
            (job(json!({"active": 1}), 0), "running"),
        ];
        for (job, word) in cases {
            assert_eq!(job.word(), word, "{job:?}");
        }
        assert_eq!(job(json!({}), 0).policy(), "abort");
    }

    #[test]
    fn a_job_that_completed_without_having_done_anything_has_deployed_nothing() {
        let complete = json!({"conditions": [{"type": "Complete", "status": "True"}]});
        let release = |status: &str, hash: &str| Release {
            revision: 2,
            status: status.to_owned(),
            config_hash: hash.to_owned(),
            made: Vec::new(),
        };
        let older = job(complete.clone(), 0);
        assert!(
            older.has_deployed(&release("deployed", "")),
            "of before July 2026"
        );
        let own = with_hash(complete, 0, Some("A1"));
        let cases = [
            (release("deployed", "A1"), true),
            (release("deployed", "B2"), false),
            (release("deployed", ""), false),
            (release("failed", "A1"), false),
        ];
        for (release, deployed) in cases {
            assert_eq!(own.has_deployed(&release), deployed, "{release:?}");
        }
        let running = with_hash(json!({}), 0, Some("A1"));
        assert!(!running.has_deployed(&release("deployed", "A1")));
    }

    #[test]
    fn jobs_of_a_real_k3s_and_the_releases_they_have_deployed() {
        let list = testbed::recorded("k3s-v1.36.3-jobs.json");
        let jobs = serde_json::from_str::<cluster::List<Job>>(&list).unwrap().items;
        // As the labels of the releases' Secrets had it.
        let hashes = [
            "231D57D61963F3E428610B29DA2AF35B52A8358ABFDBD328A9CEFA9FF308B34",
            "871398D52A03743753DF68A77BFC26E7CEB57E7F282AB3C7BD3FB4AC4F436F3",
        ];
        let release = |hash: &str| Release {
            revision: 1,
            status: "deployed".to_owned(),
            config_hash: hash.to_owned(),
            made: Vec::new(),
        };
        assert_eq!(jobs.len(), 2);
        for (job, hash) in jobs.iter().map(helm).zip(hashes) {
            assert_eq!((job.word(), job.policy()), ("complete", "retry"));
            assert!(job.has_deployed(&release(hash)) && !job.has_deployed(&release("")));
        }
    }

    #[test]
    fn jobs_of_a_modern_controller() {
        let list = testbed::recorded("by-hand-k3s-v1.36-jobs.json");
        let jobs = serde_json::from_str::<cluster::List<Job>>(&list).unwrap().items;
        let jobs: Vec<HelmJob> = jobs.iter().map(helm).collect();
        let found: Vec<_> = jobs.iter().map(|job| (job.word(), job.policy())).collect();
        let expected = [
            // A pod of it has failed before.
            ("complete", "retry"),
            // The Job's own status counts no failure: its one pod is started again and again.
            ("running", "reinstall"),
            // It begins suspended.
            ("running", "abort"),
        ];
        assert_eq!(found, expected);

        let text = include_str!("../tests/recorded/by-hand-k3s-v1.36-pods-failing.json");
        let pods: cluster::List<Pod> = serde_json::from_str(text).unwrap();
        let pod = &pods.items[0];
        assert!(restarts(pod) > 0 && !runs(pod));
        assert_eq!(
            pod.metadata.controller().unwrap().name,
            "helm-install-traefik-crd"
        );
        let mut failing = jobs[1].clone();
        failing.restarts = restarts(pod);
        assert_eq!(failing.word(), "failing");
    }
}
