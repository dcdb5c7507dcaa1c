//! The stand-in for Proxmox's `pct`; all of it is in `lab::pct`, where tests reach it.

fn main() -> std::process::ExitCode {
    lab::pct::main()
}
