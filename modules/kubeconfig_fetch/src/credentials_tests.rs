use super::*;
use crate::samples::{Cluster, admin, data, one, user};
use k3s_certs::testing::{Authority, Kind as Key, Leaf, openssl};

const SERVER: &str = "https://127.0.0.1:6443";

fn read(text: &str) -> Result<Credentials> {
    Credentials::read(text.as_bytes(), "k3s.yaml", &Authorities::default())
}

fn refused(text: &str) -> String {
    format!("{:#}", read(text).unwrap_err())
}

#[test]
fn what_k3s_writes_is_read() {
    let cluster = Cluster::new(1);
    let read = read(&cluster.kubeconfig("default", SERVER, &admin())).unwrap();
    assert_eq!(read.server, SERVER);
    assert_eq!(read.leaf().subject, "CN=system:admin,O=system:masters");
    assert_eq!((read.chain.len(), read.authority.len()), (2, 1));
}

#[test]
fn so_is_json() {
    let text = Cluster::new(1).kubeconfig("default", SERVER, &admin());
    let json: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
    assert!(read(&json.to_string()).is_ok());
}

#[test]
fn keys_of_other_kinds_and_longer_chains_are_read() {
    for kind in [Key::P256, Key::P384, Key::Ed25519] {
        let text = Cluster::new(1).kubeconfig("default", SERVER, &admin().of(kind));
        assert!(read(&text).is_ok(), "{kind:?}");
    }
    let cluster = Cluster::new(1);
    let below = cluster.clients.below(&Leaf::new("k3s-client-ca@2"));
    let signed = below.sign(&admin());
    let chain = data(signed.pem + &below.pem + &cluster.clients.pem);
    let entry = user(&chain, &data(signed.key_pem));
    assert_eq!(
        read(&one("default", &cluster.cluster(SERVER), &entry))
            .unwrap()
            .chain
            .len(),
        3
    );
    // RSA, as an older authority of one's own may have it.
    let key = openssl(&["genrsa", "-traditional", "2048"], "");
    let arguments = [
        "req",
        "-x509",
        "-key",
        "/dev/stdin",
        "-subj",
        "/O=system:masters/CN=system:admin",
        "-days",
        "1",
    ];
    let pem = openssl(&arguments, &key);
    let entry = user(&data(&pem), &data(&key));
    let authority = format!("{{certificate-authority-data: {}, server: {SERVER}}}", data(&pem));
    assert_eq!(read(&one("default", &authority, &entry)).unwrap().chain.len(), 1);
}

/// A newer k3s can be given another name, and newer libraries leave empty preferences out.
#[test]
fn what_later_versions_write_is_read() {
    let text = Cluster::new(1).kubeconfig("homelab", SERVER, &admin());
    let later = text
        .replace("preferences: {}\n", "")
        .replace("server: \"", "proxy-url: \"\", tls-server-name: k3s, server: \"");
    assert!(later.contains("proxy-url") && !later.contains("preferences"));
    assert_eq!(read(&later).unwrap().server, SERVER);
    let with_token = text.replace("{client-certificate-data", "{token: abc, client-certificate-data");
    assert_eq!(read(&with_token).unwrap().chain.len(), 2);
    let extended = format!("{text}extensions: []\n");
    assert!(read(&extended).is_ok());
}

/// Each text is refused with these words, and without any of the key.
fn assert_refused(cases: &[(String, &str)], location: &str, key: &str) {
    for (text, words) in cases {
        let (error, words) = (refused(text), format!("{location}{words}"));
        assert!(
            error.starts_with(&words),
            "{error:?} does not begin with {words:?}"
        );
        assert!(!error.contains(&key[..40]), "{error} repeats the key");
    }
}

#[test]
fn rejects_a_file_that_is_not_a_kubeconfig_of_one_cluster() {
    let cluster = Cluster::new(1);
    let good = cluster.kubeconfig("default", SERVER, &admin());
    let cases = [
        (String::new(), "it is empty"),
        ("# k3s\n".to_owned(), "it is empty"),
        ("a: [".to_owned(), "it is neither YAML nor JSON: line"),
        ("kind: Config\n".to_owned(), "it has no cluster"),
        (
            good.replace("users:\n", "users:\n- name: second\n"),
            "it has 2 users where one is expected",
        ),
        (
            good.replace("user: default}", "user: else}"),
            "contexts[default].context.user is not \"default\"",
        ),
    ];
    assert_refused(&cases, "k3s.yaml: ", &data(&cluster.clients.key_pem));
}

