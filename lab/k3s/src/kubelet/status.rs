//! A pod in the API, and what the kubelet reports of it there.

use super::{Kubelet, MERGE};
use crate::json::{name, namespace, uid};
use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::{Value, json};

pub(super) fn path(pod: &Value) -> String {
    format!("/api/v1/namespaces/{}/pods/{}", namespace(pod), name(pod))
}

pub(super) async fn report(kubelet: &Kubelet, pod: &Value, status: &Value) -> Result<()> {
    let patch = json!({"metadata": {"uid": uid(pod)}, "status": status});
    let status_path = format!("{}/status", path(pod));
    let patched = kubelet
        .client
        .send(Method::PATCH, &status_path, Some((MERGE, &patch)))
        .await?;
    ensure!(
        patched.is_ok() || [404, 409].contains(&patched.status.as_u16()),
        "{}",
        patched.status_text()
    );
    Ok(())
}
