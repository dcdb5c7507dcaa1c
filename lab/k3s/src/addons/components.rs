//! The packaged components: what `kubectl get all -n kube-system` shows of a fresh cluster, and the objects that they
//! need. The load balancer's pods come with the Services that want them: see `controllers::balancers`.

use super::{SYSTEM, definitions};
use crate::json::{remove, set};
use crate::version::Version;
use serde_json::{Value, json};

/// Objects by the plural of their kind.
pub(crate) type Objects = Vec<(&'static str, Value)>;

/// By the word that `--disable` takes.
pub(super) fn all() -> Vec<(&'static str, Objects)> {
    vec![
        ("coredns", with_addon(coredns(), &["coredns"])),
        ("local-storage", with_addon(local_storage(), &["local-storage"])),
        (
            "metrics-server",
            with_addon(
                metrics_server(),
                &[
                    "metrics-apiservice",
                    "metrics-server-deployment",
                    "metrics-server-service",
                ],
            ),
        ),
        ("traefik", with_addon(traefik(), &["traefik"])),
    ]
}

/// k3s keeps an Addon for each file of its folder of manifests.
fn with_addon(mut objects: Objects, files: &[&str]) -> Objects {
    for file in files {
        let folder = if file.starts_with("metrics-") {
            "metrics-server/"
        } else {
            ""
        };
        let source = format!("/var/lib/rancher/k3s/server/manifests/{folder}{file}.yaml");
        let addon = json!({"metadata": metadata(file), "spec": {"source": source}});
        objects.push(("addons", addon));
    }
    objects
}

fn metadata(name: &str) -> Value {
    json!({"name": name, "namespace": SYSTEM})
}

/// The taints that servers are usually given.
const SERVERS: &[(&str, &str)] = &[
    ("CriticalAddonsOnly", ""),
    ("node-role.kubernetes.io/control-plane", "NoSchedule"),
    ("node-role.kubernetes.io/master", "NoSchedule"),
];

fn tolerations(keys: &[(&str, &str)]) -> Value {
    let toleration = |(key, effect): &(&str, &str)| match *effect {
        "" => json!({"key": key, "operator": "Exists"}),
        effect => json!({"key": key, "operator": "Exists", "effect": effect}),
    };
    keys.iter().map(toleration).collect()
}

fn workload(own: &str, label: (&str, &str), image: &str) -> Value {
    let labels = json!({label.0: label.1});
    let mut metadata = metadata(own);
    metadata["labels"] = labels.clone();
    json!({
        "metadata": metadata,
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [{"name": own, "image": format!("rancher/{image}")}],
                    "tolerations": tolerations(SERVERS), "serviceAccountName": own,
                    "priorityClassName": "system-cluster-critical", "nodeSelector": {"kubernetes.io/os": "linux"},
                },
            },
        },
    })
}

fn account(own: &str) -> (&'static str, Value) {
    ("serviceaccounts", json!({"metadata": metadata(own)}))
}

fn asking(mut deployment: Value, cpu: &str, memory: &str) -> Value {
    let requests = json!({"requests": {"cpu": cpu, "memory": memory}});
    deployment["spec"]["template"]["spec"]["containers"][0]["resources"] = requests;
    deployment
}

fn coredns() -> Objects {
    let deployment = workload(
        "coredns",
        ("k8s-app", "kube-dns"),
        "mirrored-coredns-coredns:1.14.6",
    );
    let mut deployment = asking(deployment, "100m", "70Mi");
    set(
        &mut deployment,
        &["spec", "strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}),
    );
    let map = json!({"metadata": metadata("coredns"), "data": {"Corefile": ".:53 {\n    errors\n    health\n    ready\n}\n"}});
    let service = json!({
        "metadata": metadata("kube-dns"),
        "spec": {
            "clusterIP": "10.43.0.10", "selector": {"k8s-app": "kube-dns"},
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
                {"name": "metrics", "port": 9153, "protocol": "TCP", "targetPort": 9153},
            ],
        },
    });
    vec![
        account("coredns"),
        ("configmaps", map),
        ("services", service),
        ("deployments", deployment),
    ]
}

fn local_storage() -> Objects {
    let class = json!({
        "metadata": {"name": "local-path", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "rancher.io/local-path", "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer",
    });
    let own = "local-path-provisioner";
    let mut deployment = workload(own, ("app", own), "local-path-provisioner:v0.0.36");
    set(
        &mut deployment,
        &["spec", "template", "spec", "serviceAccountName"],
        json!("local-path-provisioner-service-account"),
    );
    let folders = json!({"nodePathMap": [{
        "node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": ["/var/lib/rancher/k3s/storage"],
    }]});
    let map =
        json!({"metadata": metadata("local-path-config"), "data": {"config.json": folders.to_string()}});
    vec![
        ("storageclasses", class),
        account("local-path-provisioner-service-account"),
        ("configmaps", map),
        ("deployments", deployment),
    ]
}

/// Its emptyDir is what makes a plain drain refuse.
fn metrics_server() -> Objects {
    let own = "metrics-server";
    let deployment = workload(own, ("k8s-app", own), "mirrored-metrics-server:v0.9.0");
    let mut deployment = asking(deployment, "100m", "70Mi");
    set(
        &mut deployment,
        &["spec", "template", "spec", "volumes"],
        json!([{"name": "tmp-dir", "emptyDir": {}}]),
    );
    let service = json!({
        "metadata": metadata(own),
        "spec": {"selector": {"k8s-app": own}, "ports": [{"name": "https", "port": 443, "targetPort": "https"}]},
    });
    let api = json!({
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true, "service": {"name": own, "namespace": SYSTEM, "port": 443},
        },
    });
    vec![
        account(own),
        ("services", service),
        ("apiservices", api),
        ("deployments", deployment),
    ]
}

