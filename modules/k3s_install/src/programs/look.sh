# One look at a node that is coming up. Only reads.
put show "$(show "$unit")"
[ "$has_agent" != yes ] || put_node
if [ "$role" = server ]; then
    put readyz "$(kubectl_as_node get --raw /readyz)"
    [ "$has_agent" = yes ] || put api-version "$(kubectl_as_node get --raw /version)"
    if [ -d "$data/server/db/etcd/member" ]; then
        # etcd's own word, for versions that set no condition on the node. Its metrics are plain http on the loopback.
        # Where the first range of Services is of IPv6, so is the loopback.
        metrics() {
            { curl -fsS --max-time 5 "http://$1:2381/metrics" || wget -qO - -T 5 "http://$1:2381/metrics"; } 2>/dev/null |
                grep '^etcd_server_is_learner '
        }
        put etcd "$(metrics 127.0.0.1 || metrics '[::1]')"
    fi
fi
put end ""
