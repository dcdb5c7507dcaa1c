use std::process::ExitCode;

/// The same binary is the module on the Proxmox host and, carried inside, the program that copies and packs.
fn main() -> ExitCode {
    let jobs: [server_archive::Job; 4] = [
        (server_archive::COPY_SQLITE, server_archive::copy_sqlite),
        (server_archive::CHECK_SNAPSHOT, server_archive::check_snapshot),
        (server_archive::PACK, server_archive::pack),
        (server_archive::CHECK, server_archive::check),
    ];
    server_archive::asked(&jobs).unwrap_or_else(ansible_module::main::<k3s_archive::K3sArchive>)
}
