# Tells what of k3s is there. Only reads.
# A script that was cut off may have removed the unit, which tells where the rest is.
bin=$(sed -n 's|^{"bin":"\(/.*\)"}$|\1|p' "$folder/uninstall-record.json" 2>/dev/null)
bin=${bin:-/usr/local/bin}
for name in k3s k3s-agent; do
    [ -f "$units/$name.service" ] || continue
    put "unit:$name" yes
    found=$(sed -n 's|^ExecStart=\(/.*\)/k3s\( .*\)*$|\1|p' "$units/$name.service" | head -n 1)
    [ -z "$found" ] || bin=$found
done
put bin "$bin"
for file in "$units"/k3s*.service; do
    case ${file##*/} in
    k3s.service | k3s-agent.service | 'k3s*.service') ;;
    *) put "other:${file##*/}" x ;;
    esac
done
for name in k3s k3s-agent; do
    [ ! -f "$bin/$name-uninstall.sh" ] || put "script:$name" yes
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
