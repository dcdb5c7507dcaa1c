use std::process::ExitCode;

/// The same binary is the module on the Proxmox host and, carried inside, the program that reads both datastores.
fn main() -> ExitCode {
    k3s_datastore::inside::asked().unwrap_or_else(ansible_module::main::<k3s_datastore::K3sDatastore>)
}
