use std::process::ExitCode;

fn main() -> ExitCode {
    ansible_module::main::<etcd_member::EtcdMember>()
}
