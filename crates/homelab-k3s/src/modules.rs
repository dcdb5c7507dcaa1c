//! The table of all modules.

use ansible_module::Program;

pub(crate) const MODULES: [Program; 27] = [
    Program::of::<cluster_health::ClusterHealth>(),
    Program::of::<cluster_lock::ClusterLock>(),
    Program::of::<etcd_member::EtcdMember>(),
    Program::of::<cluster_health::HaReport>(),
    Program::of::<helm_adopt::HelmAdopt>(),
    Program::of::<k3s_archive::K3sArchive>(),
    Program::of::<k3s_backup::K3sBackup>(),
    Program::of::<k3s_certificates::K3sCertificates>(),
    Program::of::<k3s_config::K3sConfig>(),
    Program::of::<k3s_datastore::K3sDatastore>(),
    Program::of::<k3s_install::K3sInstall>(),
    Program::of::<k3s_join::K3sJoin>(),
    Program::of::<k3s_prereqs::K3sPrereqs>(),
    Program::of::<k3s_restore::K3sRestore>(),
    Program::of::<k3s_service::K3sService>(),
    Program::of::<k3s_uninstall::K3sUninstall>(),
    Program::of::<k3s_version::VersionCheck>(),
    Program::of::<kubeconfig_fetch::KubeconfigFetch>(),
    Program::of::<node_drain::NodeDrain>(),
    Program::of::<node_remove::NodeRemove>(),
    Program::of::<node_taint::NodeTaint>(),
    Program::of::<pct_exec::PctExec>(),
    Program::of::<pct_snapshot::PctSnapshot>(),
    Program::of::<preflight::Preflight>(),
    Program::of::<run_check::RunCheck>(),
    Program::of::<upgrade_plan::UpgradePlan>(),
    Program::of::<worker_cutover::WorkerCutover>(),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A folder has one sidecar for its module, and one for each deprecated name of it.
    #[test]
    fn every_sidecar_is_in_the_table() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules");
        let folders = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let files = folders
            .filter(|folder| folder.join("Cargo.toml").is_file())
            .flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let sidecars = files
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "yml"));
        let mut names: Vec<String> = sidecars
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        assert_eq!(MODULES.map(|module| module.name), *names);
    }
}
