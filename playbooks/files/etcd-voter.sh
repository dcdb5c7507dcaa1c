# Ends with 0 where this server's member of etcd is a healthy voter, and where there is no embedded etcd at all.
# etcd's own port for metrics is on the loopback without TLS, and k3s brings a client for it.
[ -d /var/lib/rancher/k3s/server/db/etcd/member/wal ] || exit 0
ask() {
    k3s kubectl --kubeconfig /dev/null --server http://127.0.0.1:2381 --request-timeout=10s get --raw "$1"
}
# Alarms and a missing leader make it unhealthy.
health=$(ask /health) || exit 1
case $health in
*'"health":"true"'*) ;;
*)
    echo "etcd is not healthy: $health" >&2
    exit 1
    ;;
esac
if ask /metrics | grep -q '^etcd_server_is_learner 1'; then
    echo "this member of etcd is still a learner, not a voter" >&2
    exit 1
fi
