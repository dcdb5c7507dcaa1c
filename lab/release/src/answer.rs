//! Which answer belongs to which path, and which fault breaks it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use crate::catalogue::Catalogue;
use crate::faults::{Fault, Faults};
use crate::http::{Body, Manner, Request, Response};
use crate::script;

const OUR_SCRIPT: &str = include_str!("../files/install.sh");
/// The SHA-256 of nothing, for a file that the checksum list names and we do not have.
const SHA256_OF_NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub(crate) struct Site {
    catalogue: Catalogue,
    address: String,
}

impl Site {
    pub(crate) fn new(root: PathBuf, address: String) -> Self {
        Self {
            catalogue: Catalogue::new(root),
            address,
        }
    }

    pub(crate) fn answer(&self, request: &Request) -> Response {
        if request.method != "GET" && request.method != "HEAD" {
            return Response::text(405, "text/plain", "only GET and HEAD\n");
        }
        self.route(request).unwrap_or_else(|error| {
            eprintln!("{}: {error:#}", request.path);
            Response::text(
                500,
                "text/plain",
                format!("the lab's release server: {error:#}\n"),
            )
        })
    }

    fn route(&self, request: &Request) -> anyhow::Result<Response> {
        let faults = Faults::read(self.catalogue.root())?;
        let steps: Vec<&str> = request.path.split('/').skip(1).collect();
        match steps.as_slice() {
            ["v1-release", "channels"] => self.listing(request, faults.channels),
            ["v1-release", "channels", name] => self.channel(request, name, faults.channels),
            ["releases", "tag", version] => self.release_page(request, version),
            ["releases", "download", version, "k3s"] => self.binary(version, faults.downloads),
            ["releases", "download", version, "sha256sum-amd64.txt"] => self.sums(version, faults.sums),
            ["install.sh"] => self.install_script(request, faults.install),
            _ => Ok(not_found()),
        }
    }

    /// How this client reaches us: what it wrote in `Host`, so that a forwarded port works too.
    fn server(&self, request: &Request) -> String {
        let plain = |host: &&String| {
            host.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".:-[]".contains(&b))
        };
        request
            .host
            .as_ref()
            .filter(plain)
            .unwrap_or(&self.address)
            .clone()
    }

    fn listing(&self, request: &Request, fault: Option<Fault>) -> anyhow::Result<Response> {
        if let Some(response) = fault.and_then(Fault::replacement) {
            return Ok(response);
        }
        let channels = self.catalogue.channels()?;
        Ok(json_answer(&listing_body(&self.server(request), channels, fault)))
    }

    fn channel(&self, request: &Request, name: &str, fault: Option<Fault>) -> anyhow::Result<Response> {
        if let Some(response) = fault.and_then(Fault::replacement) {
            return Ok(response);
        }
        let version = match (self.catalogue.channels()?.remove(name).flatten(), fault) {
            (None, _) | (_, Some(Fault::ListingOnly)) => return Ok(no_such_channel(name)),
            (Some(_), Some(Fault::Name)) => name.to_owned(),
            (Some(version), Some(Fault::Json)) => return Ok(json_answer(&json!({"tag_name": version}))),
            (Some(version), _) => version,
        };
        // The real one's plus sign stays a plus sign.
        let target = format!("http://{}/releases/tag/{version}", self.server(request));
        let mut response = Response::text(302, "text/html", format!("<a href=\"{target}\">Found</a>.\n"));
        response.headers.push(("Location", target));
        Ok(response)
    }

    fn release_page(&self, request: &Request, version: &str) -> anyhow::Result<Response> {
        if self.catalogue.binary(version)?.is_none() {
            return Ok(not_found());
        }
        if !request.accept.contains("application/json") {
            let page = format!("<!DOCTYPE html>\n<html><title>Release {version}</title></html>\n");
            return Ok(Response::text(200, "text/html", page));
        }
        let page = format!("/k3s-io/k3s/releases/tag/{version}");
        Ok(json_answer(&json!({
            "id": 1, "tag_name": version, "update_url": page, "update_authenticity_token": "",
            "delete_url": page, "delete_authenticity_token": "", "edit_url": page,
        })))
    }

    fn binary(&self, version: &str, fault: Option<Fault>) -> anyhow::Result<Response> {
        if let Some(response) = fault.and_then(Fault::replacement) {
            return Ok(response);
        }
        let Some((file, _, length)) = self.catalogue.binary(version)? else {
            return Ok(not_found());
        };
        Ok(Response {
            status: 200,
            headers: vec![("Content-Type", "application/octet-stream".to_owned())],
            body: Body::File(file, length),
            manner: fault.map_or(Manner::Complete, Fault::manner),
        })
    }

    fn sums(&self, version: &str, fault: Option<Fault>) -> anyhow::Result<Response> {
        if let Some(response) = fault.and_then(Fault::replacement) {
            return Ok(response);
        }
        let Some((file, path, _)) = self.catalogue.binary(version)? else {
            return Ok(not_found());
        };
        let sum = self.catalogue.sha256(&path, file)?;
        // The real list names other files first: a reader must look for ` k3s`, not take line one.
        let list = format!("{SHA256_OF_NOTHING}  k3s-airgap-images-amd64.tar\n{sum}  k3s\n");
        Ok(Response::text(200, "text/plain", list).with(fault.map_or(Manner::Complete, Fault::manner)))
    }

    fn install_script(&self, request: &Request, fault: Option<Fault>) -> anyhow::Result<Response> {
        if let Some(response) = fault.and_then(Fault::replacement) {
            return Ok(response);
        }
        let path = self.catalogue.root().join("install.sh");
        let script = match std::fs::read_to_string(&path) {
            Ok(script) => script,
            Err(error) if error.kind() == io::ErrorKind::NotFound => OUR_SCRIPT.to_owned(),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        let script = script::pointed_at(&script, &self.server(request));
        Ok(Response::text(200, "text/plain", script).with(fault.map_or(Manner::Complete, Fault::manner)))
    }
}

fn listing_body(
    server: &str,
    channels: BTreeMap<String, Option<String>>,
    fault: Option<Fault>,
) -> serde_json::Value {
    let own = format!("http://{server}/v1-release/channels");
    let items: Vec<_> = channels
        .into_iter()
        .map(|(name, version)| {
            let latest = if fault == Some(Fault::Name) {
                version.map(|_| name.clone())
            } else {
                version
            };
            let mut item = json!({
                "id": name, "type": "channel", "links": {"self": format!("{own}/{name}")}, "name": name,
            });
            // Left out, not null, where the real server could not resolve the channel.
            if let Some(latest) = latest {
                item["latest"] = latest.into();
            }
            item
        })
        .collect();
    json!({
        "type": "collection", "links": {"self": own}, "actions": {}, "resourceType": "channels", "data": items,
    })
}

fn json_answer(value: &serde_json::Value) -> Response {
    Response::text(200, "application/json", format!("{value}\n"))
}

fn no_such_channel(name: &str) -> Response {
    let body =
        json!({"type": "error", "status": 404, "code": "NotFound", "message": format!("no channel {name}")});
    Response::text(404, "application/json", format!("{body}\n"))
}

fn not_found() -> Response {
    Response::text(
        404,
        "text/html",
        "<!DOCTYPE html>\n<html><title>Not Found</title></html>\n",
    )
}
