//! What is to go wrong, read anew at each request from faults.json, so that the lab can break and repair a
//! running server: `{"channels": "404", "downloads": "truncated", "sums": "html", "install": "timeout"}`.

use std::io;
use std::path::Path;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::http::{Manner, Response};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    pub(crate) channels: Option<Fault>,
    pub(crate) downloads: Option<Fault>,
    pub(crate) sums: Option<Fault>,
    pub(crate) install: Option<Fault>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Fault {
    Status(u16),
    /// 200 and a web page, as from a captive portal or during maintenance.
    Html,
    Empty,
    /// The channel's own name where a version belongs.
    Name,
    /// A channel answers `{"tag_name": …}` itself instead of redirecting.
    Json,
    /// The listing works, every single channel is 404 (as in December 2024).
    ListingOnly,
    Timeout,
    Truncated,
    Altered,
    Slow,
}

impl TryFrom<String> for Fault {
    type Error = anyhow::Error;

    fn try_from(name: String) -> anyhow::Result<Self> {
        Ok(match name.as_str() {
            "html" => Self::Html,
            "empty" => Self::Empty,
            "name" => Self::Name,
            "json" => Self::Json,
            "listing-only" => Self::ListingOnly,
            "timeout" => Self::Timeout,
            "truncated" => Self::Truncated,
            "altered" => Self::Altered,
            "slow" => Self::Slow,
            other => match other.parse() {
                Ok(status @ 400..600) => Self::Status(status),
                _ => bail!(
                    "unknown fault {other:?}: a status from 400 to 599, html, empty, name, json, listing-only, \
                     timeout, truncated, altered or slow"
                ),
            },
        })
    }
}

impl Faults {
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let path = root.join("faults.json");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        serde_json::from_slice(&text).with_context(|| format!("reading faults from {}", path.display()))
    }
}

impl Fault {
    /// The faults that replace the answer whatever was asked for.
    pub(crate) fn replacement(self) -> Option<Response> {
        match self {
            Self::Status(status) => Some(Response::text(
                status,
                "text/plain",
                format!("{status} as ordered\n"),
            )),
            Self::Html => Some(Response::text(
                200,
                "text/html",
                "<!DOCTYPE html>\n<html><body>Back soon</body></html>\n",
            )),
            Self::Empty => Some(Response::text(200, "text/plain", "")),
            Self::Timeout => Some(Response::text(200, "text/plain", "").with(Manner::Silent)),
            _ => None,
        }
    }

    /// The faults that break the transfer of a right answer.
    pub(crate) fn manner(self) -> Manner {
        match self {
            Self::Truncated => Manner::Truncated,
            Self::Altered => Manner::Altered,
            Self::Slow => Manner::Slow,
            _ => Manner::Complete,
        }
    }
}
