use std::process::ExitCode;

/// The same binary is the module on the Proxmox host and, carried inside, the program that speaks to etcd.
fn main() -> ExitCode {
    etcd_member::inside::asked().unwrap_or_else(ansible_module::main::<etcd_member::EtcdMember>)
}
