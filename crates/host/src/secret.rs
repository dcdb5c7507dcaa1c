//! Values that must not be seen.

use serde::de::{Deserialize, Deserializer, Visitor};
use std::fmt;

/// A token, key or password. It has no `Display` and no `Serialize`, so it cannot slip into a message,
/// an answer or a file; [`Secret::expose`] is the one word to search for.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("«secret»")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FromString;
        impl<'de> Visitor<'de> for FromString {
            type Value = Secret;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E>(self, value: &str) -> Result<Secret, E> {
                Ok(Secret::new(value))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Secret, D::Error> {
                inner.deserialize_str(self)
            }
        }
        // The type's name is how the argument reader learns that this option must be censored.
        deserializer.deserialize_newtype_struct("Secret", FromString)
    }
}
