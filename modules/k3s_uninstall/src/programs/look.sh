# Hands over what else of k3s is there. Only reads.
put_file uninstall-record "$folder/uninstall-record.json"
for file in "$bin"/k3s*-uninstall.sh; do
    [ ! -f "$file" ] || put "script:${file##*/}" yes
done
[ ! -e "$bin/k3s" ] || put binary yes
for path in /etc/rancher/k3s /etc/rancher/node /var/lib/rancher/k3s /var/lib/kubelet /var/lib/homelab-k3s; do
    [ ! -d "$path" ] || [ -z "$(ls -A "$path" 2>/dev/null)" ] || put "left:$path" x
done
# The script asks once to unmount what pods had; what was busy in that moment stays.
! grep -q '^[^ ]* /run/k3s/' /proc/self/mounts 2>/dev/null || put left:/run/k3s x
for path in "$units/conf-kmsg.service"; do
    [ ! -e "$path" ] || put "left:$path" x
done
for file in "$folder"/*-record.json; do
    [ ! -f "$file" ] || put "record:${file##*/}" x
done
put end ''
