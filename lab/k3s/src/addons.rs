//! What a new cluster has without being asked: namespaces, the API's own service, and the packaged components
//! that a drain meets.

use crate::api::status::Refusal;
use crate::cluster::{Cluster, DeleteOptions, Part};
use crate::config::Config;
use crate::json::{name, namespace, set, text};
use crate::kinds;
use crate::log;
use serde_json::{Value, json};

const SYSTEM: &str = "kube-system";

/// Objects by the plural of their kind.
type Objects = Vec<(&'static str, Value)>;

/// Makes what is missing. Components that are disabled are removed, as k3s does.
pub async fn install(cluster: &Cluster, config: &Config) -> Result<(), Refusal> {
    for space in ["default", SYSTEM, "kube-public", "kube-node-lease"] {
        ensure(cluster, "namespaces", json!({"metadata": {"name": space}})).await?;
    }
    announce(cluster, config).await?;
    for (component, objects) in components() {
        let disabled = config.disables(component);
        for (plural, object) in objects {
            if disabled {
                remove(cluster, plural, &object).await?;
            } else {
                ensure(cluster, plural, object).await?;
            }
        }
    }
    Ok(())
}

async fn ensure(cluster: &Cluster, plural: &str, object: Value) -> Result<(), Refusal> {
    let kind = kinds::of(plural);
    if cluster.get(&kind, namespace(&object), name(&object)).is_some() {
        return Ok(());
    }
    match cluster.create(&kind, object).await {
        // Another server was faster.
        Err(refusal) if refusal.is_conflict() || refusal.message().ends_with("already exists") => Ok(()),
        other => other.map(drop),
    }
}

async fn remove(cluster: &Cluster, plural: &str, object: &Value) -> Result<(), Refusal> {
    let kind = kinds::of(plural);
    let key = (namespace(object), name(object));
    if cluster.get(&kind, key.0, key.1).is_none() {
        return Ok(());
    }
    log::info(&format!("Removing disabled component {plural}/{}", key.1));
    match cluster.delete(&kind, key, &DeleteOptions::default()).await {
        Err(refusal) if refusal.is_missing() => Ok(()),
        other => other.map(drop),
    }
}

/// This server among the addresses of the API.
async fn announce(cluster: &Cluster, config: &Config) -> Result<(), Refusal> {
    let metadata = json!({"name": "kubernetes", "namespace": "default"});
    let service = json!({
        "metadata": metadata,
        "spec": {"clusterIP": "10.43.0.1", "ports": [{"name": "https", "port": 443, "targetPort": config.port}]},
    });
    ensure(cluster, "services", service).await?;
    ensure(cluster, "endpoints", json!({"metadata": metadata, "subsets": []})).await?;
    let own = config.node_ip.clone();
    let port = config.port;
    let joined = move |endpoints: &Value| {
        let subset = &endpoints["subsets"][0];
        let mut addresses: Vec<String> = crate::json::items(subset, "/addresses")
            .iter()
            .map(|a| text(a, "/ip").to_owned())
            .collect();
        if addresses.contains(&own) && subset["ports"][0]["port"] == json!(port) {
            return Ok(None);
        }
        addresses.push(own.clone());
        addresses.sort();
        addresses.dedup();
        let addresses: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
        let mut new = endpoints.clone();
        let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
        set(
            &mut new,
            &["subsets"],
            json!([{"addresses": addresses, "ports": ports}]),
        );
        Ok(Some(new))
    };
    cluster
        .modify(
            &kinds::of("endpoints"),
            ("default", "kubernetes"),
            Part::Main,
            joined,
        )
        .await
        .map(drop)
}

fn components() -> Vec<(&'static str, Objects)> {
    vec![
        ("coredns", vec![("deployments", coredns())]),
        ("local-storage", local_storage()),
        ("metrics-server", vec![("deployments", metrics_server())]),
        ("traefik", traefik()),
        ("servicelb", vec![("daemonsets", service_balancer())]),
    ]
}

fn tolerations(keys: &[(&str, &str)]) -> Value {
    keys.iter()
        .map(|(key, effect)| json!({"key": key, "operator": "Exists", "effect": effect}))
        .collect()
}

/// The taints that servers are usually given.
const SERVERS: &[(&str, &str)] = &[
    ("CriticalAddonsOnly", ""),
    ("node-role.kubernetes.io/control-plane", "NoSchedule"),
    ("node-role.kubernetes.io/master", "NoSchedule"),
];

fn workload(own: &str, label: (&str, &str), image: &str) -> Value {
    let labels = json!({label.0: label.1});
    json!({
        "metadata": {"name": own, "namespace": SYSTEM, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{"name": own, "image": format!("rancher/{image}")}],
                    "tolerations": tolerations(SERVERS),
                    "priorityClassName": "system-cluster-critical",
                },
            },
        },
    })
}

fn coredns() -> Value {
    workload(
        "coredns",
        ("k8s-app", "kube-dns"),
        "mirrored-coredns-coredns:1.11.3",
    )
}

fn local_storage() -> Objects {
    let class = json!({
        "metadata": {"name": "local-path", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "rancher.io/local-path", "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
    });
    let deployment = workload(
        "local-path-provisioner",
        ("app", "local-path-provisioner"),
        "local-path-provisioner:v0.0.30",
    );
    vec![("storageclasses", class), ("deployments", deployment)]
}

/// Its emptyDir is what makes a plain drain refuse.
fn metrics_server() -> Value {
    let mut object = workload(
        "metrics-server",
        ("k8s-app", "metrics-server"),
        "mirrored-metrics-server:v0.7.2",
    );
    set(
        &mut object,
        &["spec", "template", "spec", "volumes"],
        json!([{"name": "tmp-dir", "emptyDir": {}}]),
    );
    object
}

fn traefik() -> Objects {
    let mut objects = Objects::new();
    for chart in ["traefik-crd", "traefik"] {
        let metadata = json!({"name": chart, "namespace": SYSTEM});
        let source = format!("https://%{{KUBERNETES_API}}%/static/charts/{chart}-27.0.201+up27.0.2.tgz");
        objects.push((
            "helmcharts",
            json!({"metadata": metadata, "spec": {"chart": source}}),
        ));
        let own = format!("helm-install-{chart}");
        let mut job = workload(
            &own,
            ("helmcharts.helm.cattle.io/chart", chart),
            "klipper-helm:v0.9.3-build20241008",
        );
        // Made anew from the job's own uid.
        crate::json::remove(&mut job, &["spec", "selector"]);
        set(
            &mut job,
            &["spec", "template", "spec", "restartPolicy"],
            json!("OnFailure"),
        );
        crate::json::remove(&mut job, &["spec", "template", "spec", "tolerations"]);
        objects.push(("jobs", job));
    }
    objects.push((
        "deployments",
        workload(
            "traefik",
            ("app.kubernetes.io/name", "traefik"),
            "mirrored-library-traefik:2.11.10",
        ),
    ));
    let service = json!({
        "metadata": {"name": "traefik", "namespace": SYSTEM},
        "spec": {
            "type": "LoadBalancer", "selector": {"app.kubernetes.io/name": "traefik"},
            "ports": [{"name": "web", "port": 80}, {"name": "websecure", "port": 443}],
        },
    });
    objects.push(("services", service));
    objects
}

fn service_balancer() -> Value {
    let mut object = workload("svclb-traefik", ("app", "svclb-traefik"), "klipper-lb:v0.4.9");
    crate::json::remove(&mut object, &["spec", "template", "spec", "priorityClassName"]);
    object
}
