//! The module's program, built with the lab so that its tests can run it against the stand-in `pct`.

fn main() -> std::process::ExitCode {
    ansible_module::main::<pct_exec::PctExec>()
}
