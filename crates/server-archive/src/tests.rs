//! An archive is what was packed, byte for byte, or it is refused with what is wrong.

use crate::manifest::{About, Manifest};
use crate::read::{check as check_with_token, unpack};
use crate::write::{Packing, write};
use crate::{Datastore, Objects};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use tempfile::TempDir;

/// A server's files below a folder of the test, with a copy of its datastore.
fn server() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, content: &[u8], mode: u32| {
        let at = folder.path().join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(&at, content).unwrap();
        std::fs::set_permissions(&at, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    put("data/server/token", b"K10abc::server:s3cr3t\n", 0o600);
    put("data/server/tls/etcd/peer-ca.key", b"a key", 0o600);
    put("data/server/tls/server-ca.crt", b"an authority", 0o644);
    put("data/server/cred/passwd", b"", 0o600);
    put("data/server/db/state.db", b"never taken from here", 0o600);
    put("etc/rancher/k3s/config.yaml", b"cluster-init: true\n", 0o600);
    put("etc/rancher/k3s/config.yaml.d/10.yaml", b"tls-san: [a]\n", 0o600);
    put("etc/rancher/node/password", b"pw", 0o600);
    let unit = b"[Service]\nExecStart=/usr/local/bin/k3s server\n";
    put("etc/systemd/system/k3s.service", unit, 0o644);
    put("etc/passwd", b"not ours", 0o644);
    put("work/snapshot", &vec![7; 300_000], 0o600);
    let link = |from: &str| std::os::unix::fs::symlink("token", folder.path().join(from)).unwrap();
    link("data/server/node-token");
    link("data/server/agent-token");
    folder
}

fn about(folder: &Path) -> About {
    About {
        name: "k3s-n1-20260101T000000Z".to_owned(),
        taken_at: "2026-01-01T00:00:00Z".to_owned(),
        node: "n1".to_owned(),
        k3s_version: "v1.31.4+k3s1".to_owned(),
        datastore: Datastore::Etcd,
        data_dir: folder.join("data").display().to_string(),
        objects: Objects::from([("configmap".to_owned(), 3)]),
        nodes: vec!["n1".to_owned()],
    }
}

fn packed(folder: &Path) -> anyhow::Result<(Vec<u8>, Manifest)> {
    packed_with(folder, &["/etc/systemd/system/k3s.service"])
}

/// With the files that the server's settings name.
fn packed_with(folder: &Path, named: &[&str]) -> anyhow::Result<(Vec<u8>, Manifest)> {
    let mut archive = Vec::new();
    let named: Vec<String> = named.iter().map(|path| (*path).to_owned()).collect();
    let packing = Packing {
        root: folder,
        about: about(folder),
        named: &named,
        datastore: &folder.join("work/snapshot"),
    };
    let manifest = write(packing, &mut archive)?;
    Ok((archive, manifest))
}

fn check(archive: &[u8]) -> anyhow::Result<Manifest> {
    check_with_token(archive).map(|(manifest, _)| manifest)
}

fn tar_of(archive: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(archive)
        .read_to_end(&mut tar)
        .unwrap();
    tar
}

fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(tar).unwrap();
    gzip.finish().unwrap()
}

fn refusal(archive: &[u8]) -> String {
    format!("{:#}", check(archive).unwrap_err())
}

#[test]
fn all_that_a_restore_needs_is_there_and_nothing_else() {
    let folder = server();
    let (archive, manifest) = packed(folder.path()).unwrap();
    let paths: Vec<&str> = manifest.files.iter().map(|entry| entry.path.as_str()).collect();
    let expected = [
        "server/token",
        "server/tls/etcd/peer-ca.key",
        "server/tls/server-ca.crt",
        "server/cred/passwd",
        "etc/rancher/k3s/config.yaml",
        "etc/rancher/k3s/config.yaml.d/10.yaml",
        "etc/rancher/node/password",
        "etc/systemd/system/k3s.service",
        "datastore/snapshot",
    ];
    assert_eq!(paths, expected);
    assert_eq!(check(&archive).unwrap(), manifest);
    assert!(manifest.has("server/token") && !manifest.has("server/agent-token"));
    assert!(
        manifest.bytes() > 300_000 && archive.len() < 10_000,
        "it is not pressed"
    );
    // An agents' token of its own is kept.
    std::fs::remove_file(folder.path().join("data/server/agent-token")).unwrap();
    std::fs::write(folder.path().join("data/server/agent-token"), "other").unwrap();
    assert!(packed(folder.path()).unwrap().1.has("server/agent-token"));
}

