//! Typed options from loosely typed arguments.
//!
//! Ansible sends `"7"` where 7 is meant, `"yes"` for true, `"a,b"` for a list, and an empty string for a
//! variable that is none. One deserializer accepts all that, so that `Params` are plain serde structs.

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde_json::{Map, Value};
use std::fmt;

/// Why the arguments were refused, naming the option.
#[derive(Debug)]
pub(crate) struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self(format!("missing required arguments: {field}"))
    }
}

pub(crate) fn from_arguments<T: DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, Refused> {
    T::deserialize(Loose {
        value: Value::Object(arguments),
        option: String::new(),
    })
}

struct Loose {
    value: Value,
    /// The option that the value belongs to, for messages: `environment.K3S_URL`.
    option: String,
}

impl Loose {
    fn refuse(&self, wanted: &str) -> Refused {
        let got = match &self.value {
            Value::String(_) => "a string".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a dictionary".to_owned(),
            other => other.to_string(),
        };
        Refused(format!("{}: {wanted} was expected, {got} was given", self.option))
    }

    fn bool(&self) -> Result<bool, Refused> {
        let text = match &self.value {
            Value::Bool(value) => return Ok(*value),
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.trim().to_lowercase(),
            _ => return Err(self.refuse("a boolean")),
        };
        match text.as_str() {
            "yes" | "y" | "on" | "true" | "t" | "1" | "1.0" => Ok(true),
            "no" | "n" | "off" | "false" | "f" | "0" | "0.0" => Ok(false),
            _ => Err(self.refuse("a boolean (yes or no)")),
        }
    }

    /// An option is a time, a number of things or an id; a larger number would overflow a clock. What other modules have answered may
    /// have larger ones.
    fn integer(&self) -> Result<i64, Refused> {
        let number = self.any_integer()?;
        let is_option = !self.option.contains('.');
        if is_option && i32::try_from(number).is_err() {
            return Err(Refused(format!(
                "{}: {} to {} was expected, {number} was given",
                self.option,
                i32::MIN,
                i32::MAX
            )));
        }
        Ok(number)
    }

    fn any_integer(&self) -> Result<i64, Refused> {
        match &self.value {
            Value::Number(number) => {
                if let Some(integer) = number.as_i64() {
                    return Ok(integer);
                }
                number
                    .to_string()
                    .strip_suffix(".0")
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| self.refuse("a whole number"))
            }
            Value::String(text) => text.trim().parse().map_err(|_| self.refuse("a whole number")),
            _ => Err(self.refuse("a whole number")),
        }
    }

    fn text(self) -> Result<String, Refused> {
        match self.value {
            Value::String(text) => Ok(text),
            Value::Bool(value) => Ok(if value { "True" } else { "False" }.to_owned()),
            // 1.30 has become 1.3 on its way here: guessing would be worse than refusing.
            Value::Number(number) if number.is_f64() => Err(Refused(format!(
                "{}: {number} was read as a number and may have lost digits: quote it",
                self.option
            ))),
            Value::Number(number) => Ok(number.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => Err(self.refuse("a string")),
        }
    }
}

/// The error of an option's inner types names the option too.
fn named<T>(option: &str, result: Result<T, Refused>) -> Result<T, Refused> {
    result.map_err(|Refused(message)| {
        if option.is_empty() || message.starts_with(option) {
            Refused(message)
        } else {
            Refused(format!("{option}: {message}"))
        }
    })
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            let number = self.integer()?;
            named(&self.option, match u64::try_from(number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_i64(number),
            })
        }
    )*};
}

