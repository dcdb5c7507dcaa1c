use std::process::ExitCode;

fn main() -> ExitCode {
    ansible_module::main::<k3s_backup::K3sBackup>()
}
