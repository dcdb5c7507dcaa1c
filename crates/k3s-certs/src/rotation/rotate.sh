main() {
    take_turn
    begin
    # Nobody may be listening any more; the service is started all the same.
    trap '' PIPE
    trap start EXIT
    trap 'exit 143' HUP INT TERM
    systemctl stop --no-block "$unit" || die "stopping $unit failed"
    waited=0
    while :; do
        case $(state) in inactive | failed) break ;; esac
        [ "$waited" -lt 120 ] || die "$unit did not stop within 120 s"
        sleep 1
        waited=$((waited + 1))
    done
    said=$("$binary" certificate rotate --data-dir "$data" 2>&1 </dev/null 9>&-)
    status=$?
    [ "$status" = 0 ] || die "k3s certificate rotate ended with status $status: $(printf '%s\n' "$said" | tail -n 5)"
    trap - EXIT
    start || die "starting $unit failed"
}
main
