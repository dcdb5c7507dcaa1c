use std::process::ExitCode;

fn main() -> ExitCode {
    ansible_module::main::<run_check::RunCheck>()
}
