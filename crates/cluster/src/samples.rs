//! A kubectl of a few lines, for tests.

use crate::Kubectl;
use host::LocalHost;
use std::time::Duration;
use testbed::Programs;

/// Looks through a program with this text.
pub(crate) fn with_program(text: &str, look: impl FnOnce(&Kubectl)) {
    let programs = Programs::new().with("kubectl", text);
    with_kubectl(&programs.folder().join("kubectl").display().to_string(), look);
}

pub(crate) fn with_kubectl(path: &str, look: impl FnOnce(&Kubectl)) {
    let host = LocalHost::new();
    look(&Kubectl {
        host: &host,
        program: &[path.to_owned()],
        request_timeout: Duration::from_secs(3),
    });
}
