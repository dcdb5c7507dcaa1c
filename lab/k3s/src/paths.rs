//! Where things lie. Tests move `/etc` by a variable; `--data-dir` moves the rest, as in k3s.

use std::path::{Path, PathBuf};

pub const DATA_DIR: &str = "/var/lib/rancher/k3s";

pub fn etc(below: &str) -> PathBuf {
    Path::new(&std::env::var("LAB_ETC").unwrap_or_else(|_| "/etc".to_owned())).join(below)
}

pub fn kubeconfig() -> PathBuf {
    etc("rancher/k3s/k3s.yaml")
}
