//! Bodies in protobuf: kubectl since 1.35 sends what it makes itself (`create namespace`, the options of a deletion)
//! in that form and takes no other for an answer. Only these messages are known; what they do not name is skipped.
//! Answers are JSON, which every client takes.

use crate::json::{set, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, Copy)]
enum Is {
    Text,
    Number,
    Flag,
    Texts,
    /// Text to text.
    Pairs,
    /// Text to bytes, which JSON has in base64.
    Blobs,
    One(&'static [Field]),
    Many(&'static [Field]),
    NumberOrText,
}

/// Number, name in JSON, type.
type Field = (u64, &'static str, Is);

use Is::{Blobs, Flag, Many, Number, NumberOrText, One, Pairs, Text, Texts};

const UNKNOWN: &[Field] = &[(1, "type", One(TYPE)), (2, "raw", Text)];
const TYPE: &[Field] = &[(1, "apiVersion", Text), (2, "kind", Text)];
const METADATA: &[Field] = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (11, "labels", Pairs),
    (12, "annotations", Pairs),
    (14, "finalizers", Texts),
];
const DELETE_OPTIONS: &[Field] = &[
    (1, "gracePeriodSeconds", Number),
    (
        2,
        "preconditions",
        One(&[(1, "uid", Text), (2, "resourceVersion", Text)]),
    ),
    (3, "orphanDependents", Flag),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];
const SELECTOR: &[Field] = &[
    (1, "matchLabels", Pairs),
    (
        2,
        "matchExpressions",
        Many(&[(1, "key", Text), (2, "operator", Text), (3, "values", Texts)]),
    ),
];
const BUDGET: &[Field] = &[
    (1, "minAvailable", NumberOrText),
    (2, "selector", One(SELECTOR)),
    (3, "maxUnavailable", NumberOrText),
];
const CONTAINER: &[Field] = &[
    (1, "name", Text),
    (2, "image", Text),
    (3, "command", Texts),
    (4, "args", Texts),
];
const POD: &[Field] = &[
    (2, "containers", Many(CONTAINER)),
    (3, "restartPolicy", Text),
    (7, "nodeSelector", Pairs),
];
const TEMPLATE: &[Field] = &[(1, "metadata", One(METADATA)), (2, "spec", One(POD))];
const DEPLOYMENT: &[Field] = &[
    (1, "replicas", Number),
    (2, "selector", One(SELECTOR)),
    (3, "template", One(TEMPLATE)),
    (4, "strategy", One(&[(1, "type", Text)])),
];
const JOB: &[Field] = &[
    (1, "parallelism", Number),
    (2, "completions", Number),
    (6, "template", One(TEMPLATE)),
];

fn message(kind: &str) -> Option<&'static [Field]> {
    Some(match kind {
        "DeleteOptions" => DELETE_OPTIONS,
        "Eviction" => &[
            (1, "metadata", One(METADATA)),
            (2, "deleteOptions", One(DELETE_OPTIONS)),
        ],
        "Namespace" | "ServiceAccount" => &[(1, "metadata", One(METADATA))],
        "ConfigMap" => &[
            (1, "metadata", One(METADATA)),
            (2, "data", Pairs),
            (3, "binaryData", Blobs),
        ],
        "Secret" => &[
            (1, "metadata", One(METADATA)),
            (2, "data", Blobs),
            (3, "type", Text),
        ],
        "PodDisruptionBudget" => &[(1, "metadata", One(METADATA)), (2, "spec", One(BUDGET))],
        "Deployment" => &[(1, "metadata", One(METADATA)), (2, "spec", One(DEPLOYMENT))],
        "Job" => &[(1, "metadata", One(METADATA)), (2, "spec", One(JOB))],
        _ => return None,
    })
}

/// The object in an envelope; nothing if it is none that is known.
pub fn object(body: &[u8]) -> Option<Value> {
    let envelope = body.strip_prefix(MAGIC)?;
    let about = decode(envelope, UNKNOWN)?;
    let raw = fields(envelope)?.into_iter().find(|(number, _)| *number == 2);
    let raw = raw.map_or(&[][..], |(_, wire)| wire.bytes());
    let mut object = decode(raw, message(text(&about, "/type/kind"))?)?;
    for key in ["apiVersion", "kind"] {
        set(&mut object, &[key], about["type"][key].clone());
    }
    Some(object)
}

enum Wire<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Varint(_) => &[],
        }
    }

    fn number(&self) -> u64 {
        match self {
            Self::Varint(number) => *number,
            Self::Bytes(_) => 0,
        }
    }
}

