use std::process::ExitCode;

fn main() -> ExitCode {
    ansible_module::main::<cluster_health::ClusterHealth>()
}
