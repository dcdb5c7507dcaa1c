use std::process::ExitCode;

fn main() -> ExitCode {
    ansible_module::main::<ha_report::HaReport>()
}
