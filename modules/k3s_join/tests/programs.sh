# The programs of a node that the tests run against: each is the part after its `##` line. $SANDBOX is the node's root.

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
        echo
    done
    exit 0
    ;;
esac
count
for unit; do :; done
case $command in
stop) rm -f "$SANDBOX/state/$unit.started" ;;
esac

## curl
#!/bin/sh
for url; do :; done
case $url in
*/ping)
    cat >"$SANDBOX/state/trusted"
    echo "$url" >"$SANDBOX/state/pinged"
    [ ! -f "$SANDBOX/state/curl" ] || exit "$(cat "$SANDBOX/state/curl")"
    printf 'HTTP/2 200\r\nContent-Length: 4\r\ndate: Sun, 22 Nov 2026 17:02:30 GMT\r\n\r\n'
    ;;
*/cacerts) cat "$SANDBOX/state/open-ca" ;;
esac

## date
#!/bin/sh
. "$SANDBOX/state/common"
now

## getent
#!/bin/sh
echo "$*" >"$SANDBOX/state/getent"
printf '10.0.0.1 STREAM api\n10.0.0.1 DGRAM\n10.0.0.3 STREAM\n'

## k3s
#!/bin/sh
case "$*" in
--version) echo "k3s version v1.31.4+k3s1 (0123abcd)" ;;
*"get --raw /api/v1/nodes/node")
    echo '{"status":{"addresses":[{"type":"Hostname","address":"node"},{"type":"InternalIP","address":"10.0.0.2"}]}}'
    ;;
*) exit 1 ;;
esac

## k3s-killall.sh
#!/bin/sh
touch "$SANDBOX/state/killed"

## uname
#!/bin/sh
echo node
