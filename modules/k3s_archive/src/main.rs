use std::process::ExitCode;

fn main() -> ExitCode {
    ansible_module::main::<k3s_archive::K3sArchive>()
}
