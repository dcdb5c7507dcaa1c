//! Kubeconfig files, in the exact shape that k3s writes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

/// `/etc/rancher/k3s/k3s.yaml`: everything inside.
pub fn inline(server: &str, ca: &str, chain: &str, key: &str) -> String {
    let [ca, chain, key] = [ca, chain, key].map(|pem| STANDARD.encode(pem));
    let cluster = format!("certificate-authority-data: {ca}");
    let user = format!("client-certificate-data: {chain}\n    client-key-data: {key}");
    config("default", server, &cluster, &user)
}

/// Those of the kubelet and others: certificates by path.
pub fn by_path(server: &str, ca: &Path, chain: &Path, key: &Path) -> String {
    let cluster = format!("certificate-authority: {}", ca.display());
    let user = format!(
        "client-certificate: {}\n    client-key: {}",
        chain.display(),
        key.display()
    );
    config("local", server, &cluster, &user)
}

fn config(name: &str, server: &str, cluster: &str, user: &str) -> String {
    let user_name = if name == "local" { "user" } else { name };
    let context = if name == "local" { "Default" } else { name };
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    {cluster}\n    server: {server}\n  name: {name}\ncontexts:\n\
         - context:\n    cluster: {name}\n    user: {user_name}\n  name: {context}\ncurrent-context: {context}\n\
         kind: Config\npreferences: {{}}\nusers:\n- name: {user_name}\n  user:\n    {user}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_file_is_the_recorded_one() {
        let wanted = "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: Q0E=\n    \
                      server: https://127.0.0.1:6443\n  name: default\ncontexts:\n- context:\n    cluster: default\n    \
                      user: default\n  name: default\ncurrent-context: default\nkind: Config\npreferences: {}\nusers:\n\
                      - name: default\n  user:\n    client-certificate-data: Q0g=\n    client-key-data: S0U=\n";
        assert_eq!(inline("https://127.0.0.1:6443", "CA", "CH", "KE"), wanted);
    }
}
