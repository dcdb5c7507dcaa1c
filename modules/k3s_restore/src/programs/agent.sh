# One look at an agent's node, with the only right that an agent has. Only reads.
put show "$(show k3s-agent.service)"
put node "$("$binary" kubectl --kubeconfig "$data/agent/kubelet.kubeconfig" --request-timeout=5s \
    get -n kube-node-lease -o json "nodes/$node" "leases.coordination.k8s.io/$node" 2>/dev/null </dev/null)"
put end ""
