# Ends with 0 where the node in K3S_NODE is Ready and has renewed its Lease just now. A dead node is called Ready
# for 40 seconds; a Lease is renewed every ten.
ready=$(k3s kubectl --request-timeout=10s get node "$K3S_NODE" \
    -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') || exit 1
renewed=$(k3s kubectl --request-timeout=10s get lease --namespace kube-node-lease "$K3S_NODE" \
    -o 'jsonpath={.spec.renewTime}') || exit 1
age=$(($(date -u +%s) - $(date -u -d "$(echo "$renewed" | sed -e 's/T/ /' -e 's/[.Z].*//')" +%s)))
echo "Ready is $ready, the Lease is $age s old"
[ "$ready" = True ] && [ "$age" -le 20 ]
