# The programs of a server that the tests run against: each is the part after its `##` line. $SANDBOX is the server's
# root folder; time is what the test's clock says.

## systemctl
#!/bin/sh
. "$SANDBOX/state/common"
command=$1
shift
case $command in
show)
    while [ "$1" = -p ]; do shift 2; done
    for unit; do
        echo "Id=$unit"
        if [ -f "$SANDBOX/state/$unit.started" ]; then echo "ActiveState=active"; else echo "ActiveState=inactive"; fi
        if [ -f "$SANDBOX/state/$unit.enabled" ]; then echo "UnitFileState=enabled"; else echo "UnitFileState=disabled"; fi
        echo
    done
    exit 0
    ;;
esac
count
for unit; do :; done
case $command in
enable) touch "$SANDBOX/state/$unit.enabled" ;;
disable) rm -f "$SANDBOX/state/$unit.enabled" ;;
start) touch "$SANDBOX/state/$unit.started" ;;
stop) [ -f "$SANDBOX/state/never-stops" ] || rm -f "$SANDBOX/state/$unit.started" ;;
esac

## k3s
#!/bin/sh
. "$SANDBOX/state/common"
db=$SANDBOX/var/lib/rancher/k3s/server/db
state=$SANDBOX/state
case "$*" in
--version) echo "k3s version v1.31.4+k3s1 (0123abcd)" ;;
*"get --raw /readyz")
    [ -f "$state/$(cat "$state/unit").started" ] && [ ! -f "$state/never-ready" ] || exit 1
    printf ok
    ;;
*api-resources*) printf 'configmaps\nnodes\nevents\n' ;;
*"get configmaps,nodes "*) printf 'configmap/a\nconfigmap/b\nnode/n1\n' ;;
*"get --raw /api/v1/nodes?limit=500")
    echo '{"items":[{"metadata":{"name":"n1","labels":{"node-role.kubernetes.io/control-plane":"true"}},
        "status":{"conditions":[{"type":"Ready","status":"True"}]}}]}'
    ;;
*"get secret -n kube-system -o name") printf 'secret/k3s-serving\nsecret/n1.node-password.k3s\n' ;;
*"delete secret -n kube-system --ignore-not-found "*)
    shift 7
    echo "$*" >>"$state/forgotten"
    ;;
"server "*"--cluster-reset "*)
    count
    {
        echo "$*"
        env | grep '^K3S_' | sort
        for file in "$K3S_CONFIG_FILE" "$K3S_CONFIG_FILE.d"/*.yaml; do [ ! -f "$file" ] || cat "$file"; done
        cat "$K3S_TOKEN_FILE"
    } >"$state/reset"
    if [ -f "$state/reset-fails" ]; then
        echo 'level=fatal msg="bootstrap data already found and encrypted with different token" token=s3cr3t' >&2
        exit 1
    fi
    if [ ! -e "${db%/db}/token" ]; then
        echo 'level=fatal msg="server/token does not exist, please pass --token to complete the restoration"' >&2
        exit 1
    fi
    [ ! -f "$state/reset-times-out" ] || exit 124
    [ ! -d "$db/etcd" ] || mv "$db/etcd" "$db/etcd-old-$(now)"
    [ ! -f "$state/reset-does-nothing" ] || exit 0
    for word; do :; done
    mkdir -p "$db/etcd"
    cp "${word#*=}" "$db/etcd/data"
    mkdir -p "$db/etcd/member/wal"
    ;;
*) exit 1 ;;
esac

## journalctl
#!/bin/sh
echo "level=info msg=\"joining with token s3cr3t\""

## uname
#!/bin/sh
echo node

## sync
#!/bin/sh
