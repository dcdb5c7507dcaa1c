# Where things are: k3s's databases, and what is ours while a migration is under way.
db=$data/server/db
runtime=/run/systemd/system/$unit.d/zz-homelab-k3s-datastore.conf
guard=$units/$unit.d/homelab-k3s-datastore-guard.conf
guard_program=$folder/datastore-guard.sh
record=$folder/$record_file
