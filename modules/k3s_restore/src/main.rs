use std::process::ExitCode;

/// The same binary is the module on the Proxmox host, what checks archives there, and, carried inside, what unpacks them.
fn main() -> ExitCode {
    let jobs: [server_archive::Job; 2] = [
        (server_archive::CHECK, server_archive::check),
        (server_archive::UNPACK, server_archive::unpack),
    ];
    server_archive::asked(&jobs).unwrap_or_else(ansible_module::main::<k3s_restore::K3sRestore>)
}
