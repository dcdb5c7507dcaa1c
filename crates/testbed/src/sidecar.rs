//! The sidecar tried against the types: whatever the documentation states about an option must be so.

use ansible_module::{Call, Module, OptionKind, options, params};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

#[derive(Deserialize)]
pub struct Sidecar {
    #[serde(rename = "DOCUMENTATION")]
    documentation: Documentation,
    #[serde(rename = "EXAMPLES")]
    examples: String,
    #[serde(rename = "RETURN")]
    returned: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Documentation {
    module: String,
    #[serde(default)]
    options: BTreeMap<String, Documented>,
}

#[derive(Deserialize)]
struct Documented {
    r#type: String,
    #[serde(default)]
    required: bool,
    default: Option<Value>,
    #[serde(default)]
    choices: Vec<Value>,
    #[serde(default)]
    aliases: Vec<String>,
}

impl Sidecar {
    pub fn of<M: Module>() -> Self {
        serde_yaml_ng::from_str(M::DOC).unwrap_or_else(|error| panic!("the sidecar of {}: {error}", M::NAME))
    }

    pub fn returns(&self, key: &str) -> bool {
        self.returned.contains_key(key)
    }

    /// The arguments of each example task of this module, with templates replaced by a value of their type.
    fn examples<M: Module>(&self) -> Vec<Map<String, Value>> {
        let tasks: Vec<Map<String, Value>> =
            serde_yaml_ng::from_str(&self.examples).expect("EXAMPLES are YAML");
        let name = format!("homelab.k3s.{}", M::NAME);
        let kinds = options::<M::Params>();
        let arguments = |task: &Map<String, Value>| {
            let Some(Value::Object(arguments)) = task.get(&name) else {
                return None;
            };
            let mut arguments = arguments.clone();
            for (key, value) in &mut arguments {
                if value.as_str().is_some_and(|text| text.contains("{{")) {
                    *value = sample(
                        kinds
                            .get(key.as_str())
                            .map_or(OptionKind::Str, |option| option.r#type),
                    );
                }
            }
            Some(arguments)
        };
        tasks.iter().filter_map(arguments).collect()
    }
}

fn sample(kind: OptionKind) -> Value {
    match kind {
        OptionKind::Bool => true.into(),
        OptionKind::Int => 101.into(),
        OptionKind::Float => 1.0.into(),
        // What is raw takes a list as well as a text, and an empty one fits any of them.
        OptionKind::List | OptionKind::Raw => Value::Array(Vec::new()),
        OptionKind::Dict => Value::Object(Map::new()),
        OptionKind::Str => "v1.31.5+k3s1".into(),
    }
}

/// Tries each statement of the sidecar's options: names, aliases, types, choices, required, defaults, examples.
pub fn assert_sidecar_describes<M: Module>()
where
    M::Params: PartialEq + Debug,
{
    let sidecar = Sidecar::of::<M>();
    let documented = &sidecar.documentation.options;
    assert_eq!(sidecar.documentation.module, M::NAME);
    let typed = options::<M::Params>();
    let names: BTreeSet<&str> = documented
        .iter()
        .flat_map(|(name, option)| option.aliases.iter().map(String::as_str).chain([name.as_str()]))
        .collect();
    assert_eq!(
        names,
        typed.keys().copied().collect(),
        "options of the sidecar (left) and of Params (right)"
    );
    for (name, option) in documented {
        let spec = &typed[name.as_str()];
        assert_eq!(kind_name(&option.r#type), spec_name(spec.r#type), "{name}: type");
        let choices: Vec<String> = option
            .choices
            .iter()
            .map(|choice| choice.as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(choices, spec.choices, "{name}: choices");
    }
    let examples = sidecar.examples::<M>();
    assert!(
        !examples.is_empty(),
        "EXAMPLES has no task of homelab.k3s.{}",
        M::NAME
    );
    for example in &examples {
        accept::<M>(example).unwrap_or_else(|error| panic!("example {example:?}: {error:#}"));
        for (name, option) in documented {
            assert_statement::<M>(example, name, option);
        }
        if documented.contains_key("vmid") {
            assert_refuses_other_ids::<M>(example);
        }
    }
}

/// Proxmox VE has no guest of such an id.
fn assert_refuses_other_ids<M: Module>(example: &Map<String, Value>) {
    let with = |vmid: u32| {
        let mut arguments = example.clone();
        arguments.remove("pct_id");
        arguments.insert("vmid".to_owned(), vmid.into());
        accept::<M>(&arguments).err().map(|error| format!("{error:#}"))
    };
    // What is done on the control node takes no container.
    if with(101).is_some() {
        return;
    }
    for vmid in [0, 1, 99, 1_000_000_000] {
        let error = with(vmid);
        assert!(
            error
                .as_ref()
                .is_some_and(|error| error.contains(&format!("vmid: {vmid} is not"))),
            "vmid {vmid}: {error:?}"
        );
    }
}

/// Required: leaving it out is refused. A default: leaving it out is the same as giving it.
fn assert_statement<M: Module>(example: &Map<String, Value>, name: &str, option: &Documented)
where
    M::Params: PartialEq + Debug,
{
    let mut without = example.clone();
    for name in option.aliases.iter().map(String::as_str).chain([name]) {
        without.remove(name);
    }
    if option.required {
        assert!(
            accept::<M>(&without).is_err(),
            "{name} is documented as required, but {without:?} is accepted"
        );
    }
    let (Some(default), Ok(left_out)) = (&option.default, accept::<M>(&without)) else {
        return;
    };
    let mut with = without;
    with.insert(name.to_owned(), default.clone());
    let given =
        accept::<M>(&with).unwrap_or_else(|error| panic!("{name}: its documented default: {error:#}"));
    assert_eq!(
        left_out, given,
        "{name}: leaving it out is not the documented default {default}"
    );
}

fn accept<M: Module>(arguments: &Map<String, Value>) -> anyhow::Result<M::Params> {
    params::<M>(&Call {
        arguments: arguments.clone(),
        ..Call::default()
    })
}

/// A path is a string to a module.
fn kind_name(documented: &str) -> &str {
    if documented == "path" { "str" } else { documented }
}

fn spec_name(kind: OptionKind) -> &'static str {
    match kind {
        OptionKind::Str => "str",
        OptionKind::Bool => "bool",
        OptionKind::Int => "int",
        OptionKind::Float => "float",
        OptionKind::List => "list",
        OptionKind::Dict => "dict",
        OptionKind::Raw => "raw",
    }
}
