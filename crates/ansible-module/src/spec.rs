//! What options a module has, asked of its types: the owner of an option's behaviour is `Params`, and the
//! documentation is compared with this.

use serde::Serialize;
use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// The type of an option, in Ansible's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OptionKind {
    Str,
    Bool,
    Int,
    Float,
    List,
    Dict,
    Raw,
}

/// One option as the types have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OptionSpec {
    pub r#type: OptionKind,
    pub no_log: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// All options of `P`, aliases among them.
pub fn options<P: DeserializeOwned>() -> BTreeMap<&'static str, OptionSpec> {
    let fields = Cell::new([].as_slice());
    let _ = P::deserialize(Struct {
        fields: &fields,
        only: None,
    });
    let mut options = BTreeMap::new();
    for field in fields.get() {
        let found = RefCell::new(OptionSpec {
            r#type: OptionKind::Raw,
            no_log: false,
            choices: Vec::new(),
        });
        let _ = P::deserialize(Struct {
            fields: &fields,
            only: Some((field, &found)),
        });
        options.insert(*field, found.into_inner());
    }
    options
}

type Refusal = serde::de::value::Error;

/// Answers a struct with one field only, whose value notes how it is asked for.
struct Struct<'a> {
    fields: &'a Cell<&'static [&'static str]>,
    only: Option<(&'static str, &'a RefCell<OptionSpec>)>,
}

impl<'de> Deserializer<'de> for Struct<'_> {
    type Error = Refusal;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.fields.set(fields);
        visitor.visit_map(OneField(self.only))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Refusal> {
        Err(Refusal::custom("options are a struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct OneField<'a>(Option<(&'static str, &'a RefCell<OptionSpec>)>);

impl<'de> MapAccess<'de> for OneField<'_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some((name, _)) = self.0 else {
            return Ok(None);
        };
        let name: StringDeserializer<Refusal> = name.to_owned().into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let Some((_, found)) = self.0.take() else {
            return Err(Refusal::custom("no field"));
        };
        seed.deserialize(Probe(found))
    }
}

/// Notes the type that is asked for and ends the attempt.
struct Probe<'a>(&'a RefCell<OptionSpec>);

impl Probe<'_> {
    fn note<T>(self, kind: OptionKind) -> Result<T, Refusal> {
        self.0.borrow_mut().r#type = kind;
        Err(Refusal::custom("noted"))
    }
}

macro_rules! note {
    ($kind:ident: $($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Refusal> {
            self.note(OptionKind::$kind)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Refusal;

    note! { Raw: deserialize_any }
    note! { Bool: deserialize_bool }
    note! { Int: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }
    note! { Float: deserialize_f32 deserialize_f64 }
    note! { Str: deserialize_str deserialize_string }
    note! { List: deserialize_seq }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    /// A dictionary is secret when its values are.
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let value = RefCell::new(OptionSpec {
            r#type: OptionKind::Raw,
            no_log: false,
            choices: Vec::new(),
        });
        let _ = visitor.visit_map(OneField(Some(("any", &value))));
        self.0.borrow_mut().no_log = value.borrow().no_log;
        self.note(OptionKind::Dict)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if name == "Secret" {
            self.0.borrow_mut().no_log = true;
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.note(OptionKind::Dict)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.0.borrow_mut().choices = variants.iter().map(ToString::to_string).collect();
        self.note(OptionKind::Str)
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its types are asked for")]
    struct Options {
        #[serde(alias = "pct_id")]
        vmid: Option<u32>,
        token: Option<host::Secret>,
        state: State,
        argv: Vec<String>,
        environment: BTreeMap<String, host::Secret>,
        labels: BTreeMap<String, String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum State {
        Drained,
        Cordoned,
    }

    #[test]
    fn spec_has_names_types_secrets_and_choices() {
        let options = options::<Options>();
        assert_eq!(options["vmid"].r#type, OptionKind::Int);
        assert!(options["token"].no_log && !options["vmid"].no_log);
        assert_eq!(options["state"].choices, ["drained", "cordoned"]);
        assert_eq!(options["argv"].r#type, OptionKind::List);
        assert!(options["environment"].no_log && !options["labels"].no_log);
        assert_eq!(options["environment"].r#type, OptionKind::Dict);
        assert!(options.contains_key("pct_id"));
    }
}