/// One for all versions of k3s here.
const CHART_VERSION: &str = "40.1.3+up40.1.0";
/// Since July 2026 Traefik's charts are not uninstalled when an upgrade of theirs has failed.
const TRIES_AGAIN: &[(u32, u32)] = &[(36, 3)];

/// The charts that bring Traefik, in the order of their making.
fn charts() -> &'static [&'static str] {
    // Since then the Gateway API has a chart of its own.
    if Version::current().since(37) {
        &["gateway-api-crd", "traefik-crd", "traefik"]
    } else {
        &["traefik-crd", "traefik"]
    }
}

fn traefik() -> Objects {
    let mut objects = Objects::new();
    for chart in charts() {
        let source = format!("https://%{{KUBERNETES_API}}%/static/charts/{chart}-{CHART_VERSION}.tgz");
        let job = format!("helm-install-{chart}");
        let mut spec = json!({"chart": source, "bootstrap": false});
        if *chart == "gateway-api-crd" {
            spec["takeOwnership"] = json!(true);
        }
        if Version::current().has(TRIES_AGAIN) {
            spec["forceConflicts"] = json!(true);
            spec["failurePolicy"] = json!("retry");
        }
        let status = json!({"jobName": job});
        objects.push((
            "helmcharts",
            json!({"metadata": metadata(chart), "spec": spec, "status": status}),
        ));
        objects.push(account(&format!("helm-{chart}")));
    }
    objects.push(account("traefik"));
    objects.extend(charts().iter().flat_map(|chart| of_chart(chart)));
    objects
}

/// What a packaged chart makes, with Helm's marks.
pub(crate) fn of_chart(chart: &str) -> Objects {
    let mut objects: Objects = definitions::of_chart(chart, Version::current())
        .into_iter()
        .map(|definition| ("customresourcedefinitions", definition))
        .collect();
    if chart == "traefik" {
        objects.extend(traefik_itself());
    }
    objects
        .into_iter()
        .map(|(plural, object)| (plural, released(object, chart)))
        .collect()
}

fn traefik_itself() -> Objects {
    let label = ("app.kubernetes.io/name", "traefik");
    let mut metadata = metadata("traefik");
    metadata["labels"] = json!({label.0: label.1});
    let service = json!({
        "metadata": metadata,
        "spec": {
            "type": "LoadBalancer", "selector": {label.0: label.1}, "externalTrafficPolicy": "Cluster",
            "ports": [
                {"name": "web", "port": 80, "protocol": "TCP", "targetPort": "web"},
                {"name": "websecure", "port": 443, "protocol": "TCP", "targetPort": "websecure"},
            ],
        },
    });
    let class =
        json!({"metadata": {"name": "traefik"}, "spec": {"controller": "traefik.io/ingress-controller"}});
    vec![
        (
            "deployments",
            workload("traefik", label, "mirrored-library-traefik:3.7.4"),
        ),
        ("services", service),
        ("ingressclasses", class),
    ]
}

/// What Helm says of an object that it made.
fn released(mut object: Value, release: &str) -> Value {
    let owner = [
        ("meta.helm.sh/release-name", release),
        ("meta.helm.sh/release-namespace", SYSTEM),
    ];
    for (key, value) in owner {
        set(&mut object, &["metadata", "annotations", key], json!(value));
    }
    set(
        &mut object,
        &["metadata", "labels", "app.kubernetes.io/managed-by"],
        json!("Helm"),
    );
    object
}

/// Made by k3s's controller of charts. It tolerates no taint, and is tried again for ever.
pub(crate) fn install_job(own: &str, chart: &str) -> Value {
    let mut job = workload(
        own,
        ("helmcharts.helm.cattle.io/chart", chart),
        "klipper-helm:v0.13.3-build20260727",
    );
    // Made anew from the job's own uid.
    remove(&mut job, &["spec", "selector"]);
    job["spec"]["backoffLimit"] = json!(1000);
    let spec = &mut job["spec"]["template"]["spec"];
    remove(spec, &["tolerations"]);
    remove(spec, &["priorityClassName"]);
    spec["restartPolicy"] = json!("OnFailure");
    spec["serviceAccountName"] = json!(format!("helm-{chart}"));
    spec["containers"][0]["name"] = json!("helm");
    job
}
