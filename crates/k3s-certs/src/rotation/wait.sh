# One look at a k3s that is coming up. Only reads.
main() {
    printf 'state=%s\n' "$(state)"
    if [ -n "$renewed" ] && [ ! "$renewed" -nt "$mark" ]; then
        echo "old=yes"
    fi
    if [ -n "$kubeconfig" ]; then
        said=$("$binary" kubectl --kubeconfig "$kubeconfig" --request-timeout=5s get --raw /readyz 2>&1 </dev/null)
        printf 'api=%s\n%s\n' "$?" "$said"
    fi
}
main
