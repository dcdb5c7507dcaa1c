use std::process::ExitCode;

fn main() -> ExitCode {
    ansible_module::main::<kubeconfig_fetch::KubeconfigFetch>()
}