impl<'de> Deserializer<'de> for Loose {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let option = self.option;
        named(
            &option,
            self.value.deserialize_any(visitor).map_err(Refused::custom),
        )
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_bool(self.bool()?)
    }

    integers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let number = match &self.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        visitor.visit_f64(number.ok_or_else(|| self.refuse("a number"))?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let option = self.option.clone();
        named(&option, visitor.visit_string(self.text()?))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.value {
            Value::Null => visitor.visit_none(),
            Value::String(text) if text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let option = self.option.clone();
        let items = match self.value {
            Value::Array(items) => items,
            Value::String(text) if text.is_empty() => Vec::new(),
            Value::String(text) => text.split(',').map(|item| item.trim().into()).collect(),
            Value::Number(_) | Value::Bool(_) => vec![self.value],
            Value::Null | Value::Object(_) => return Err(self.refuse("a list")),
        };
        visitor.visit_seq(Items {
            items: items.into_iter(),
            option,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let option = self.option.clone();
        match self.value {
            Value::Object(entries) => visitor.visit_map(Entries {
                left: entries.into_iter(),
                value: None,
                option,
            }),
            Value::String(ref text) if text.is_empty() => visitor.visit_map(Entries {
                left: Map::new().into_iter(),
                value: None,
                option,
            }),
            _ => Err(self.refuse("a dictionary")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        if let Value::Object(entries) = &self.value
            && let Some(unknown) = entries.keys().find(|key| !fields.contains(&key.as_str()))
        {
            let of = if self.option.is_empty() {
                String::new()
            } else {
                format!("{}: ", self.option)
            };
            return Err(Refused(format!(
                "{of}unsupported option {unknown}; supported: {}",
                fields.join(", ")
            )));
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let option = self.option.clone();
        let text = self.text()?;
        if !variants.contains(&text.as_str()) {
            return Err(Refused(format!(
                "{option}: value must be one of: {}, got: {text}",
                variants.join(", ")
            )));
        }
        named(&option, visitor.visit_enum(Choice(text)))
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Items {
    items: std::vec::IntoIter<Value>,
    option: String,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        let Some(value) = self.items.next() else {
            return Ok(None);
        };
        seed.deserialize(Loose {
            value,
            option: self.option.clone(),
        })
        .map(Some)
    }
}

struct Entries {
    left: serde_json::map::IntoIter,
    value: Option<(String, Value)>,
    option: String,
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        let Some((key, value)) = self.left.next() else {
            return Ok(None);
        };
        let option = if self.option.is_empty() {
            key.clone()
        } else {
            format!("{}.{key}", self.option)
        };
        self.value = Some((option, value));
        let key: StringDeserializer<Refused> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let (option, value) = self
            .value
            .take()
            .ok_or_else(|| Refused::custom("a value without a key"))?;
        let name = option.clone();
        named(&name, seed.deserialize(Loose { value, option }))
    }
}

struct Choice(String);

impl<'de> EnumAccess<'de> for Choice {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        let name: StringDeserializer<Refused> = self.0.clone().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Choice {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, Refused> {
        Err(Refused::custom("a plain word was expected"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Refused> {
        Err(Refused::custom("a plain word was expected"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Refused> {
        Err(Refused::custom("a plain word was expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Options {
        flag: bool,
        #[serde(alias = "number")]
        count: u32,
        name: Option<String>,
        list: Vec<String>,
        map: std::collections::BTreeMap<String, String>,
        choice: Choices,
        token: Option<host::Secret>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Choices {
        #[default]
        WorkersFirst,
        Either,
    }

    fn read(value: Value) -> Result<Options, String> {
        let Value::Object(arguments) = value else { panic!() };
        from_arguments(arguments).map_err(|refused| refused.to_string())
    }

    #[derive(Deserialize)]
    struct Answered {
        inner: Inner,
    }

    #[derive(Deserialize)]
    struct Inner {
        bytes: u64,
    }

    #[test]
    fn refuses_numbers_that_no_option_means() {
        assert_eq!(
            read(json!({"count": i64::MAX})).unwrap_err(),
            "count: -2147483648 to 2147483647 was expected, 9223372036854775807 was given"
        );
        assert!(read(json!({"count": 2_147_483_647})).is_ok());
        // What another module has answered, such as bytes, is not an option.
        let Value::Object(arguments) = json!({"inner": {"bytes": 9_000_000_000_u64}}) else {
            panic!()
        };
        let answered: Answered = from_arguments(arguments).unwrap();
        assert_eq!(answered.inner.bytes, 9_000_000_000);
    }

    #[test]
    fn booleans_are_what_ansible_users_write() {
        for yes in [
            json!(true),
            json!("yes"),
            json!("True "),
            json!("on"),
            json!("1"),
            json!(1),
            json!("Y"),
        ] {
            assert!(read(json!({"flag": yes})).unwrap().flag, "{yes}");
        }
        for no in [json!(false), json!("no"), json!("off"), json!(0), json!("False")] {
            assert!(!read(json!({"flag": no})).unwrap().flag, "{no}");
        }
        assert_eq!(
            read(json!({"flag": "maybe"})).unwrap_err(),
            "flag: a boolean (yes or no) was expected, a string was given"
        );
    }

    #[test]
    fn numbers_come_as_strings_too() {
        assert_eq!(read(json!({"count": " 7 "})).unwrap().count, 7);
        assert_eq!(read(json!({"number": 7})).unwrap().count, 7);
        assert!(
            read(json!({"count": "seven"}))
                .unwrap_err()
                .starts_with("count: a whole number")
        );
        assert!(read(json!({"count": -1})).unwrap_err().starts_with("count: "));
        assert!(
            read(json!({"count": 1.5}))
                .unwrap_err()
                .starts_with("count: a whole number")
        );
    }

    #[test]
    fn an_empty_string_is_an_option_left_out() {
        assert_eq!(read(json!({"name": ""})).unwrap().name, None);
    }

    #[test]
    fn lists_come_with_commas_and_single_values() {
        assert_eq!(read(json!({"list": "a, b"})).unwrap().list, ["a", "b"]);
        assert_eq!(read(json!({"list": ["a", 5]})).unwrap().list, ["a", "5"]);
        assert_eq!(read(json!({"list": 5})).unwrap().list, ["5"]);
    }

    #[test]
    fn what_yaml_made_a_number_of_is_not_guessed() {
        assert!(read(json!({"name": 1.3})).unwrap_err().contains("quote it"));
        assert_eq!(read(json!({"name": 130})).unwrap().name.as_deref(), Some("130"));
    }

    #[test]
    fn an_unknown_option_is_named_with_the_known_ones() {
        let message = read(json!({"cuont": 7})).unwrap_err();
        assert!(
            message.starts_with("unsupported option cuont; supported: flag, count"),
            "{message}"
        );
    }

    #[test]
    fn a_choice_outside_the_list_is_refused() {
        assert_eq!(read(json!({"choice": "either"})).unwrap().choice, Choices::Either);
        assert_eq!(
            read(json!({"choice": "x"})).unwrap_err(),
            "choice: value must be one of: workers_first, either, got: x"
        );
    }

    #[test]
    fn dictionaries_keep_their_strings() {
        assert_eq!(read(json!({"map": {"A": 1, "B": "x"}})).unwrap().map["A"], "1");
        assert!(
            read(json!({"map": {"A": [1]}}))
                .unwrap_err()
                .starts_with("map.A: a string")
        );
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        let options = read(json!({"token": "s3cr3t"})).unwrap();
        assert!(!format!("{options:?}").contains("s3cr3t"));
        assert_eq!(options.token.unwrap().expose(), "s3cr3t");
    }
}
