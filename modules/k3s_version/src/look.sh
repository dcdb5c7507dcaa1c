# What a node says of itself, in one visit: entering a container takes a second on a busy Proxmox host.
# Each answer follows a line of the mark and a name. Nothing is written, no secret is printed.
mark=$1 binary=$2 node=$3 seconds=$4 ask_etcd=$5
shift 5
part() { printf '\n%s %s\n' "$mark" "$1"; }

# The settings that were asked for and are there: in the unit, its environment or k3s's own files.
settings() {
    cat /etc/systemd/system/k3s*.service /etc/systemd/system/k3s*.service.d/*.conf \
        /etc/systemd/system/k3s*.service.env /etc/default/k3s* /etc/sysconfig/k3s* \
        /etc/rancher/k3s/config.yaml /etc/rancher/k3s/config.yaml.d/*.yaml \
        /etc/rancher/k3s/config.yaml.d/*.yml 2>/dev/null |
        sed -e '/^[[:space:]]*#/d' -e 's/[[:space:]]#.*//'
}

# Where k3s keeps its data: the first folder that an argument, a variable or a file names and that k3s has used, else
# the usual one. An agent's only kubeconfig is there, and the mark of a member of etcd.
named() {
    settings | tr '\n\t' '  ' |
        grep -Eo "(data-dir|K3S_DATA_DIR|[ '\"]-d)[] '\"\\\\=:[]+/[^] '\"\\\\]*" | sed 's,^[^/]*,,'
}
for data in $(named) /var/lib/rancher/k3s; do
    if [ -d "$data/server" ] || [ -d "$data/agent" ]; then break; fi
done

part settings
for setting in "$@"; do
    settings | grep -Eq "(^|[^A-Za-z0-9_])$setting([^A-Za-z0-9_.-]|\$)" && printf '%s\n' "$setting"
done

part cgroup
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo v2; else echo v1; fi

part container
if [ -r /run/systemd/container ]; then
    cat /run/systemd/container
else
    tr '\0' '\n' 2>/dev/null </proc/1/environ | sed -n 's/^container=//p'
fi

part node
[ -n "$node" ] || read -r node </proc/sys/kernel/hostname
case $node in *[A-Z]*) node=$(printf '%s' "$node" | tr A-Z a-z) ;; esac
printf '%s\n' "$node"

if ! command -v "$binary" >/dev/null 2>&1; then
    part missing
    exit 0
fi
part version
"$binary" --version 2>&1
part data
printf '%s\n' "$data"

# A server's own kubeconfig; an agent has only the kubelet's, with which it may read its own node.
part running
why="this node has no kubeconfig of k3s"
for kubeconfig in /etc/rancher/k3s/k3s.yaml $data/agent/kubelet.kubeconfig; do
    [ -e "$kubeconfig" ] || continue
    if said=$("$binary" kubectl --kubeconfig "$kubeconfig" --request-timeout "${seconds}s" get node "$node" -o json 2>&1); then
        printf '%s\n' "$said"
        why=
        break
    fi
    [ "$why" = "this node has no kubeconfig of k3s" ] && why=$said
done
part why
printf '%s\n' "$why"

# The database's own port for metrics is on the loopback, without TLS: kubectl is client enough for it.
[ "$ask_etcd" = yes ] && [ -d $data/server/db/etcd/member/wal ] || exit 0
part etcd
"$binary" kubectl --kubeconfig /dev/null --server http://127.0.0.1:2381 --request-timeout "${seconds}s" get --raw /metrics 2>/dev/null |
    sed -n 's/^etcd_server_version{server_version="\(.*\)"} 1$/\1/p'
