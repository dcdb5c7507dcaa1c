use std::process::ExitCode;

fn main() -> ExitCode {
    ansible_module::main::<pct_snapshot::PctSnapshot>()
}
