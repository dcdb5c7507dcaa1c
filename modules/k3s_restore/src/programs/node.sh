# One look at the node as the cluster has it, with the only right that every node has. Only reads.
put show "$(show "$unit")"
if [ -f "$data/agent/kubelet.kubeconfig" ]; then
    put kubelet yes
    put node "$("$binary" kubectl --kubeconfig "$data/agent/kubelet.kubeconfig" --request-timeout=5s \
        get -n kube-node-lease -o json "nodes/$node" "leases.coordination.k8s.io/$node" 2>/dev/null </dev/null)"
fi
put end ""
