//! Where an API server is.

use anyhow::{Context, Result, bail};
use k3s_types::mask;
use reqwest::Url;
use std::net::{IpAddr, Ipv6Addr};

/// What k3s listens on unless configured otherwise.
pub(crate) const USUAL_PORT: u16 = 6443;

/// Reads a `server:`; `field` names it in errors.
pub(crate) fn parse(text: &str, field: &str) -> Result<Url> {
    let shown = mask::address(text);
    let url = Url::parse(text).with_context(|| format!("{field}: {shown:?} is not a URL"))?;
    if url.scheme() != "https" || url.host_str().is_none_or(str::is_empty) {
        bail!("{field}: {shown:?} is not an https address");
    }
    Ok(url)
}

/// The address of `wanted` (a URL, or a host with or without a port), with `port` where it names none.
pub(crate) fn at(wanted: &str, port: u16, field: &str) -> Result<String> {
    if wanted.contains("://") {
        // A URL without a port means 443, and is taken at its word.
        return parse(wanted, field).map(|url| url.as_str().trim_end_matches('/').to_owned());
    }
    let host = wanted.trim_start_matches('[').trim_end_matches(']');
    let address = match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => wanted.to_owned(),
    };
    let url = Url::parse(&format!("https://{address}"));
    let url = url
        .ok()
        .filter(|url| url.path() == "/" && url.query().is_none() && url.username().is_empty());
    let url =
        url.with_context(|| format!("{field}: {:?} is neither a host nor a URL", mask::address(wanted)))?;
    // 443 would be dropped from a URL as the usual one; here it was asked for.
    let given = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let host = url.host_str().unwrap_or_default();
    Ok(format!("https://{host}:{}", given.unwrap_or(port)))
}

/// The port that an address names or means.
pub(crate) fn port(url: &Url) -> u16 {
    url.port_or_known_default().unwrap_or(USUAL_PORT)
}

/// Whether two addresses lead to the same server, however they are spelled.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let address = |text: &str| {
        let url = Url::parse(text).ok()?;
        let host = url.host_str()?.trim_end_matches('.').to_owned();
        let path = url.path().trim_end_matches('/').to_owned();
        Some((url.scheme().to_owned(), host, url.port_or_known_default(), path))
    };
    address(one).is_some_and(|address_of_one| address(other) == Some(address_of_one))
}

/// Whether an address is of the machine that asks, so that what answers there depends on who asks.
pub(crate) fn is_loopback(text: &str) -> bool {
    let url = Url::parse(text).ok();
    let Some(host) = url.as_ref().and_then(Url::host_str) else {
        return false;
    };
    let host = host.trim_matches(['[', ']']).trim_end_matches('.');
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_becomes_an_address_and_a_url_stays_one() {
        let cases = [
            ("k3s-1", 6443, "https://k3s-1:6443"),
            ("k3s-1.example.net", 7443, "https://k3s-1.example.net:7443"),
            ("192.0.2.10", 6443, "https://192.0.2.10:6443"),
            ("192.0.2.10:8443", 6443, "https://192.0.2.10:8443"),
            ("api.example.net:443", 6443, "https://api.example.net:443"),
            ("fd00::10", 6443, "https://[fd00::10]:6443"),
            ("[fd00::10]", 6443, "https://[fd00::10]:6443"),
            ("[fd00::10]:7443", 6443, "https://[fd00::10]:7443"),
            ("https://api.example.net", 6443, "https://api.example.net"),
            (
                "https://api.example.net:8443/",
                6443,
                "https://api.example.net:8443",
            ),
            ("https://[fd00::10]:6443", 1, "https://[fd00::10]:6443"),
        ];
        for (wanted, port, address) in cases {
            assert_eq!(at(wanted, port, "server").unwrap(), address, "{wanted}");
        }
    }

    #[test]
    fn names_an_invalid_address() {
        for wanted in [
            "",
            "http://k3s-1:6443",
            "k3s 1",
            "k3s-1/path",
            "user@k3s-1",
            "k3s-1:port",
            "https://",
            "tcp://a:1",
        ] {
            let error = at(wanted, 6443, "server").unwrap_err().to_string();
            assert!(error.starts_with("server: "), "{wanted}: {error}");
        }
    }

    #[test]
    fn loopback_addresses_are_known_by_number_and_name() {
        for (address, is_one) in [
            ("https://127.0.0.1:6443", true),
            ("https://127.8.0.1:6443", true),
            ("https://0.0.0.0:6443", true),
            ("https://[::1]:6443", true),
            ("https://LOCALHOST:6443", true),
            ("https://k3s.localhost.:6443", true),
            ("https://192.0.2.1:6443", false),
            ("https://localhost.example.net:6443", false),
            ("not a url", false),
        ] {
            assert_eq!(is_loopback(address), is_one, "{address}");
        }
    }

    #[test]
    fn ignores_the_spelling_of_addresses() {
        for (one, other, same) in [
            ("https://k3s-1:6443", "https://K3S-1:6443/", true),
            ("https://k3s-1.:6443", "https://k3s-1:6443", true),
            ("https://api:443", "https://api", true),
            ("https://[fd00:0::1]:6443", "https://[fd00::1]:6443", true),
            ("https://k3s-1:6443", "https://k3s-1:6444", false),
            ("https://k3s-1:6443", "http://k3s-1:6443", false),
            (
                "https://rancher/k8s/clusters/a",
                "https://rancher/k8s/clusters/b",
                false,
            ),
            ("not a url", "not a url", false),
        ] {
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
    }
}
