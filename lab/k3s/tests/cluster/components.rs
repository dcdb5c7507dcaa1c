//! The packaged components of a fresh cluster, and those that are switched off.

use crate::lab::{DEMO, Lab, VERSION};
use serde_json::Value;

impl Lab {
    fn names(&self, what: &str) -> Vec<String> {
        let listed = self.get(&format!("{what} -n kube-system -o name"));
        listed
            .lines()
            .map(|line| line.rsplit('/').next().unwrap().to_owned())
            .collect()
    }
}

fn count(names: &[String], start: &str) -> usize {
    names.iter().filter(|name| name.starts_with(start)).count()
}

#[test]
fn a_fresh_cluster_has_its_components_and_all_are_well() {
    let lab = Lab::start(VERSION, 2);
    lab.wait_for("the components", || {
        let available = lab.get("deploy -n kube-system -o jsonpath={.items[*].status.availableReplicas}");
        let daemons = lab.get("ds -n kube-system -o jsonpath={.items[*].status.numberReady}");
        available == "1 1 1 1" && daemons == "2"
    });
    for job in ["job/helm-install-traefik", "job/helm-install-traefik-crd"] {
        lab.run(&[
            "wait",
            "-n",
            "kube-system",
            "--for=condition=complete",
            job,
            "--timeout=30s",
        ]);
    }
    assert_eq!(
        lab.names("deploy"),
        ["coredns", "local-path-provisioner", "metrics-server", "traefik"]
    );
    let pods = lab.names("pods");
    for start in [
        "coredns-",
        "local-path-provisioner-",
        "metrics-server-",
        "traefik-",
    ] {
        assert_eq!(count(&pods, start), 1, "{pods:?}");
    }
    assert_eq!(
        (
            count(&pods, "helm-install-traefik-"),
            count(&pods, "svclb-traefik-"),
            pods.len()
        ),
        (2, 2, 8)
    );
    assert_eq!(lab.names("svc"), ["kube-dns", "metrics-server", "traefik"]);
    assert_eq!(lab.names("helmcharts"), ["traefik", "traefik-crd"]);
    assert!(lab.names("addons").contains(&"coredns".to_owned()));
}

#[test]
fn what_is_disabled_is_not_there_and_goes_when_it_was() {
    let lab = Lab::start(VERSION, 1);
    lab.wait_for("the balancer", || count(&lab.names("pods"), "svclb-") == 1);
    lab.kill("n1");
    lab.start_server_with(
        VERSION,
        &["--disable", "traefik,metrics-server", "--disable=coredns"],
    );
    lab.wait_for("an answer", || lab.kubectl(&["get", "nodes"]).status.success());
    lab.wait_for("the end of the disabled ones", || {
        lab.names("deploy") == ["local-path-provisioner"] && lab.names("pods").len() == 1
    });
    for kind in ["svc", "ds", "jobs", "helmcharts"] {
        assert_eq!(lab.names(kind), Vec::<String>::new(), "{kind}");
    }
    assert_eq!(lab.names("addons"), ["local-storage"]);
}

#[test]
fn a_service_of_ones_own_gets_a_balancer_unless_that_is_disabled() {
    let lab = Lab::start(VERSION, 1);
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: own, namespace: demo}\nspec: {type: LoadBalancer, \
                   ports: [{name: a, port: 8443}]}\n";
    lab.apply(&[DEMO, service].concat());
    // Each has a part of its Service's uid after the name.
    let balancers = || {
        let names = lab.names("ds");
        ["svclb-own-", "svclb-traefik-"].map(|start| count(&names, start))
    };
    lab.wait_for("two balancers", || balancers() == [1, 1]);
    let name = lab.names("ds").remove(0);
    let own: Value = serde_json::from_str(&lab.get(&format!("ds -n kube-system {name} -o json"))).unwrap();
    assert_eq!(
        own["spec"]["template"]["spec"]["containers"][0]["name"],
        "lb-tcp-8443"
    );
    lab.run(&["delete", "svc", "-n", "demo", "own"]);
    lab.wait_for("the end of one", || balancers() == [0, 1]);
    lab.kill("n1");
    lab.start_server_with(VERSION, &["--disable", "servicelb"]);
    lab.wait_for("an answer", || lab.kubectl(&["get", "nodes"]).status.success());
    lab.wait_for("the end of the other", || lab.names("ds").is_empty());
    assert!(lab.names("deploy").contains(&"traefik".to_owned()));
}