#[test]
fn names_the_invalid_field_of_the_user() {
    let cluster = Cluster::new(1);
    let signed = cluster.clients.sign(&admin());
    let (certificate, key) = (data(&signed.pem), data(&signed.key_pem));
    let other_key = data(cluster.clients.sign(&admin()).key_pem);
    let cut = data(&signed.pem[..signed.pem.len() / 2]);
    let of = |text: &str| one("default", &cluster.cluster(SERVER), text);
    let with = |certificate: &str, key: &str| of(&user(certificate, key));
    let cases = [
        (
            of("{}"),
            ": there is no client certificate (client-certificate-data)",
        ),
        (of("{token: abc}"), ": there is no client certificate"),
        (
            of("{username: admin, password: abc}"),
            ": there is no client certificate",
        ),
        (
            of("{client-certificate: /a.crt}"),
            ".client-certificate: the client certificate is not in the file, it is named by its path /a.crt",
        ),
        (
            with("\"%%%\"", &key),
            ".client-certificate-data: it is not base64",
        ),
        (with("\"\"", &key), ": there is no client certificate"),
        (with(&cut, &key), ".client-certificate-data: block 1 is truncated"),
        (
            with(&data("hello"), &key),
            ".client-certificate-data: it is not PEM",
        ),
        (
            with(&key, &key),
            ".client-certificate-data: it holds a private key",
        ),
        (
            of(&format!("{{client-certificate-data: {certificate}}}")),
            ": there is no private key (client-key-data)",
        ),
        (
            with(&certificate, "\"%%%\""),
            ".client-key-data: it is not base64",
        ),
        (
            with(&certificate, &other_key),
            ".client-key-data: it is not the key of the client certificate",
        ),
    ];
    assert_refused(&cases, "k3s.yaml: users[default].user", &key);
}

#[test]
fn names_the_invalid_field_of_the_cluster() {
    let cluster = Cluster::new(1);
    let of = |text: &str| one("default", text, &cluster.user(&admin()));
    let cases = [
        (of("{}"), ": there is no address of the API server (server)"),
        (
            of("{server: \"http://a:1\"}"),
            ".server: \"http://a:1\" is not an https address",
        ),
        (
            of(&format!("{{server: \"{SERVER}\"}}")),
            ": there is no certificate of the authority (certificate-authority-data)",
        ),
        (
            of(&format!(
                "{{server: \"{SERVER}\", certificate-authority: ca.crt}}"
            )),
            ".certificate-authority: the certificate of the authority is not in the file",
        ),
    ];
    assert_refused(
        &cases,
        "k3s.yaml: clusters[default].cluster",
        &data(&cluster.clients.key_pem),
    );
}

#[test]
fn reports_another_authority() {
    let cluster = Cluster::new(1);
    let other = Cluster::new(2);
    let text = cluster.kubeconfig("default", SERVER, &admin());
    let check = |kept: Authorities| Credentials::read(text.as_bytes(), "k3s.yaml", &kept);
    let of = |authority: &Authority| certificates(authority.pem.as_bytes(), "ca.crt").unwrap();
    let fine = Authorities {
        of_clients: of(&cluster.clients),
        of_servers: of(&cluster.servers),
    };
    assert!(check(fine.clone()).is_ok());
    let clients = Authorities {
        of_clients: of(&other.clients),
        ..fine.clone()
    };
    let error = format!("{:#}", check(clients).unwrap_err());
    assert!(
        error.contains(
            "client-certificate-data: it is from another authority than the cluster's (a CA mismatch)"
        ),
        "{error}"
    );
    assert!(
        error.contains("k3s-client-ca@1") && error.contains("k3s-client-ca@2"),
        "{error}"
    );
    let servers = Authorities {
        of_servers: of(&other.servers),
        ..fine
    };
    let error = format!("{:#}", check(servers).unwrap_err());
    assert!(
        error.contains("certificate-authority-data: it is from another authority"),
        "{error}"
    );
    // A chain whose own authority did not sign it.
    let signed = cluster.clients.sign(&admin());
    let chain = data(signed.pem.clone() + &other.clients.pem);
    let entry = user(&chain, &data(&signed.key_pem));
    assert!(refused(&one("default", &cluster.cluster(SERVER), &entry)).contains("CA mismatch"));
    // Alone, it has to lead to the only authority that the file names.
    let entry = user(&data(&signed.pem), &data(&signed.key_pem));
    assert!(refused(&one("default", &cluster.cluster(SERVER), &entry)).contains("CA mismatch"));
}
