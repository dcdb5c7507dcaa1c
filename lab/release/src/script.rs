//! Points an install script, ours or a real one, at this server instead of the internet.

use std::fmt::Write as _;

/// Where the published script looks for channels unless told.
const PUBLIC_CHANNELS: &str = "https://update.k3s.io/v1-release/channels";

/// Which of the published script's habits our own script shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// As the file says.
    AsIs,
    /// As scripts of 2026: units and environment files as since 2025, and another name for where releases are.
    Newest,
}

pub(crate) fn pointed_at(script: &str, server: &str, era: Era) -> String {
    let mut out = String::with_capacity(script.len());
    for line in script.lines() {
        let written = if line.starts_with("INSTALL_K3S_ARTIFACT_URL=${")
            || era == Era::Newest && line.starts_with("GITHUB_URL=${")
        {
            writeln!(
                out,
                "INSTALL_K3S_ARTIFACT_URL=${{INSTALL_K3S_ARTIFACT_URL:-http://{server}/releases/download}}"
            )
        } else if line.starts_with("GITHUB_URL=${") {
            writeln!(out, "GITHUB_URL=${{GITHUB_URL:-http://{server}/releases}}")
        } else if line.starts_with("GITHUB_URL=https://") {
            writeln!(out, "GITHUB_URL=http://{server}/releases")
        } else if era == Era::Newest && line.starts_with("SCRIPT_ERA=") {
            writeln!(out, "SCRIPT_ERA=2026")
        } else {
            writeln!(
                out,
                "{}",
                line.replace(PUBLIC_CHANNELS, &format!("http://{server}/v1-release/channels"))
            )
        };
        // Writing to a String cannot fail.
        debug_assert!(written.is_ok());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_the_address_line_are_rewritten_and_nothing_else() {
        let script = "#!/bin/sh\nGITHUB_URL=https://github.com/k3s-io/k3s/releases\necho ${GITHUB_URL}/x\n";
        let want = "#!/bin/sh\nGITHUB_URL=http://10.99.0.1:8080/releases\necho ${GITHUB_URL}/x\n";
        assert_eq!(pointed_at(script, "10.99.0.1:8080", Era::AsIs), want);
        let script = "GITHUB_URL=${GITHUB_URL:-https://github.com/k3s-io/k3s/releases}\n";
        let want = "GITHUB_URL=${GITHUB_URL:-http://h:1/releases}\n";
        assert_eq!(pointed_at(script, "h:1", Era::AsIs), want);
        let script = "INSTALL_K3S_ARTIFACT_URL=${INSTALL_K3S_ARTIFACT_URL:-https://github.com/k3s-io/k3s/releases/download}\n";
        let want = "INSTALL_K3S_ARTIFACT_URL=${INSTALL_K3S_ARTIFACT_URL:-http://h:1/releases/download}\n";
        assert_eq!(pointed_at(script, "h:1", Era::AsIs), want);
    }

    #[test]
    fn the_default_channel_server_becomes_this_one() {
        let script = "URL=${URL:-'https://update.k3s.io/v1-release/channels'}\n";
        assert_eq!(
            pointed_at(script, "h:1", Era::AsIs),
            "URL=${URL:-'http://h:1/v1-release/channels'}\n"
        );
    }
}
