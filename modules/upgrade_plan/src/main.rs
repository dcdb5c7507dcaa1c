use std::process::ExitCode;

fn main() -> ExitCode {
    ansible_module::main::<upgrade_plan::UpgradePlan>()
}
