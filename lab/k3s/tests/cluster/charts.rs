//! The controller of charts: Helm's marks, what a wrong one brings about, and what the failure policy decides.

use crate::lab::{Lab, VERSION};

const ROUTE: &str = "apiVersion: traefik.io/v1alpha1\nkind: IngressRoute\nmetadata: {name: web, namespace: default}\nspec: {}\n";
const CONFIG: &str = "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata: {name: traefik-crd, namespace: kube-system}\nspec: {failurePolicy: abort}\n";
const POLICY: &str = "{.spec.template.spec.containers[0].env[?(@.name=='FAILURE_POLICY')].value}";
const CRD: &str = "ingressroutes.traefik.io";

impl Lab {
    fn in_system(&self, what: &str) -> String {
        self.get(&format!("{what} -n kube-system"))
    }

    fn installed(&self) {
        self.wait_for("the release", || {
            self.in_system("secrets -l name=traefik-crd -o jsonpath={.items[*].metadata.labels.status}")
                .ends_with("deployed")
                && self.in_system("job helm-install-traefik-crd -o jsonpath={.status.succeeded}") == "1"
        });
    }

    fn run_again(&self) {
        self.run(&["delete", "job", "-n", "kube-system", "helm-install-traefik-crd"]);
    }

    /// The next try of Helm fails half-way.
    fn fail_next(&self) {
        let chart = ["-n", "kube-system", "traefik-crd", "lab/helm-fails=1"];
        self.run(&[&["annotate", "helmchart"][..], &chart].concat());
        self.run_again();
    }

    fn said(&self) -> String {
        self.in_system("pods -l job-name=helm-install-traefik-crd -o jsonpath={.items[*].status.containerStatuses[0].lastState.terminated.message}")
    }
}

#[test]
fn an_object_without_marks_fails_the_install_until_it_has_them() {
    let lab = Lab::start(VERSION, 1);
    lab.installed();
    lab.apply(ROUTE);
    lab.run(&["label", "crd", CRD, "app.kubernetes.io/managed-by-"]);
    // What the release has already, Helm does not mind.
    lab.run_again();
    lab.wait_for("a second revision", || {
        lab.in_system("secrets -l name=traefik-crd,version=2 -o name")
            .contains("v2")
    });
    lab.installed();
    lab.run(&["delete", "secret", "-n", "kube-system", "-l", "name=traefik-crd"]);
    lab.run_again();
    lab.wait_for("the fault", || lab.said().contains("invalid ownership metadata"));
    let said = lab.said();
    assert!(
        said.contains("Error: INSTALLATION FAILED: ")
            && said.contains("CustomResourceDefinition \"ingressroutes.traefik.io\" in namespace \"\" exists and cannot be imported")
            && said.contains("label validation error: missing key \"app.kubernetes.io/managed-by\": must be set to \"Helm\""),
        "{said}"
    );
    lab.run(&["label", "crd", CRD, "app.kubernetes.io/managed-by=Helm"]);
    lab.installed();
    assert!(lab.get("ingressroutes.traefik.io -n default").contains("web"));
}

#[test]
fn a_release_that_failed_is_left_or_made_anew_as_the_policy_says() {
    let lab = Lab::start(VERSION, 1);
    lab.installed();
    lab.apply(ROUTE);
    lab.apply(CONFIG);
    lab.wait_for("the policy", || {
        lab.in_system(&format!("job helm-install-traefik-crd -o jsonpath={POLICY}")) == "abort"
    });
    lab.installed();
    lab.fail_next();
    lab.wait_for("a failure that stays", || {
        lab.said().contains("waiting for operator intervention")
    });
    assert!(lab.get("ingressroutes.traefik.io -n default").contains("web"));
    // Without the policy, the definitions go, and every route with them.
    lab.run(&["delete", "helmchartconfig", "-n", "kube-system", "traefik-crd"]);
    lab.installed();
    assert!(!lab.get("ingressroutes.traefik.io -n default").contains("web"));
    assert!(
        lab.in_system("secrets -l name=traefik-crd -o name")
            .contains("v1")
    );
}

#[test]
fn a_release_that_failed_is_upgraded_again_where_that_is_the_policy() {
    let lab = Lab::start("v1.36.3+k3s1", 1);
    lab.installed();
    lab.apply(ROUTE);
    let of_job = |path: &str| lab.in_system(&format!("job helm-install-traefik-crd -o jsonpath={path}"));
    assert_eq!(of_job(POLICY), "retry");
    assert_eq!(
        of_job("{.status.conditions[0].type}/{.status.conditions[0].status}/{.status.conditions[0].reason}"),
        "Suspended/False/JobResumed"
    );
    lab.fail_next();
    lab.wait_for("two more revisions", || {
        let statuses =
            lab.in_system("secrets -l name=traefik-crd -o jsonpath={.items[*].metadata.labels.status}");
        statuses.split(' ').count() == 3 && statuses.ends_with("deployed")
    });
    assert!(lab.get("ingressroutes.traefik.io -n default").contains("web"));
}
