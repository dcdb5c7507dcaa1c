//! The module on a node whose certificates are real; its programs run unchanged.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod listed;
mod rotated;

use ansible_module::{Call, params, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k3s_certificates::K3sCertificates;
use k3s_certs::testing::Node;
use serde_json::Value;

fn call(node: &Node, arguments: Value) -> Value {
    let call = Call::parse(&serde_json::to_vec(&arguments).unwrap()).unwrap();
    let params = params::<K3sCertificates>(&call).unwrap();
    run::<K3sCertificates>(&params, &call, node).into_json()
}

fn subjects(answer: &Value, key: &str) -> Vec<String> {
    let list = answer[key].as_array().unwrap();
    list.iter()
        .map(|certificate| {
            format!(
                "{} {}",
                certificate["file"].as_str().unwrap(),
                certificate["subject"].as_str().unwrap()
            )
        })
        .collect()
}

fn table(answer: &Value) -> &str {
    answer["table"].as_str().unwrap()
}

fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}
