use super::*;
use crate::samples::{Cluster, admin, data, one};
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
    let user = format!("{{client-certificate-data: {chain}, client-key-data: {}}}", data(signed.key_pem));
    assert_eq!(read(&one("default", &cluster.cluster(SERVER), &user)).unwrap().chain.len(), 3);
    // RSA, as an older authority of one's own may have it.
    let key = openssl(&["genrsa", "-traditional", "2048"], "");
    let arguments = ["req", "-x509", "-key", "/dev/stdin", "-subj", "/O=system:masters/CN=system:admin", "-days", "1"];
    let pem = openssl(&arguments, &key);
    let user = format!("{{client-certificate-data: {}, client-key-data: {}}}", data(&pem), data(&key));
    let authority = format!("{{certificate-authority-data: {}, server: {SERVER}}}", data(&pem));
    assert_eq!(read(&one("default", &authority, &user)).unwrap().chain.len(), 1);
}

#[test]
fn each_fault_names_the_file_and_the_field() {
    let cluster = Cluster::new(1);
    let good = cluster.cluster(SERVER);
    let user = cluster.user(&admin());
    let signed = cluster.clients.sign(&admin());
    let other_key = cluster.clients.sign(&admin()).key_pem;
    let with = |certificate: &str, key: &str| format!("{{client-certificate-data: {certificate}, client-key-data: {key}}}");
    let whole = data(&signed.pem);
    let cut = data(&signed.pem[..signed.pem.len() / 2]);
    let key = data(&signed.key_pem);
    let at_user = "k3s.yaml: users[default].user";
    let at_cluster = "k3s.yaml: clusters[default].cluster";
    let of_user = |text: &str| one("default", &good, text);
    let of_cluster = |text: &str| one("default", text, &user);
    let cases = [
        (String::new(), "k3s.yaml: it is empty".to_owned()),
        ("# k3s\n".to_owned(), "k3s.yaml: it is empty".to_owned()),
        ("a: [".to_owned(), "k3s.yaml: it is neither YAML nor JSON: line".to_owned()),
        ("kind: Config\n".to_owned(), "k3s.yaml: it has no cluster".to_owned()),
        (of_user("{}"), format!("{at_user}: there is no client certificate (client-certificate-data)")),
        (of_user("{token: abc}"), format!("{at_user}: there is no client certificate")),
        (of_user("{client-certificate: /a.crt}"), format!("{at_user}.client-certificate: the client certificate is not in the file, it is named by its path /a.crt")),
        (of_user(&with("\"%%%\"", &key)), format!("{at_user}.client-certificate-data: it is no base64")),
        (of_user(&with("\"\"", &key)), format!("{at_user}: there is no client certificate")),
        (of_user(&with(&cut, &key)), format!("{at_user}.client-certificate-data: block 1 is cut off")),
        (of_user(&with(&data("hello"), &key)), format!("{at_user}.client-certificate-data: it is no PEM")),
        (of_user(&with(&key, &key)), format!("{at_user}.client-certificate-data: it holds a private key")),
        (of_user(&format!("{{client-certificate-data: {whole}}}")), format!("{at_user}: there is no private key (client-key-data)")),
        (of_user(&with(&whole, "\"%%%\"")), format!("{at_user}.client-key-data: it is no base64")),
        (of_user(&with(&whole, &data(&other_key))), format!("{at_user}.client-key-data: it is not the key of the client certificate")),
        (of_cluster("{}"), format!("{at_cluster}: there is no address of the API server (server)")),
        (of_cluster("{server: \"http://a:1\"}"), format!("{at_cluster}.server: \"http://a:1\" is no https address")),
        (of_cluster(&format!("{{server: \"{SERVER}\"}}")), format!("{at_cluster}: there is no certificate of the authority (certificate-authority-data)")),
        (of_cluster(&format!("{{server: \"{SERVER}\", certificate-authority: ca.crt}}")), format!("{at_cluster}.certificate-authority: the certificate of the authority is not in the file")),
        (one("default", &good, &user).replace("user: default}", "user: else}"), "k3s.yaml: contexts[default].context.user is not \"default\"".to_owned()),
    ];
    for (text, words) in cases {
        let error = refused(&text);
        assert!(error.starts_with(&words), "{error:?} does not begin with {words:?}");
        assert!(!error.contains(&key[..40]), "{error} repeats the key");
    }
    let two = one("default", &good, &user).replace("users:\n", "users:\n- name: second\n");
    assert_eq!(refused(&two), "k3s.yaml: it has 2 users where one is expected");
}

#[test]
fn another_authority_is_told_as_such() {
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
    assert!(error.contains("client-certificate-data: it is from another authority than the cluster's (a CA mismatch)"), "{error}");
    assert!(error.contains("k3s-client-ca@1") && error.contains("k3s-client-ca@2"), "{error}");
    let servers = Authorities {
        of_servers: of(&other.servers),
        ..fine
    };
    let error = format!("{:#}", check(servers).unwrap_err());
    assert!(error.contains("certificate-authority-data: it is from another authority"), "{error}");
    // A chain whose own authority did not sign it.
    let signed = cluster.clients.sign(&admin());
    let chain = data(signed.pem.clone() + &other.clients.pem);
    let user = format!("{{client-certificate-data: {chain}, client-key-data: {}}}", data(&signed.key_pem));
    assert!(refused(&one("default", &cluster.cluster(SERVER), &user)).contains("CA mismatch"));
    // Alone, it has to lead to the only authority that the file names.
    let user = format!("{{client-certificate-data: {}, client-key-data: {}}}", data(&signed.pem), data(&signed.key_pem));
    assert!(refused(&one("default", &cluster.cluster(SERVER), &user)).contains("CA mismatch"));
}