#[test]
fn what_the_settings_name_goes_along_wherever_it_is() {
    let folder = server();
    let put = |path: &str, content: &str| {
        let at = folder.path().join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, content).unwrap();
    };
    for path in [
        "etc/attic/k3s.yaml",
        "etc/attic/k3s.yaml.d/10.yaml",
        "etc/attic/not-named.yaml",
        "etc/systemd/system/k3s-node.service",
        "etc/systemd/system/k3s-node.service.d/10.conf",
        "etc/systemd/system/k3s-shutdown.service",
        "opt/k3s/node.env",
    ] {
        put(path, path);
    }
    let named = [
        "/etc/attic/k3s.yaml",
        "/etc/attic/k3s.yaml.d",
        "/etc/systemd/system/k3s-node.service",
        "/etc/systemd/system/k3s-node.service.env",
        "/etc/systemd/system/k3s-node.service.d",
        // In the archive already, and one file in two spellings.
        "/etc/rancher/k3s/config.yaml",
        "/opt//k3s/./node.env",
        "/etc/attic/../../opt/k3s/node.env",
        "/no/such/../file",
    ];
    let (archive, manifest) = packed_with(folder.path(), &named).unwrap();
    let paths: Vec<&str> = manifest.files.iter().map(|entry| entry.path.as_str()).collect();
    let expected = [
        "etc/rancher/node/password",
        "etc/attic/k3s.yaml",
        "etc/attic/k3s.yaml.d/10.yaml",
        "etc/systemd/system/k3s-node.service",
        "etc/systemd/system/k3s-node.service.d/10.conf",
        "machine/opt/k3s/node.env",
        "datastore/snapshot",
    ];
    assert_eq!(paths[6..], expected);
    let to = folder.path().join("restored");
    unpack(archive.as_slice(), &to).unwrap();
    let text = std::fs::read_to_string(to.join("machine/opt/k3s/node.env")).unwrap();
    assert_eq!(text, "opt/k3s/node.env");
}

#[test]
fn refuses_a_named_file_that_is_too_large_by_its_path() {
    let folder = server();
    std::fs::write(folder.path().join("etc/huge"), vec![0; 5 << 20]).unwrap();
    let error = packed_with(folder.path(), &["/etc/huge"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("etc/huge has 5242880 bytes"), "{error}");
}

/// Written before files outside `/etc` had a place in it.
#[test]
fn an_archive_of_an_earlier_version_is_read() {
    let archive = include_bytes!("../tests/recorded/collection-0.1.0.tar.gz");
    let manifest = check(archive).unwrap();
    assert_eq!(manifest.about.name, "k3s-n1-20260101T000000Z");
    assert!(manifest.has("etc/systemd/system/k3s.service") && manifest.has("datastore/snapshot"));
}

#[test]
fn unpacks_the_same_files_where_only_root_enters() {
    let folder = server();
    let (archive, manifest) = packed(folder.path()).unwrap();
    let to = folder.path().join("restored");
    assert_eq!(unpack(archive.as_slice(), &to).unwrap(), manifest);
    let same = [
        ("data/server/token", "server/token"),
        ("data/server/tls/server-ca.crt", "server/tls/server-ca.crt"),
        ("etc/rancher/k3s/config.yaml", "etc/rancher/k3s/config.yaml"),
        ("work/snapshot", "datastore/snapshot"),
    ];
    for (from, at) in same {
        let read = |path: std::path::PathBuf| std::fs::read(path).unwrap();
        assert!(read(folder.path().join(from)) == read(to.join(at)), "{at}");
        let mode = if at == "server/tls/server-ca.crt" {
            0o644
        } else {
            0o600
        };
        assert_eq!(
            std::fs::metadata(to.join(at)).unwrap().mode() & 0o777,
            mode,
            "{at}"
        );
    }
    assert_eq!(std::fs::metadata(&to).unwrap().mode() & 0o777, 0o700);
    // What is there belongs to another restore.
    assert!(unpack(archive.as_slice(), &to).is_err());
}

#[test]
fn other_programs_can_open_it() {
    let folder = server();
    let path = folder.path().join("archive.tar.gz");
    std::fs::write(&path, packed(folder.path()).unwrap().0).unwrap();
    let listed = std::process::Command::new("tar")
        .arg("-tzf")
        .arg(&path)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.lines().next(), Some("manifest.json"));
    assert_eq!(listed.lines().count(), 10);
}

