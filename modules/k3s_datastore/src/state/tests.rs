//! What is made of facts.

use super::*;
use crate::fixtures::{GONE, WAL, server};
use k3s_node::recorded::SERVER;

#[test]
fn the_log_of_etcd_decides_and_not_its_folder_or_the_settings() {
    let endpoint = (
        "variables:/etc/systemd/system/k3s.service.env",
        "K3S_DATASTORE_ENDPOINT=mysql://x\n",
    );
    let no_database = ("database", GONE);
    let cases = [
        (server(&[]), Datastore::Sqlite),
        (server(&[WAL, no_database]), Datastore::Etcd),
        (server(&[WAL, no_database, endpoint]), Datastore::Etcd),
        (server(&[WAL]), Datastore::Unfinished),
        (server(&[endpoint]), Datastore::External),
        (server(&[endpoint, no_database]), Datastore::External),
        (server(&[no_database]), Datastore::None),
    ];
    for (state, datastore) in cases {
        assert_eq!(state.datastore(), datastore);
    }
}

#[test]
fn derives_paths_from_arguments() {
    let unit = SERVER
        .replace("'--node-ip'", "'--data-dir=/data' '-c' '/etc/k.yaml' '--node-ip'")
        .replace("/usr/local/bin/", "/opt/bin/");
    let paths = server(&[("unit:k3s.service", &unit)]).paths;
    assert_eq!(
        paths,
        Paths {
            unit: "k3s.service".to_owned(),
            binary: "/opt/bin/k3s".to_owned(),
            data: "/data".to_owned(),
            config: "/etc/k.yaml".to_owned(),
        }
    );
    assert_eq!(paths.database(), "/data/server/db/state.db");
}

#[test]
fn room_is_read_from_the_line_of_df() {
    let state = server(&[("disk:data", "/dev/mapper/a-b  10 5 2097152  30% /var/lib")]);
    let disk = Disk {
        device: "/dev/mapper/a-b".to_owned(),
        mounted: "/var/lib".to_owned(),
        free_mb: 2048,
    };
    assert_eq!(state.data_disk, disk);
}
