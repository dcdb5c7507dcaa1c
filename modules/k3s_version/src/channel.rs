//! What a release channel stands at. The service answers with a redirect to the release, an object
//! with `tag_name`, or the listing of all channels; anything else is refused with what was received.

use crate::params::Channel;
use crate::state::{Evidence, ReadFrom, Target};
use anyhow::{Result, anyhow};
use k3s_types::K3sVersion;
use reqwest::Url;
use serde::Deserialize;
use std::time::Duration;

/// The way to a channel server. A port of this module alone: on `Host`, every binary would carry TLS.
pub trait Channels {
    /// One GET, redirects not followed. An error is one of the way: name, connection, TLS, time.
    fn get(request: &Request) -> Result<Reply>;
}

#[derive(Clone)]
pub struct Request {
    pub url: Url,
    pub limit: Duration,
    pub ca_file: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub location: Option<String>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// Asks for `<url>/<name>`, as the install script does. Where that is not answered, `url` itself may be the
/// listing (which was seen to work while every single channel was missing) or one channel.
pub(crate) fn resolve<C: Channels>(channel: &Channel, limit: Duration) -> Result<Target> {
    let ask = |url: &Url| {
        C::get(&Request {
            url: url.clone(),
            limit,
            ca_file: channel.ca_file.clone(),
        })
    };
    let ask = |url: &Url| {
        ask(url).map_err(|error| {
            anyhow!(
                "asking {url} for the channel {}: {error:#}. {ADVICE}",
                channel.name
            )
        })
    };
    let (own, named) = (&channel.url, with_name(&channel.url, &channel.name));
    let reply = ask(&named)?;
    let first = match understand(&reply, &channel.name) {
        Some((version, read_from)) => return Ok(target(channel, &named, &reply, version, read_from)),
        None => received(&named, &reply),
    };
    if named.path() == own.path().trim_end_matches('/') {
        return Err(anyhow!(
            "asking for the channel {}: {first}. {ADVICE}",
            channel.name
        ));
    }
    let reply = ask(own)?;
    let Some((version, read_from)) = understand(&reply, &channel.name) else {
        let second = received(own, &reply);
        return Err(anyhow!(
            "asking for the channel {}: {first}; {second}. {ADVICE}",
            channel.name
        ));
    };
    let mut target = target(channel, own, &reply, version, read_from);
    if read_from != ReadFrom::Listing {
        let found = format!(
            "{own} is a channel by itself, at {}: channel {} was not found below it",
            target.version, channel.name
        );
        if is_another_minor(&channel.name, &target.version) {
            return Err(anyhow!(
                "asking for the channel {}: {first}; {found}. {ADVICE}",
                channel.name
            ));
        }
        target.warning = Some(found);
    }
    Ok(target)
}

/// A channel `v1.33` is of one minor; what is of another one cannot be its answer.
fn is_another_minor(name: &str, version: &K3sVersion) -> bool {
    let Some((major, minor)) = name.strip_prefix('v').and_then(|name| name.split_once('.')) else {
        return false;
    };
    (major.parse().ok(), minor.parse().ok()) != (Some(version.major), Some(version.minor))
}

const ADVICE: &str = "To go on without the channel, name the version (k3s_target_version=vX.Y.Z+k3sN)";

/// The same URL, less a trailing slash, where it already ends in the channel's name.
fn with_name(url: &Url, name: &str) -> Url {
    let mut url = url.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty();
    }
    let there = url.path_segments().and_then(|mut segments| segments.next_back()) == Some(name);
    if !there && let Ok(mut segments) = url.path_segments_mut() {
        segments.push(name);
    }
    url
}

fn target(channel: &Channel, url: &Url, reply: &Reply, version: K3sVersion, read_from: ReadFrom) -> Target {
    let evidence = Evidence {
        name: channel.name.clone(),
        read_from,
        url: Some(url.to_string()),
        status: Some(reply.status),
        received: Some(reply.location.clone().unwrap_or_else(|| excerpt(&reply.body))),
    };
    Target {
        version,
        channel: Some(evidence),
        warning: None,
    }
}

