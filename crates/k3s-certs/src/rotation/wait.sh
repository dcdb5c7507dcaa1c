# One look at a k3s that is coming up. Only reads.
ask() {
    "$binary" kubectl --kubeconfig "$kubeconfig" --request-timeout=5s "$@" </dev/null
}

# When the kubelet last renewed its node's lease. The node is the one that its certificate names.
lease() {
    user=$(ask auth whoami -o 'jsonpath={.status.userInfo.username}') &&
        ask get lease -n kube-node-lease "${user#system:node:}" -o 'jsonpath={.spec.renewTime}'
}

main() {
    state=$(state)
    printf 'state=%s\n' "$state"
    if [ "$state" = activating ] && [ "$unit" = k3s-agent.service ]; then
        printf 'lease=%s\n' "$(lease 2>/dev/null)"
    fi
    if [ -n "$renewed" ] && [ ! "$renewed" -nt "$mark" ]; then
        echo "old=yes"
    fi
    if [ -n "$kubeconfig" ]; then
        said=$(ask get --raw /readyz 2>&1)
        printf 'api=%s\n%s\n' "$?" "$said"
    fi
}
main
