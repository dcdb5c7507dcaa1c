//! Lists in pages: `limit` and `continue`. A page shows what is there when it is asked for;
//! the real one shows what was there at the first.

use crate::api::http::Request;
use crate::api::status::{Outcome, Refusal};
use crate::api::watch::Filter;
use crate::json::{name, namespace, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::Arc;

pub struct Page<'a> {
    pub chosen: Vec<&'a Value>,
    /// Of the list.
    pub metadata: Value,
}

/// `objects` come in the order of their keys.
pub fn cut<'a>(
    objects: &'a [Arc<Value>],
    request: &Request,
    filter: &Filter,
    revision: u64,
) -> Outcome<Page<'a>> {
    let token = request.query("continue");
    let (start, revision) = if token.is_empty() {
        (String::new(), revision)
    } else {
        read(token)?
    };
    let limit = limit(request)?;
    let rest = objects.iter().filter(|object| key(object) > start);
    let mut chosen: Vec<&Value> = Vec::new();
    let mut left = 0_usize;
    for object in rest {
        if !filter.match_object(object) {
            continue;
        }
        if limit.is_some_and(|limit| chosen.len() == limit) {
            left += 1;
        } else {
            chosen.push(object);
        }
    }
    let mut metadata = json!({"resourceVersion": revision.to_string()});
    if left > 0 {
        let last = chosen.last().map(|object| key(object)).unwrap_or_default();
        metadata["continue"] = json!(write(&last, revision));
        // The real one does not count what a selector would choose.
        if !request.has("labelSelector") && !request.has("fieldSelector") {
            metadata["remainingItemCount"] = json!(left);
        }
    }
    Ok(Page { chosen, metadata })
}

fn limit(request: &Request) -> Outcome<Option<usize>> {
    let given = request.query("limit");
    if given.is_empty() {
        return Ok(None);
    }
    let number: usize = given.parse().map_err(|_| {
        Refusal::bad_request(format!("strconv.ParseInt: parsing \"{given}\": invalid syntax"))
    })?;
    Ok(Some(number).filter(|number| *number > 0))
}

fn key(object: &Value) -> String {
    format!("{}/{}", namespace(object), name(object))
}

fn write(last: &str, revision: u64) -> String {
    // The real one begins with the next key, which a zero byte after the last one makes.
    let token = json!({"v": "meta.k8s.io/v1", "rv": revision, "start": format!("{last}\u{0}")});
    URL_SAFE_NO_PAD.encode(token.to_string())
}

fn read(token: &str) -> Outcome<(String, u64)> {
    let invalid = || Refusal::bad_request("continue key is not valid: the token cannot be read");
    let bytes = URL_SAFE_NO_PAD
        .decode(token.trim_end_matches('='))
        .map_err(|_| invalid())?;
    let token: Value = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
    let start = text(&token, "/start").trim_end_matches('\u{0}').to_owned();
    match token["rv"].as_u64() {
        Some(revision) if !start.is_empty() => Ok((start, revision)),
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_way_there_and_back() {
        assert_eq!(read(&write("demo/web", 7)).unwrap(), ("demo/web".to_owned(), 7));
        for token in ["nonsense", "e30", ""] {
            assert_eq!(read(token).unwrap_err().code, 400, "{token}");
        }
    }
}
