# The programs of a node whose certificates are real and whose k3s is not. Each is the part after its `##` line.
# $SANDBOX is the node's root folder; state/ holds what systemd and k3s know, fresh/ what the next start writes.

## systemctl
#!/bin/sh
state=$SANDBOX/state
command=$1
shift
[ "$1" != --no-block ] || shift
echo "$command $*" >>"$state/calls"
fresh() {
    for file in $(cat "$state/$1.files" 2>/dev/null); do
        # Where nothing was put aside, a start renews only what is about to end.
        if [ ! -e "$SANDBOX/$file" ] || grep -qxF "$file" "$state/renewed-by-start"; then
            [ ! -e "$SANDBOX/fresh/$file" ] || cp "$SANDBOX/fresh/$file" "$SANDBOX/$file"
        fi
    done
    # Every start of a server writes its kubeconfig, from what it has then.
    if [ "$1" = k3s.service ]; then
        from=old
        cmp -s "$SANDBOX/fresh/var/lib/rancher/k3s/server/tls/client-admin.crt" \
            "$SANDBOX/var/lib/rancher/k3s/server/tls/client-admin.crt" && from=fresh
        cp "$SANDBOX/$from/etc/rancher/k3s/k3s.yaml" "$SANDBOX/etc/rancher/k3s/k3s.yaml"
    fi
}
case $command in
show)
    properties=$2
    shift 2
    [ "$properties" != EnvironmentFiles ] || exit 0
    for unit; do
        echo "Id=$unit"
        echo "LoadState=$(cat "$state/$unit.load" 2>/dev/null || echo not-found)"
        echo "ActiveState=$(cat "$state/$unit.active" 2>/dev/null || echo inactive)"
        echo "UnitFileState=$(cat "$state/$unit.enabled" 2>/dev/null)"
        echo
    done
    ;;
stop)
    [ ! -e "$state/stop-fails" ] || exit 1
    echo inactive >"$state/$1.active"
    ;;
start | restart)
    [ ! -e "$state/start-fails" ] || exit 1
    [ "$command" = restart ] || [ "$(cat "$state/$1.active")" != active ] || exit 0
    # The clock of the files must have moved on.
    /bin/sleep 0.02
    [ -e "$state/writes-nothing" ] || fresh "$1"
    cat "$state/becomes" >"$state/$1.active"
    ;;
esac
exit 0

## timeout
#!/bin/sh
# Where the program would hang, the time is up at once.
[ ! -e "$SANDBOX/state/stop-hangs" ] || exit 124
shift
exec "$@"

## k3s
#!/bin/sh
state=$SANDBOX/state
echo "k3s $*" >>"$state/calls"
case "$*" in
"certificate rotate --data-dir "*)
    if [ -e "$state/rotate-kills" ]; then kill -KILL 0; fi
    [ "$(cat "$state/k3s.service.active")" = inactive ] || { echo "k3s is running" >&2; exit 9; }
    if [ -e "$state/rotate-fails" ]; then
        echo "level=fatal msg=\"no space left on device\"" >&2
        exit 1
    fi
    for file in $(cat "$state/k3s.service.files"); do rm -f "$SANDBOX/$file"; done
    ;;
"kubectl --kubeconfig "*" get --raw "*)
    file=$3
    unit=k3s.service
    [ "$file" = "${file%kubelet.kubeconfig}" ] || unit=k3s-agent.service
    case $(cat "$state/$unit.active") in
    active | activating) ;;
    *)
        echo "The connection to the server was refused" >&2
        exit 1
        ;;
    esac
    [ ! -e "$state/api-says" ] || { cat "$state/api-says" >&2; exit 1; }
    if cmp -s "$file" "$SANDBOX/old/etc/rancher/k3s/k3s.yaml" && [ -e "$state/old-is-expired" ]; then
        echo "error: You must be logged in to the server (the server has asked for the client to provide credentials)" >&2
        exit 1
    fi
    printf ok
    ;;
"kubectl --kubeconfig "*" auth whoami -o jsonpath={.status.userInfo.username}") printf system:node:n2 ;;
"kubectl --kubeconfig "*" get -o jsonpath={.spec.renewTime} -n kube-node-lease lease n2")
    cat "$state/lease" || exit 1
    ;;
*) exit 1 ;;
esac
exit 0
