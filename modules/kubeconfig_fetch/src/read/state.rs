//! What a controller has: its kubeconfig, its authorities, its service.

use crate::credentials::{Authorities, Credentials};
use crate::kubeconfig::Kubeconfig;
use crate::params::Read;
use crate::server;
use anyhow::{Context, Result};
use host::{Command, Failure, Host, Secret};
use k3s_certs::rotation::{self, Paths, Role, Service};
use k3s_certs::{Certificate, certificates};
use k3s_node::NodeSettings;
use std::time::SystemTime;

pub struct State {
    pub(crate) location: String,
    pub(crate) name: String,
    /// Why there is no service to renew with, where there is none.
    pub(crate) service: Result<Service, String>,
    /// What is wrong with the kubeconfig, where something is.
    pub(crate) found: Result<Found, String>,
    pub(crate) now: SystemTime,
}

/// A valid kubeconfig; how long it lasts is another question.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub credentials: Credentials,
    /// Where others reach the API server: what was asked for, with the port that this server listens on.
    pub server: String,
    /// The file as others can use it.
    pub text: Secret,
}

/// Prints the files that are there, each behind a line with our mark. Links are followed.
const FILES: &str = r#"m=$1
shift
for f in "$@"; do
  [ -e "$f" ] || continue
  printf '\n%s %s\n' "$m" "$f"
  cat -- "$f" || exit 1
done
"#;

pub(crate) fn observe(params: &Read, host: &dyn Host) -> Result<State> {
    let node = NodeSettings::look(host);
    let given = params.data_dir.as_deref();
    let paths = match &node {
        Ok(node) => Paths::of_node(node, given, Some(&params.path)),
        Err(_) => Paths {
            data_dir: given.map_or_else(|| Paths::default().data_dir, str::to_owned),
            kubeconfig: params.path.clone(),
        },
    };
    let service = match node.and_then(|node| rotation::look(host, &node, &paths)) {
        Ok(service) if service.role == Role::Agent => Err(format!(
            "{}: this node is an agent, and only servers have a kubeconfig: ask a controller",
            host.location()
        )),
        Ok(service) => Ok(service),
        // Without a container, or a way into it, there is nothing to read either.
        Err(error) if Failure::of(&error).is_some() => return Err(error),
        Err(error) => Err(format!("{error:#}")),
    };
    let found = kubeconfig(params, host, &paths.data_dir)?;
    Ok(State {
        location: host.location(),
        name: params.name.clone(),
        service,
        found: found.map_err(|error| format!("{}: {error:#}", host.location())),
        now: host.now(),
    })
}

/// The outer error is one of the way, the inner one of what was found.
pub(crate) fn kubeconfig(params: &Read, host: &dyn Host, data_dir: &str) -> Result<Result<Found>> {
    let mark = host.unique();
    let [clients, servers] =
        ["client-ca.crt", "server-ca.crt"].map(|name| format!("{data_dir}/server/tls/{name}"));
    let argv = [
        "/bin/sh",
        "-c",
        FILES,
        "sh",
        &mark,
        &params.path,
        &clients,
        &servers,
    ];
    let output = host.run(&Command::new(argv))?;
    let output = output.succeed(&host.location(), &format!("reading {}", params.path))?;
    let file = |path: &str| part(&output.stdout, &mark, path);
    let kept = |path: &str| file(path).map_or(Ok(Vec::new()), |bytes| certificates(bytes, path));
    let read = || {
        let bytes = file(&params.path).with_context(|| {
            format!(
                "{}: there is no such file: a server of k3s writes it when it starts, an agent has none",
                params.path
            )
        })?;
        found(params, bytes, kept(&clients)?, kept(&servers)?)
    };
    Ok(read())
}

fn found(
    params: &Read,
    bytes: &[u8],
    of_clients: Vec<Certificate>,
    of_servers: Vec<Certificate>,
) -> Result<Found> {
    let kept = Authorities {
        of_clients,
        of_servers,
    };
    let credentials = Credentials::read(bytes, &params.path, &kept)?;
    let own = server::parse(&credentials.server, &params.path)?;
    let server = server::at(&params.server, server::port(&own), "server")?;
    let config = Kubeconfig::parse(bytes)?;
    let mut config = config.with_context(|| format!("{}: it is empty", params.path))?;
    config.rename(&params.name, &server);
    Ok(Found {
        text: Secret::new(config.to_text().with_context(|| params.path.clone())?),
        credentials,
        server,
    })
}

/// What follows the line with our mark and this path, up to the next.
fn part<'a>(bytes: &'a [u8], mark: &str, path: &str) -> Option<&'a [u8]> {
    let find = |within: &[u8], wanted: &str| {
        within
            .windows(wanted.len())
            .position(|here| here == wanted.as_bytes())
    };
    let line = format!("\n{mark} {path}\n");
    let rest = &bytes[find(bytes, &line)? + line.len()..];
    let end = find(rest, &format!("\n{mark} ")).unwrap_or(rest.len());
    Some(&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinguishes_files_by_our_mark() {
        let bytes = b"\nM /a\none\n\nM /b\n\nM /c d\nthree\n";
        assert_eq!(part(bytes, "M", "/a"), Some(&b"one\n"[..]));
        assert_eq!(part(bytes, "M", "/b"), Some(&b""[..]));
        assert_eq!(part(bytes, "M", "/c d"), Some(&b"three\n"[..]));
        assert_eq!(part(bytes, "M", "/d"), None);
    }
}
