//! Refusals, as `Status` objects. kubectl prints `Error from server (<reason>): <message>` from them.

use crate::kinds::Kind;
use crate::store::StoreError;
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub code: u16,
    reason: &'static str,
    message: String,
    details: Value,
    /// Sent as the header Retry-After, which clients obey by themselves.
    pub retry_after: Option<u64>,
}

pub type Outcome<T> = Result<T, Refusal>;

impl Refusal {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
            retry_after: None,
        }
    }

    pub fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.qualified());
        Self::new(404, "NotFound", message).about(kind, name)
    }

    pub fn no_such_path() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    pub fn exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        Self::new(409, "AlreadyExists", message).about(kind, name)
    }

    pub fn conflict(kind: &Kind, name: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": the object has been modified; \
             please apply your changes to the latest version and try again",
            kind.qualified()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    pub fn precondition(kind: &Kind, name: &str, what: &str, wanted: &str, found: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": Precondition failed: {what} in precondition: {wanted}, \
             {what} in object meta: {found}",
            kind.qualified()
        );
        Self::new(409, "Conflict", message).about(kind, name)
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn invalid(kind: &Kind, name: &str, problem: &str) -> Self {
        let group = if kind.group.is_empty() {
            String::new()
        } else {
            format!(".{}", kind.group)
        };
        let message = format!("{}{group} \"{name}\" is invalid: {problem}", kind.name);
        Self::new(422, "Invalid", message).about(kind, name)
    }

    pub fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let named = if name.is_empty() {
            String::new()
        } else {
            format!(" \"{name}\"")
        };
        let message = format!("{}{named} is forbidden: {why}", kind.qualified());
        Self::new(403, "Forbidden", message).about(kind, name)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn unavailable() -> Self {
        Self::new(
            503,
            "ServiceUnavailable",
            "the server is currently unable to handle the request",
        )
    }

    pub fn expired() -> Self {
        Self::new(410, "Expired", "too old resource version")
    }

    pub fn unsupported(media_type: &str) -> Self {
        let message = format!("the body of the request was in an unknown format: {media_type}");
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub fn is_conflict(&self) -> bool {
        self.reason == "Conflict"
    }

    pub fn is_missing(&self) -> bool {
        self.code == 404
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    #[must_use]
    pub fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({"name": name, "group": kind.group, "kind": kind.plural});
        self
    }

    /// Why, in a form for programs: `details.causes`.
    #[must_use]
    pub fn caused_by(mut self, reason: &str, message: &str) -> Self {
        self.details = json!({"causes": [{"reason": reason, "message": message}]});
        self
    }

    #[must_use]
    pub fn retry_in(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        crate::json::set(&mut self.details, &["retryAfterSeconds"], json!(seconds));
        self
    }

    pub fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            body["details"] = self.details.clone();
        }
        body
    }
}

impl From<StoreError> for Refusal {
    /// The caller names the object of a conflict; here it is left unnamed.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::new(409, "Conflict", error.to_string()),
            // No reason: kubectl then prints `Error from server: etcdserver: …`, as recorded.
            StoreError::Unavailable(text) => Self::new(500, "", text),
        }
    }
}

pub fn success(kind: &Kind, name: &str, uid: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": name, "group": kind.group, "kind": kind.plural, "uid": uid},
    })
}
