//! What is in the tree already: recordings of real programs, and the answers of transcripts.

use crate::cases::repository;
use std::fs;
use std::path::{Path, PathBuf};

/// The files below a folder of the tree.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let all = paths
        .into_iter()
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    all.collect()
}

/// Every recording, with its name. Archives are none of a parser's.
fn recordings() -> Vec<(String, Vec<u8>)> {
    let root = repository();
    let members = ["crates", "modules"].map(|group| fs::read_dir(root.join(group)).unwrap());
    let folders = members
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .flat_map(|member| [member.join("recorded"), member.join("tests/recorded")])
        .filter(|folder| folder.is_dir());
    let mut all: Vec<PathBuf> = folders.flat_map(|folder| files(&folder)).collect();
    all.sort();
    all.into_iter()
        .filter(|path| path.extension().is_none_or(|end| end != "gz"))
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect()
}

fn recorded(fits: impl Fn(&str, &[u8]) -> bool) -> Vec<Vec<u8>> {
    let all = recordings()
        .into_iter()
        .filter(|(name, content)| fits(name, content));
    let found: Vec<Vec<u8>> = all.map(|(_, content)| content).collect();
    assert!(!found.is_empty(), "there is no such recording");
    found
}

fn written(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn has(content: &[u8], words: &str) -> bool {
    String::from_utf8_lossy(content).contains(words)
}

pub(crate) fn versions() -> Vec<Vec<u8>> {
    written(&[
        "v1.31.5+k3s1\nv1.31.5-rc1+k3s2\nv1.36.0\n",
        "k3s version v1.36.3+k3s1 (f0cbb5e4)\ngo version go1.26.1\n",
        "server --token=secret --datastore-endpoint=postgres://user:word@host:5432/db\n",
        "Get https://user:word@10.0.0.1:6443/: K10ab::server:cd\n",
    ])
}

pub(crate) fn kubeconfigs() -> Vec<Vec<u8>> {
    let folder = repository().join("modules/kubeconfig_fetch/tests/kubeconfigs");
    let mut found: Vec<Vec<u8>> = files(&folder)
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    let full = recorded(|name, _| name.contains("kubeconfig_fetch") && name.contains("files-valid"));
    let document = |content: &Vec<u8>| {
        let text = String::from_utf8_lossy(content).into_owned();
        let from = text.find("apiVersion:")?;
        let rest = &text[from..];
        let until = rest.find("\n\n").unwrap_or(rest.len());
        Some(rest.as_bytes()[..until].to_vec())
    };
    found.extend(full.iter().filter_map(document));
    found
}

pub(crate) fn yaml() -> Vec<Vec<u8>> {
    let mut seeds = kubeconfigs();
    seeds.extend(written(&[
        "token: K10ab::server:cd\ntls-san+:\n- a\n- \"b\"\nflannel-backend: vxlan\nnode-label: [a=b, on]\n",
        "a: &x {q: 1}\nb: *x\nc: |\n  two\n  lines\nd: >-\n  folded\n",
        "{\"a\": [1.10, \"x\\/y\", null], \"b\": {}}\n",
        "kubelet-arg:\n- \"config=/etc/kubelet.yaml\"\ndebug: yes\nx: 1_000\ny: 0o17\n",
    ]));
    seeds
}

pub(crate) fn pem() -> Vec<Vec<u8>> {
    let mut seeds = recorded(|_, content| has(content, "-----BEGIN"));
    let bare = |content: &Vec<u8>| k3s_certs::certificates(content, "a recording").ok();
    let bare: Vec<Vec<u8>> = seeds
        .iter()
        .filter_map(bare)
        .flatten()
        .map(|certificate| certificate.der().to_vec())
        .collect();
    seeds.extend(bare);
    seeds
}

pub(crate) fn units() -> Vec<Vec<u8>> {
    recorded(|_, content| has(content, "ExecStart="))
}

pub(crate) fn env_files() -> Vec<Vec<u8>> {
    written(&[
        "K3S_TOKEN='a b'\nK3S_URL=https://a:6443\n# x\nA=\"b \\\n c\"\nEMPTY=\n",
        "HTTP_PROXY=http://user:word@proxy:3128\nNO_PROXY='10.0.0.0/8'\\''x'\n;c\n",
    ])
}

pub(crate) fn facts() -> Vec<Vec<u8>> {
    let mut seeds = recorded(|_, content| content.starts_with(b"@") || has(content, "\n@"));
    seeds.extend(recorded(|name, _| name.ends_with("systemctl-show.txt")));
    seeds
}

pub(crate) fn kubectl() -> Vec<Vec<u8>> {
    let lists = recorded(|_, content| content.starts_with(b"{"));
    // The lists are long, and an input is best short.
    let mut seeds: Vec<Vec<u8>> = lists.iter().filter_map(|list| shortened(list)).collect();
    let answers: Vec<Vec<u8>> = seeds
        .iter()
        .map(|seed| [b"0", seed.as_slice()].concat())
        .collect();
    seeds.extend(answers);
    seeds.extend(written(&[
        "app in (a, b),!c,d=e,f!=g,h notin (i)",
        "0{\"metadata\": {\"continue\": \"more\"}, \"items\": []}",
    ]));
    seeds
}

/// A list with its first two items only.
fn shortened(list: &[u8]) -> Option<Vec<u8>> {
    let mut list: serde_json::Value = serde_json::from_slice(list).ok()?;
    if let Some(items) = list.get_mut("items").and_then(serde_json::Value::as_array_mut) {
        items.truncate(2);
    }
    serde_json::to_vec(&list).ok()
}

pub(crate) fn pct() -> Vec<Vec<u8>> {
    written(&[
        "0status: running\nlock: backup\nname: k3s-1\n",
        "arch: amd64\nfeatures: keyctl=1, nesting=1\nunprivileged: 1\nlxc.mount.auto: \"proc:rw sys:rw\"\n\n[a]\nparent: b\n",
        "0{\"version\": 1, \"ids\": {\"101\": {\"node\": \"pve2\", \"type\": \"lxc\", \"version\": 1}}}",
        "2\u{1c}0Configuration file 'nodes/pve1/lxc/101.conf' does not exist\n",
        "!no pct\u{1c}00\n",
    ])
}

pub(crate) fn etcd() -> Vec<Vec<u8>> {
    use etcd_api::proto::{KeyValue, Member};
    use prost::Message as _;
    let member = Member {
        name: "k3s-1-ab12".to_owned(),
        peer_urls: vec!["https://10.0.0.1:2380".to_owned()],
        ..Member::default()
    };
    let pair = KeyValue {
        key: b"/registry/pods/a/b".to_vec(),
        value: b"{}".to_vec(),
        ..KeyValue::default()
    };
    let mut seeds = vec![member.encode_to_vec(), pair.encode_to_vec()];
    seeds.extend(written(&[
        "https://127.0.0.1:2379",
        "[::1]:2379",
        "https://10.0.0.1:2379",
    ]));
    seeds
}
