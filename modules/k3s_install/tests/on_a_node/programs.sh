# The programs of a node that the tests run against: each is the part after its `##` line. $SANDBOX is the node's
# root folder; time is what the test's clock says.

## systemctl
#!/bin/sh
. "$SANDBOX/state/common"
count
command=$1
shift
unit_of() { name=${1##*/}; echo "${name%.service}.service"; }
case $command in
daemon-reload | reset-failed) ;;
enable) touch "$SANDBOX/state/$(unit_of "$1").enabled" ;;
disable) rm -f "$SANDBOX/state/$(unit_of "$1").enabled" ;;
restart)
    [ "$1" != --no-block ] || shift
    unit=$(unit_of "$1")
    state=$SANDBOX/state/$unit
    [ -f "$SANDBOX/etc/systemd/system/$unit" ] || exit 5
    # What runs from now on is what unit, environment and binary are now.
    cp "$SANDBOX/etc/systemd/system/$unit" "$state.runs"
    cp "$SANDBOX/etc/systemd/system/$unit.env" "$state.runs-with"
    cat "$state.version" >"$state.version-before" 2>/dev/null
    "$SANDBOX/usr/local/bin/k3s" --version >"$state.version"
    now >"$state.started"
    ;;
show)
    while [ "$1" = -p ]; do shift 2; done
    for unit; do
        state=$SANDBOX/state/$unit
        fragment=$SANDBOX/etc/systemd/system/$unit
        echo "Id=$unit"
        if [ -f "$fragment" ]; then
            echo "LoadState=loaded"
            echo "FragmentPath=$fragment"
        else
            echo "LoadState=not-found"
        fi
        if [ -f "$state.started" ]; then
            echo "ActiveState=$(cat "$SANDBOX/state/active" 2>/dev/null || echo active)"
            # `looping`: between two attempts of a restart loop there is no process.
            if [ -f "$SANDBOX/state/looping" ]; then echo "MainPID=0"; else echo "MainPID=$(($(cat "$state.started") % 30000))"; fi
            echo "ExecMainStartTimestamp=$(date -u -d "@$(cat "$state.started")" '+%a %Y-%m-%d %H:%M:%S UTC')"
        else
            echo "ActiveState=inactive"
        fi
        if [ -f "$state.enabled" ]; then echo "UnitFileState=enabled"; else echo "UnitFileState=disabled"; fi
        echo
    done
    ;;
esac

## k3s
#!/bin/sh
. "$SANDBOX/state/common"
if [ "$1" = --version ]; then
    echo "k3s version VERSION (0123abcd)"
    echo "go version go1.26.8"
    exit 0
fi
for unit in k3s-agent.service k3s.service; do
    [ ! -f "$SANDBOX/state/$unit.started" ] || break
done
state=$SANDBOX/state/$unit
age=$(($(now) - $(cat "$state.started")))
delay=$(cat "$SANDBOX/state/delay" 2>/dev/null || echo 21)
case "$*" in
*/readyz*)
    # The API is ready well before the kubelet has spoken.
    if [ "$age" -ge $((delay * 9 / 21)) ]; then printf ok; else echo "Error from server (InternalError): [-]etcd failed" >&2; exit 1; fi
    ;;
*nodes/*)
    said=$state.version
    renewed=$(($(now) + 1))
    if [ "$age" -lt "$delay" ] && [ -s "$state.version-before" ]; then
        said=$state.version-before
        renewed=$(($(cat "$state.started") - 3))
    fi
    read -r _ _ version _ <"$said"
    cat <<END
{"kind":"List","items":[{"kind":"Node","metadata":{"name":"node"},"status":{"nodeInfo":{"kubeletVersion":"$version"},
"addresses":[{"type":"InternalIP","address":"10.99.0.101"}],"conditions":[{"type":"Ready","status":"True"}]}},
{"kind":"Lease","spec":{"renewTime":"$(date -u -d "@$renewed" +%Y-%m-%dT%H:%M:%S.000000Z)"}}]}
END
    ;;
esac

## curl
#!/bin/sh
. "$SANDBOX/state/common"
count
while [ $# -gt 1 ]; do
    [ "$1" != -o ] || file=$2
    shift
done
path=$(printf '%s' "${1#http://release.lab/}" | sed 's/%2B/+/g')
if [ -f "$SANDBOX/www/$path" ]; then
    exec cp "$SANDBOX/www/$path" "$file"
fi
echo "curl: (22) The requested URL returned error: 404" >&2
exit 22

## uname
#!/bin/sh
case $1 in
-m) echo x86_64 ;;
*) echo node ;;
esac

## journalctl
#!/bin/sh
echo "level=info msg=\"joining with token labtoken\""

## sync
#!/bin/sh

## sudo
#!/bin/sh
exec "$@"

## chown
#!/bin/sh
