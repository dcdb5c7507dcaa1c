//! Points an install script, ours or a real one, at this server instead of the internet.

use std::fmt::Write as _;

/// Where the published script looks for channels by default.
const PUBLIC_CHANNELS: &str = "https://update.k3s.io/v1-release/channels";

pub(crate) fn pointed_at(script: &str, server: &str) -> String {
    let mut out = String::with_capacity(script.len());
    for line in script.lines() {
        let written = if line.starts_with("INSTALL_K3S_ARTIFACT_URL=${") {
            writeln!(
                out,
                "INSTALL_K3S_ARTIFACT_URL=${{INSTALL_K3S_ARTIFACT_URL:-http://{server}/releases/download}}"
            )
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
    fn the_address_line_is_rewritten_and_nothing_else() {
        let script = "#!/bin/sh\nINSTALL_K3S_ARTIFACT_URL=${INSTALL_K3S_ARTIFACT_URL:-https://github.com/k3s-io/k3s/releases/download}\n\
                      echo ${INSTALL_K3S_ARTIFACT_URL}/x\n";
        let want = "#!/bin/sh\nINSTALL_K3S_ARTIFACT_URL=${INSTALL_K3S_ARTIFACT_URL:-http://h:1/releases/download}\n\
                    echo ${INSTALL_K3S_ARTIFACT_URL}/x\n";
        assert_eq!(pointed_at(script, "h:1"), want);
    }

    #[test]
    fn the_default_channel_server_becomes_this_one() {
        let script = "URL=${URL:-'https://update.k3s.io/v1-release/channels'}\n";
        assert_eq!(
            pointed_at(script, "h:1"),
            "URL=${URL:-'http://h:1/v1-release/channels'}\n"
        );
    }
}