fn fields(mut rest: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let wire = match tag & 7 {
            0 => Wire::Varint(varint(&mut rest)?),
            1 => Wire::Bytes(take(&mut rest, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                Wire::Bytes(take(&mut rest, length)?)
            }
            5 => Wire::Bytes(take(&mut rest, 4)?),
            _ => return None,
        };
        fields.push((tag >> 3, wire));
    }
    Some(fields)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn decode(bytes: &[u8], message: &[Field]) -> Option<Value> {
    let mut object = Map::new();
    for (number, wire) in fields(bytes)? {
        let Some((_, name, is)) = message.iter().find(|(known, ..)| *known == number) else {
            continue;
        };
        let slot = object.entry(*name).or_insert(Value::Null);
        match is {
            Text => *slot = as_text(wire.bytes()),
            Number => *slot = json!(wire.number().cast_signed()),
            Flag => *slot = json!(wire.number() != 0),
            One(inner) => *slot = decode(wire.bytes(), inner)?,
            NumberOrText => *slot = number_or_text(wire.bytes())?,
            Texts => push(slot, as_text(wire.bytes())),
            Many(inner) => push(slot, decode(wire.bytes(), inner)?),
            Pairs => pair(slot, wire.bytes(), as_text)?,
            Blobs => pair(slot, wire.bytes(), as_base64)?,
        }
    }
    // An empty text is an absent one.
    object.retain(|_, value| *value != json!(""));
    Some(Value::Object(object))
}

fn push(slot: &mut Value, item: Value) {
    match slot {
        Value::Array(list) => list.push(item),
        other => *other = json!([item]),
    }
}

fn pair(slot: &mut Value, bytes: &[u8], read: fn(&[u8]) -> Value) -> Option<()> {
    let (mut key, mut value) = (String::new(), json!(""));
    for (number, wire) in fields(bytes)? {
        match number {
            1 => key = String::from_utf8_lossy(wire.bytes()).into_owned(),
            _ => value = read(wire.bytes()),
        }
    }
    set(slot, &[&key], value);
    Some(())
}

fn as_text(bytes: &[u8]) -> Value {
    json!(String::from_utf8_lossy(bytes))
}

fn as_base64(bytes: &[u8]) -> Value {
    json!(STANDARD.encode(bytes))
}

fn number_or_text(bytes: &[u8]) -> Option<Value> {
    let value = decode(
        bytes,
        &[(1, "type", Number), (2, "number", Number), (3, "text", Text)],
    )?;
    let is_text = value["type"] == json!(1);
    Some(if is_text {
        value["text"].clone()
    } else {
        json!(value["number"].as_i64().unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_a_deletion() {
        // v1 DeleteOptions {gracePeriodSeconds: 0, preconditions: {uid: "ab"}}
        let body =
            b"k8s\0\x0a\x13\x0a\x02v1\x12\x0dDeleteOptions\x12\x08\x08\x00\x12\x04\x0a\x02ab\x1a\x00\x22\x00";
        let wanted = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": "ab"},
        });
        assert_eq!(object(body), Some(wanted));
    }

    #[test]
    fn strangers_and_broken_bodies_are_nothing() {
        for body in [
            &b"k8s\0\x0a\x05\x12\x03Pod"[..],
            b"{}",
            b"k8s\0\xff",
            b"k8s\0\x0a\x7f",
        ] {
            assert_eq!(object(body), None);
        }
    }
}