fn understand(reply: &Reply, name: &str) -> Option<(K3sVersion, ReadFrom)> {
    let (text, read_from) = match reply.status {
        301 | 302 | 303 | 307 | 308 => (last_segment(reply.location.as_deref()?), ReadFrom::Location),
        200 => from_json(&reply.body, name)?,
        _ => return None,
    };
    // A channel's *name* instead of a version is what an outage of the service looks like.
    let version: K3sVersion = text.parse().ok()?;
    version.is_numbered().then_some((version, read_from))
}

/// Some servers write the plus sign as `%2B`.
fn last_segment(location: &str) -> String {
    let path = location
        .split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/');
    let last = path.rsplit('/').next().unwrap_or_default();
    last.replace("%2B", "+").replace("%2b", "+")
}

fn from_json(body: &[u8], name: &str) -> Option<(String, ReadFrom)> {
    #[derive(Deserialize)]
    struct Answer {
        tag_name: Option<String>,
        #[serde(default)]
        data: Vec<Listed>,
    }
    #[derive(Deserialize)]
    struct Listed {
        name: String,
        latest: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    if let Some(tag) = answer.tag_name {
        return Some((tag, ReadFrom::TagName));
    }
    let listed = answer.data.into_iter().find(|listed| listed.name == name)?;
    // A channel whose version the service could not find is listed without one.
    Some((listed.latest?, ReadFrom::Listing))
}

fn received(url: &Url, reply: &Reply) -> String {
    let kind = reply.content_type.as_deref().unwrap_or("no content type");
    let content = match (&reply.location, reply.body.is_empty()) {
        (Some(location), _) => format!("Location {location:?}"),
        (None, true) => "an empty answer".to_owned(),
        (None, false) => format!("{:?}", excerpt(&reply.body)),
    };
    format!(
        "{url} answered with status {}, {kind}, {content}: no version of k3s in it",
        reply.status
    )
}

fn excerpt(body: &[u8]) -> String {
    const ENOUGH: usize = 120;
    let text: String = String::from_utf8_lossy(body).chars().take(ENOUGH).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A channel server as recorded facts describe it: each host is one kind of day.
    struct Service;

    fn reply(status: u16, content_type: &str, body: &str) -> Reply {
        Reply {
            status,
            location: None,
            content_type: Some(content_type.to_owned()),
            body: body.into(),
        }
    }

    fn redirect(location: &str) -> Reply {
        Reply {
            location: Some(location.to_owned()),
            ..reply(302, "text/html", "<a href=…>Found</a>.")
        }
    }

    /// As the service lists them in 2026: those that are pinned have no pattern, and one that was not found no version.
    const LISTING: &str = r#"{"type":"collection","links":{"self":"https://listing/channels"},"actions":{},"resourceType":"channels","data":[
        {"id":"stable","type":"channel","links":{"self":"https://listing/channels/stable"},"name":"stable","latest":"v1.31.5+k3s1"},
        {"id":"latest","type":"channel","links":{"self":"https://listing/channels/latest"},"name":"latest","latest":"v1.36.3+k3s1","latestRegexp":".*","excludeRegexp":"(^[^+]+-|v1\\.25\\.5\\+k3s1)"},
        {"id":"testing","type":"channel","links":{"self":"https://listing/channels/testing"},"name":"testing","latest":"v1.37.0-rc4+k3s1","latestRegexp":"-(alpha|beta|rc)"},
        {"id":"v1.99","type":"channel","links":{"self":"https://listing/channels/v1.99"},"name":"v1.99","latestRegexp":"v1\\.99\\..*"}]}"#;

    impl Channels for Service {
        fn get(request: &Request) -> Result<Reply> {
            assert_eq!(request.limit, Duration::from_secs(9));
            let release = "https://github.com/k3s-io/k3s/releases/tag/v1.31.5+k3s1";
            let missing = reply(404, "application/json", r#"{"type":"error","status":"404"}"#);
            Ok(match (request.url.host_str().unwrap(), request.url.path()) {
                ("good", "/v1-release/channels/stable" | "/one/latest") => redirect(release),
                ("escaped", _) => redirect("/k3s-io/k3s/releases/tag/v1.31.5%2Bk3s1/?x=1"),
                ("json", "/stable") => {
                    reply(200, "application/json", r#"{"id":1,"tag_name":"v1.31.5+k3s1"}"#)
                }
                ("listing", "/channels") => reply(200, "application/json", LISTING),
                ("good" | "listing", _) => missing,
                ("name", _) => redirect("https://github.com/k3s-io/k3s/releases/tag/stable"),
                ("http", _) => Reply {
                    status: 301,
                    ..redirect("https://good/v1-release/channels/stable")
                },
                ("html", _) => reply(200, "text/html", "<!DOCTYPE html><html>maintenance"),
                ("down", _) => reply(500, "text/plain", "no upstream"),
                ("empty", _) => Reply {
                    status: 200,
                    ..Reply::default()
                },
                ("dead", _) => anyhow::bail!("dns error: no such name"),
                other => panic!("{other:?}"),
            })
        }
    }

    fn ask(url: &str, name: &str) -> Result<(String, ReadFrom, Option<String>), String> {
        let channel = Channel {
            name: name.to_owned(),
            url: url.parse().unwrap(),
            ca_file: None,
        };
        let target =
            resolve::<Service>(&channel, Duration::from_secs(9)).map_err(|error| format!("{error:#}"))?;
        Ok((
            target.version.to_string(),
            target.channel.unwrap().read_from,
            target.warning,
        ))
    }

    #[test]
    fn each_kind_of_answer_is_understood() {
        let answers = [
            ("https://good/v1-release/channels", ReadFrom::Location),
            ("https://good/v1-release/channels/", ReadFrom::Location),
            ("https://good/v1-release/channels/stable", ReadFrom::Location),
            ("https://good/v1-release/channels/stable/", ReadFrom::Location),
            ("https://escaped/channels", ReadFrom::Location),
            ("https://json", ReadFrom::TagName),
            ("https://json/stable", ReadFrom::TagName),
            ("https://listing/channels", ReadFrom::Listing),
        ];
        for (url, read_from) in answers {
            assert_eq!(
                ask(url, "stable"),
                Ok(("v1.31.5+k3s1".to_owned(), read_from, None)),
                "{url}"
            );
        }
    }

    #[test]
    fn a_listing_has_candidates_too() {
        for (name, expected) in [("latest", "v1.36.3+k3s1"), ("testing", "v1.37.0-rc4+k3s1")] {
            let (version, read_from, _) = ask("https://listing/channels", name).unwrap();
            assert_eq!((version.as_str(), read_from), (expected, ReadFrom::Listing));
        }
    }

    #[test]
    fn a_url_that_is_another_channel_is_taken_and_said() {
        let (version, _, warning) = ask("https://good/one/latest", "stable").unwrap();
        assert_eq!(version, "v1.31.5+k3s1");
        assert!(
            warning
                .unwrap()
                .contains("is a channel by itself, at v1.31.5+k3s1")
        );
        assert!(ask("https://good/one/latest", "v1.31").is_ok());
        assert!(
            ask("https://good/one/latest", "v1.32")
                .unwrap_err()
                .contains("is a channel by itself, at v1.31.5+k3s1")
        );
    }

    #[test]
    fn anything_else_is_refused_with_what_was_received() {
        let refused = [
            (
                "https://good/v1-release/channels",
                "v9.99",
                vec!["/channels/v9.99 answered with status 404, application/json"],
            ),
            (
                "https://listing/channels",
                "v1.99",
                vec!["status 404", "https://listing/channels answered with status 200"],
            ),
            (
                "https://name/channels",
                "stable",
                vec![
                    "status 302",
                    "Location \"https://github.com/k3s-io/k3s/releases/tag/stable\"",
                ],
            ),
            (
                "http://http/channels",
                "stable",
                vec!["status 301", "Location \"https://good/"],
            ),
            (
                "https://html/channels",
                "stable",
                vec!["status 200, text/html, \"<!DOCTYPE html>"],
            ),
            (
                "https://down/channels",
                "stable",
                vec!["status 500, text/plain, \"no upstream\""],
            ),
            (
                "https://empty/channels",
                "stable",
                vec!["status 200, no content type, an empty answer"],
            ),
            (
                "https://dead/channels",
                "stable",
                vec!["asking https://dead/channels/stable", "dns error"],
            ),
        ];
        for (url, name, words) in refused {
            let error = ask(url, name).unwrap_err();
            for word in words.iter().chain(&["k3s_target_version=", name]) {
                assert!(error.contains(word), "{url}: {word:?} is not in {error}");
            }
        }
    }
}