#[test]
fn without_the_token_there_is_no_backup() {
    let folder = server();
    std::fs::remove_file(folder.path().join("data/server/token")).unwrap();
    let error = packed(folder.path()).unwrap_err().to_string();
    assert!(error.contains("without the server's token"), "{error}");
}

#[test]
fn a_file_that_is_none_of_k3s_is_not_packed() {
    let folder = server();
    std::fs::write(folder.path().join("data/server/cred/huge"), vec![0; 5 << 20]).unwrap();
    let error = packed(folder.path()).unwrap_err().to_string();
    assert!(error.contains("server/cred/huge has 5242880 bytes"), "{error}");
}

#[test]
fn reports_every_damage() {
    let folder = server();
    // Of many equal bytes, another distance to copy from has the same result.
    let mixed: Vec<u8> = (0..40_000_u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2])
        .collect();
    std::fs::write(folder.path().join("work/snapshot"), mixed).unwrap();
    let (archive, manifest) = packed(folder.path()).unwrap();
    assert!(refusal(b"").contains("archive"), "{}", refusal(b""));
    assert!(refusal(b"not a gzip at all").contains("damaged, or no archive"));
    for cut in [20, archive.len() / 2, archive.len() - 1] {
        check(&archive[..cut]).unwrap_err();
    }
    assert!(refusal(&[archive.as_slice(), b"x"].concat()).contains("something follows"));
    let mut passed = 0;
    for at in (0..archive.len()).step_by(97) {
        let mut flipped = archive.clone();
        flipped[at] ^= 0x10;
        match check(&flipped) {
            // The gzip's own header, and the bits that fill its last byte, mean nothing to the content.
            Ok(found) => {
                passed += 1;
                assert_eq!(found, manifest);
            }
            Err(error) => assert!(!format!("{error:#}").is_empty()),
        }
    }
    assert!(passed < 3, "{passed} flips passed");
}

#[test]
fn what_does_not_fit_its_manifest_is_refused() {
    let folder = server();
    let (archive, _) = packed(folder.path()).unwrap();
    let tar = tar_of(&archive);
    let altered = |from: &str, to: &str| {
        let at = tar
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .unwrap();
        let mut tar = tar.clone();
        tar[at..at + to.len()].copy_from_slice(to.as_bytes());
        refusal(&gzip(&tar))
    };
    // Both are the manifest's; the content of the file comes later.
    assert!(altered("\"format\": 1", "\"format\": 2").contains("the form 2"));
    assert!(altered("server/token\"", "serv../token\"").contains("no place on a server"));
    assert!(altered("K10abc::server:s3cr3t", "K10abc::server:other!").contains("it is damaged: its SHA-256"));
    assert!(altered("datastore/snapshot\"", "etc/systemd/system\"").contains("0 copies of a datastore"));

    let mut more = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_path("etc/passwd").unwrap();
    header.set_size(0);
    header.set_cksum();
    more.append(&header, std::io::empty()).unwrap();
    let end = tar.iter().rposition(|byte| *byte != 0).unwrap() / 512 * 512 + 512;
    let longer = [&tar[..end], &more.into_inner().unwrap()].concat();
    assert!(refusal(&gzip(&longer)).contains("more files than its manifest lists"));
    assert!(refusal(&gzip(&tar_without_manifest(&tar))).contains("does not begin with manifest.json"));
}

fn tar_without_manifest(tar: &[u8]) -> Vec<u8> {
    let size = std::str::from_utf8(&tar[124..135]).unwrap();
    let size = usize::from_str_radix(size, 8).unwrap();
    tar[512 + size.div_ceil(512) * 512..].to_vec()
}
