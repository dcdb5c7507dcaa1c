//! Bodies in protobuf: kubectl since 1.35 sends evictions and the options of a deletion in that form. What the stand-in does
//! not use of them is skipped. Answers are JSON, which every client takes.

use prost::Message;
use serde_json::{Value, json};

const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(message, optional, tag = "1")]
    about: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct Eviction {
    #[prost(message, optional, tag = "2")]
    options: Option<DeleteOptions>,
}

#[derive(Clone, PartialEq, Message)]
struct DeleteOptions {
    #[prost(int64, optional, tag = "1")]
    grace: Option<i64>,
    #[prost(message, optional, tag = "2")]
    preconditions: Option<Preconditions>,
}

#[derive(Clone, PartialEq, Message)]
struct Preconditions {
    #[prost(string, tag = "1")]
    uid: String,
    #[prost(string, tag = "2")]
    version: String,
}

impl DeleteOptions {
    fn json(self) -> Value {
        let conditions = self.preconditions.unwrap_or_default();
        json!({
            "gracePeriodSeconds": self.grace,
            "preconditions": {"uid": conditions.uid, "resourceVersion": conditions.version},
        })
    }
}

/// The object in an envelope; nothing if it is of another kind.
pub fn object(body: &[u8]) -> Option<Value> {
    let envelope = Envelope::decode(body.strip_prefix(MAGIC)?).ok()?;
    let raw = envelope.raw.as_slice();
    match envelope.about?.kind.as_str() {
        "DeleteOptions" => Some(DeleteOptions::decode(raw).ok()?.json()),
        "Eviction" => {
            let options = Eviction::decode(raw).ok()?.options.unwrap_or_default();
            Some(json!({"deleteOptions": options.json()}))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_options_of_a_deletion_and_nothing_else() {
        // v1 DeleteOptions {gracePeriodSeconds: 0, preconditions: {uid: "ab"}}
        let body =
            b"k8s\0\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions\x12\x08\x08\x00\x12\x04\x0a\x02ab\x1a\x00\x22\x00";
        let options = object(body).unwrap();
        assert_eq!(
            (&options["gracePeriodSeconds"], &options["preconditions"]["uid"]),
            (&json!(0), &json!("ab"))
        );
        for body in [&b"k8s\0\x0a\x05\x12\x03Pod"[..], b"{}", b"k8s\0\xff"] {
            assert_eq!(object(body), None);
        }
    }
}
