# Exits 0 if the node K3S_NODE is Ready and has just renewed its Lease. A dead node stays Ready for 40 seconds; a Lease is
# renewed every ten.
ready=$(k3s kubectl --request-timeout=10s get node "$K3S_NODE" \
    -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}') || exit 1
renewed=$(k3s kubectl --request-timeout=10s get lease --namespace kube-node-lease "$K3S_NODE" \
    -o 'jsonpath={.spec.renewTime}') || exit 1
age=$(($(date -u +%s) - $(date -u -d "$(echo "$renewed" | sed -e 's/T/ /' -e 's/[.Z].*//')" +%s)))
echo "Ready is $ready, the Lease is $age s old"
[ "$ready" = True ] && [ "$age" -le 20 ]
