//! How much of a node's processors and memory its pods ask for.

use super::world::{World, has_ended};
use crate::json::{items, name, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Thousandths of processors, and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Amount {
    cpu: f64,
    memory: f64,
}

/// What is asked for already, by node.
pub struct Use(BTreeMap<String, Amount>);

impl Use {
    pub fn of(world: &World) -> Self {
        let mut nodes: BTreeMap<String, Amount> = BTreeMap::new();
        for pod in world.pods.iter().filter(|pod| !has_ended(pod)) {
            nodes
                .entry(text(pod, "/spec/nodeName").to_owned())
                .or_default()
                .add(requests(pod));
        }
        Self(nodes)
    }

    pub fn add(&mut self, node: &str, pod: &Value) {
        self.0.entry(node.to_owned()).or_default().add(requests(pod));
    }

    /// What a node lacks for a pod, in the scheduler's words.
    pub fn lack(&self, node: &Value, pod: &Value) -> Option<&'static str> {
        let used = self.0.get(name(node)).copied().unwrap_or_default();
        let asked = requests(pod);
        let allocatable = |resource: &str| quantity(text(node, &format!("/status/allocatable/{resource}")));
        if asked.cpu > 0.0 && used.cpu + asked.cpu > allocatable("cpu") {
            return Some("Insufficient cpu");
        }
        (asked.memory > 0.0 && used.memory + asked.memory > allocatable("memory"))
            .then_some("Insufficient memory")
    }
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.cpu += other.cpu;
        self.memory += other.memory;
    }
}

fn requests(pod: &Value) -> Amount {
    let mut sum = Amount::default();
    for container in items(pod, "/spec/containers") {
        // A limit without a request is a request.
        let of = |resource: &str| {
            let at = |kind: &str| container.pointer(&format!("/resources/{kind}/{resource}"));
            match at("requests").or_else(|| at("limits")) {
                Some(Value::String(text)) => quantity(text),
                Some(number) => number.as_f64().unwrap_or_default(),
                None => 0.0,
            }
        };
        sum.add(Amount {
            cpu: of("cpu"),
            memory: of("memory"),
        });
    }
    sum
}

/// `500m`, `2`, `128Mi`, `1G`
fn quantity(text: &str) -> f64 {
    const UNITS: &[(&str, f64)] = &[
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("m", 0.001),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
    ];
    let unit = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((text, 1.0));
    digits.parse::<f64>().unwrap_or_default() * factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        let cases = [
            ("500m", 0.5),
            ("2", 2.0),
            ("128Mi", 134_217_728.0),
            ("1G", 1e9),
            ("", 0.0),
        ];
        for (text, wanted) in cases {
            assert!((quantity(text) - wanted).abs() < 1e-6, "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let node =
            json!({"metadata": {"name": "n1"}, "status": {"allocatable": {"cpu": "2", "memory": "1Gi"}}});
        let pod = |requests: Value| json!({"spec": {"containers": [{"resources": {"requests": requests}}]}});
        let mut used = Use(BTreeMap::new());
        assert_eq!(used.lack(&node, &pod(json!({"cpu": "1500m"}))), None);
        used.add("n1", &pod(json!({"cpu": "1500m"})));
        assert_eq!(
            used.lack(&node, &pod(json!({"cpu": 1}))),
            Some("Insufficient cpu")
        );
        assert_eq!(
            used.lack(&node, &pod(json!({"memory": "2Gi"}))),
            Some("Insufficient memory")
        );
        assert_eq!(used.lack(&node, &json!({"spec": {"containers": [{}]}})), None);
    }
}
