//! Admission webhooks, as far as the lab has them: there is nobody in it who answers one, so a request for which one has to
//! be asked is refused. Only deletions of whole kinds are looked at.

use crate::api::status::{Outcome, Refusal};
use crate::json::{items, text};
use crate::kinds::Kind;
use serde_json::Value;
use std::sync::Arc;

pub(crate) fn check_delete(kind: &Kind, configurations: &[Arc<Value>]) -> Outcome<()> {
    let hooks = configurations.iter().flat_map(|one| items(one, "/webhooks"));
    for hook in hooks.filter(|hook| text(hook, "/failurePolicy") != "Ignore") {
        if items(hook, "/rules").iter().any(|rule| covers(rule, kind)) {
            let (name, url) = (text(hook, "/name"), text(hook, "/clientConfig/url"));
            let seconds = hook
                .pointer("/timeoutSeconds")
                .and_then(Value::as_u64)
                .unwrap_or(10);
            let address = url.split('/').nth(2).unwrap_or_default();
            let message = format!(
                "Internal error occurred: failed calling webhook \"{name}\": Post \"{url}?timeout={seconds}s\": dial tcp {address}: \
                 connect: connection refused"
            );
            return Err(Refusal::new(500, "InternalError", message));
        }
    }
    Ok(())
}

fn covers(rule: &Value, kind: &Kind) -> bool {
    let names = |field: &str, wanted: &str| {
        let listed = items(rule, field).iter().filter_map(Value::as_str);
        listed.into_iter().any(|one| one == "*" || one == wanted)
    };
    names("/operations", "DELETE") && names("/apiGroups", &kind.group) && names("/resources", &kind.plural)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use serde_json::json;

    #[test]
    fn only_what_a_rule_names_is_refused() {
        let hook = |policy: &str| {
            let rules = json!([{
                "operations": ["DELETE"], "apiGroups": ["apiextensions.k8s.io"], "apiVersions": ["*"],
                "resources": ["customresourcedefinitions"],
            }]);
            let hook = json!({"name": "kept", "rules": rules, "failurePolicy": policy, "clientConfig": {"url": "https://127.0.0.1:1/"}, "timeoutSeconds": 1});
            [Arc::new(json!({"webhooks": [hook]}))]
        };
        let definitions = kinds::of("customresourcedefinitions");
        let refused = check_delete(&definitions, &hook("Fail")).unwrap_err();
        // As recorded from v1.21.2 and v1.22.5.
        assert_eq!(
            refused.message(),
            "Internal error occurred: failed calling webhook \"kept\": Post \"https://127.0.0.1:1/?timeout=1s\": dial tcp 127.0.0.1:1: \
             connect: connection refused"
        );
        assert!(check_delete(&definitions, &hook("Ignore")).is_ok());
        assert!(check_delete(&kinds::of("ingressclasses"), &hook("Fail")).is_ok());
        assert!(check_delete(&definitions, &[]).is_ok());
    }
}
