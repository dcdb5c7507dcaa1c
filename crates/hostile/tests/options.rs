//! Options that no module may accept, whichever of them has them: generated from the arguments of all transcripts.
#![allow(clippy::unwrap_used, clippy::panic)]

use hostile::{calls, refusal, run_with};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

fn with(arguments: &Map<String, Value>, option: &str, value: Value) -> Vec<u8> {
    let mut arguments = arguments.clone();
    arguments.insert(option.to_owned(), value);
    serde_json::to_vec(&arguments).unwrap()
}

/// The options of a call, each of them once for each module.
fn options() -> Vec<(&'static str, Map<String, Value>, String)> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for (module, arguments) in calls() {
        for option in arguments.keys().filter(|key| !key.starts_with('_')) {
            if seen.insert((module, option.clone())) {
                all.push((module, arguments.clone(), option.clone()));
            }
        }
    }
    assert!(all.len() > 150, "{} options", all.len());
    all
}

#[test]
fn every_module_refuses_a_vmid_that_proxmox_does_not_give() {
    let mut modules = BTreeSet::new();
    for (module, arguments, option) in options() {
        if option != "vmid" {
            continue;
        }
        modules.insert(module);
        for vmid in [0, 1, 7, 99, 1_000_000_000] {
            let refused = refusal(module, &with(&arguments, "vmid", vmid.into()));
            let text = refused.unwrap_or_else(|| panic!("{module} accepts vmid {vmid}"));
            assert!(
                text.contains("vmid: ") && text.contains(&vmid.to_string()),
                "{text}"
            );
        }
        assert_eq!(
            refusal(module, &with(&arguments, "vmid", 100.into())),
            None,
            "{module}"
        );
    }
    assert!(modules.len() >= 15, "{modules:?}");
}

#[test]
fn a_value_of_the_wrong_type_is_refused_by_the_name_of_its_option() {
    let mut wrong = Vec::new();
    for (module, arguments, option) in options() {
        for value in [
            json!([]),
            json!({}),
            json!([[1]]),
            json!({"x": {"y": []}}),
            json!(-1),
            json!("\u{0}"),
            json!(true),
            json!([null]),
        ] {
            let Some(text) = refusal(module, &with(&arguments, &option, value.clone())) else {
                continue;
            };
            if !text.contains(&option) {
                wrong.push(format!("{module} {option}={value}: {text}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} options are not named:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn no_number_overflows_a_clock() {
    for (module, arguments, option) in options() {
        for value in [
            json!(i64::MAX),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(i32::MAX),
            json!("9223372036854775807"),
            json!(1e300),
        ] {
            // An answer, whatever it is: a panic would end the test.
            let _ = run_with(module, &with(&arguments, &option, value), b"1refused");
        }
    }
}

#[test]
fn a_very_long_name_makes_no_very_long_answer() {
    let name = "n".repeat(1 << 20);
    for (module, arguments, option) in options() {
        if arguments[&option].is_string()
            && let Some(answer) = run_with(module, &with(&arguments, &option, name.clone().into()), b"1no")
        {
            let length = answer.to_string().len();
            assert!(length < 4 << 20, "{module} {option}: {length} bytes");
        }
    }
}
