# Hands over what else decides on a hop, in the same visit: entering a container takes a second on a busy Proxmox host. Only
# reads.
[ -e /sys/fs/cgroup/cgroup.controllers ] || put cgroup-v1 yes
for part in server agent; do
    [ ! -d "$data/$part" ] || put "data:$part" yes
done

# What the kubelet and kube-proxy are given as files.
folder() {
    [ -z "$2" ] || find "$2" -name '*.conf' 2>/dev/null | while IFS= read -r file; do
        put_file "$1:$file" "$file"
    done
}
[ -z "$kubelet_file" ] || put_file kubelet-file "$kubelet_file"
folder kubelet-folder "$kubelet_folder"
own=$data/agent/etc
folder kubelet "$own/kubelet.conf.d"
[ -z "$proxy_file" ] || put_file proxy-file "$proxy_file"
limit=/proc/sys/net/netfilter/nf_conntrack_max
[ ! -r $limit ] || put conntrack-max "$(cat $limit)"
[ ! -w $limit ] || put conntrack-writable yes

[ -n "$node" ] || node=$(uname -n | tr '[:upper:]' '[:lower:]')
put asked "$node"
if command -v "$binary" >/dev/null 2>&1; then
    put version "$("$binary" --version 2>&1)"
    # A server's own kubeconfig; an agent has only the kubelet's, with which it may read its own node.
    for file in "$kubeconfig" "$data/agent/kubelet.kubeconfig"; do
        [ -e "$file" ] || continue
        said=$("$binary" kubectl --kubeconfig "$file" --request-timeout "${seconds}s" get node "$node" -o json 2>&1) &&
            put node "$said" && break
        put "silence:$file" "$said"
    done
    # The database's own port for metrics is on the loopback, without TLS: kubectl is client enough for it.
    # Where the first range of Services is of IPv6, so is the loopback.
    metrics() {
        "$binary" kubectl --kubeconfig /dev/null --server "http://$1:2381" --request-timeout "${seconds}s" \
            get --raw /metrics 2>/dev/null | grep '^etcd_server_version{'
    }
    [ ! -d "$data/server/db/etcd/member/wal" ] || put etcd "$(metrics 127.0.0.1 || metrics '[::1]')"
fi
put end ''
