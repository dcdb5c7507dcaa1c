//! A cluster, a home folder, and the binary at work in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k3s_certs::testing::{Authority, Leaf, Signed};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// From before the tests' clock until long after whenever they run.
pub(crate) fn lasting(leaf: Leaf) -> Leaf {
    leaf.days(-400, 36_500)
}

pub(crate) fn admin() -> Leaf {
    Leaf::new("system:admin").organization("system:masters")
}

pub(crate) struct Cluster {
    pub(crate) servers: Authority,
    pub(crate) clients: Authority,
    pub(crate) admin: Signed,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let authority = |name| Authority::like(&lasting(Leaf::new(name)));
        let clients = authority("k3s-client-ca@1");
        Self {
            servers: authority("k3s-server-ca@1"),
            admin: clients.sign(&lasting(admin())),
            clients,
        }
    }

    pub(crate) fn kubeconfig(&self, name: &str, server: &str, admin: &Signed) -> String {
        let data = |text: &str| STANDARD.encode(text);
        format!(
            "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: {server}\n  name: {name}\n\
             contexts:\n- context:\n    cluster: {name}\n    user: {name}\n  name: {name}\ncurrent-context: {name}\nkind: Config\n\
             preferences: {{}}\nusers:\n- name: {name}\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
            data(&self.servers.pem),
            data(&(admin.pem.clone() + &self.clients.pem)),
            data(&admin.key_pem)
        )
    }

    /// What state: read would hand over.
    pub(crate) fn content(&self, server: &str) -> String {
        self.kubeconfig("k3s-k3s-1", server, &self.admin)
    }

    pub(crate) fn stale(&self) -> String {
        let expired = self.clients.sign(&admin().days(-400, -35));
        self.kubeconfig("default", "https://127.0.0.1:6443", &expired)
    }

    /// An API server that lets nobody in but whom this cluster's authority of clients has signed.
    pub(crate) fn serve(&self, names: &[&str], status: &'static str) -> u16 {
        let own = self
            .servers
            .sign(&lasting(Leaf::new("k3s")).reached_at(names, &[]));
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.clients.pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(own.pem.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).unwrap(),
            );
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut tls = rustls::Stream::new(&mut connection, &mut stream);
                if tls.read(&mut [0; 4096]).is_ok() {
                    let answer =
                        format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
                    let _ = tls.write_all(answer.as_bytes());
                }
            }
        });
        port
    }
}

/// A home folder, and the binary at work in it.
pub(crate) struct Desk {
    pub(crate) home: tempfile::TempDir,
    pub(crate) cluster: Cluster,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
            cluster: Cluster::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub(crate) fn arguments(&self, more: Value) -> Value {
        let mut arguments = json!({
            "state": "written", "content": self.cluster.content("https://k3s-1.invalid:6443"), "home": self.home.path(),
            "verify": false, "_ansible_diff": true,
        });
        arguments
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        arguments
    }

    /// Runs with these options, and sees that no answer holds a key.
    pub(crate) fn write(&self, more: Value) -> Value {
        let arguments = self.arguments(more).to_string();
        let output = assert_cmd::Command::new(assert_cmd::cargo::cargo_bin!("kubeconfig_fetch"))
            .arg("-")
            .write_stdin(arguments)
            .output()
            .unwrap();
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        self.assert_keyless(&String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub(crate) fn assert_keyless(&self, text: &str) {
        let pem = &self.cluster.admin.key_pem;
        let line = pem.lines().nth(1).unwrap();
        for secret in [line, &STANDARD.encode(pem)[..40]] {
            assert!(!text.contains(secret), "{text}");
        }
    }

    /// Asks an API server that is at this address.
    pub(crate) fn ask(&self, server: &str) -> Value {
        self.ask_within(60, server)
    }

    pub(crate) fn ask_within(&self, limit: u32, server: &str) -> Value {
        let answer = self.write(json!({
            "content": self.cluster.content(server), "verify": true, "verify_timeout": limit, "dest": "/dev/shm/never", "_ansible_check_mode": true,
        }));
        assert_eq!(answer["failed"], false, "{answer}");
        answer
    }
}
