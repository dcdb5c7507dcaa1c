# The programs of a server that the tests run against: each is the part after its `##` line. $SANDBOX is the server's
# root folder; state/ holds systemd's state, state/history what k3s has served, one line a start.

## systemctl
#!/bin/sh
. "$SANDBOX/state/common"
state=$SANDBOX/state
data=$SANDBOX/var/lib/rancher/k3s/server
db=$data/db
read_note unit
server=$note
guard=$SANDBOX/etc/systemd/system/$server.d/homelab-k3s-datastore-guard.conf
command=$1
shift
[ "$1" != --no-block ] || shift

restart() {
    if [ -f "$state/foreign-restart" ]; then
        cat "$state/foreign-restart"
    elif grep -qs '^Restart=no' "$SANDBOX/run/systemd/system/$server.d"/*.conf; then
        echo no
    else
        echo always
    fi
}

live() {
    sqlite3 "$1" "SELECT name FROM kine WHERE deleted = 0 AND name LIKE '/registry/%' AND id IN
        (SELECT max(id) FROM kine GROUP BY name) ORDER BY name"
}

migrate() {
    mkdir -p "$db/etcd/member/wal"
    echo node-1a2b3c4d >"$db/etcd/name"
    live "$db/state.db" >"$db/etcd/all"
    read_note migration
    fault=$note
    case $fault in
    dies | once)
        head -n 3 "$db/etcd/all" >"$db/etcd/keys"
        [ "$fault" != once ] || rm -f "$state/migration"
        return 1
        ;;
    loses) sed 2d "$db/etcd/all" >"$db/etcd/keys" ;;
    *) cp "$db/etcd/all" "$db/etcd/keys" ;;
    esac
    # The last of it happens while kubectl waits for its answer.
    [ "$fault" != late ] || return 0
    mv "$db/state.db" "$db/state.db.migrated"
}

# What a start of k3s does, up to the moment at which its API is about to serve.
run_k3s() {
    echo activating >"$state/active"
    now >"$state/started"
    [ ! -f "$guard" ] || /bin/sh "$SANDBOX/var/lib/homelab-k3s/datastore-guard.sh"
    if [ -d "$db/etcd/member/wal" ]; then
        if [ -f "$db/state.db" ]; then echo partial; else echo etcd; fi >>"$state/history"
    elif read_note migration && [ "$note" != ignores ] && grep -qs '^cluster-init: true' "$SANDBOX"/etc/rancher/k3s/config.yaml.d/*.yaml; then
        [ "$note" != hangs ] || return 0
        if migrate; then
            echo etcd >>"$state/history"
        elif [ "$(restart)" = no ]; then
            echo failed >"$state/active"
            return 0
        else
            run_k3s
            return 0
        fi
    elif [ -f "$db/state.db" ]; then
        echo "sqlite $(live "$db/state.db" | sha256sum)" >>"$state/history"
    else
        echo empty >>"$state/history"
    fi
    echo active >"$state/active"
}

case $command in
start | stop)
    for unit; do :; done
    [ "$unit" = "$server" ] || { echo "Unit $unit not found." >&2; exit 5; }
    ;;
esac
case $command in
daemon-reload) count ;;
reset-failed) read_note active && [ "$note" != failed ] || echo inactive >"$state/active" ;;
stop)
    count
    [ -f "$state/stop-hangs" ] || echo inactive >"$state/active"
    ;;
start)
    count
    [ ! -f "$state/start-fails" ] || { rm "$state/start-fails"; echo "Failed to start" >&2; exit 1; }
    read_note active
    [ "$note" = active ] || run_k3s
    ;;
show)
    if [ "$2" = Restart ]; then
        echo "Restart=$(restart)"
        exit 0
    fi
    echo "Id=$server"
    echo "LoadState=loaded"
    read_note active
    echo "ActiveState=$note"
    echo "UnitFileState=enabled"
    read_note started
    echo "ExecMainStartTimestamp=$(date -u -d "@$note" '+%a %Y-%m-%d %H:%M:%S UTC')"
    echo
    echo "Id=k3s-agent.service"
    echo "LoadState=not-found"
    echo "ActiveState=inactive"
    ;;
esac

## k3s
#!/bin/sh
. "$SANDBOX/state/common"
state=$SANDBOX/state
if [ "$1" = --version ]; then
    echo "k3s version v1.31.4+k3s1 (0123abcd)"
    exit 0
fi
# The API is ready some seconds after the start (8 s were seen with v1.36.2).
read_note started
age=$(($(now) - note))
read_note active
if [ "$note" != active ]; then
    echo "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?" >&2
    exit 1
fi
if [ "$age" -lt 10 ]; then
    echo "Error from server (ServiceUnavailable): the server is currently unable to handle the request" >&2
    exit 1
fi
case "$*" in
*/readyz)
    db=$SANDBOX/var/lib/rancher/k3s/server/db
    read_note migration
    if [ "$note" = late ] && [ -f "$db/state.db" ] && [ -d "$db/etcd/member/wal" ]; then
        mv "$db/state.db" "$db/state.db.migrated"
    fi
    printf ok
    ;;
*/version) echo '{"gitVersion": "v1.31.4+k3s1"}' ;;
*/nodes*) echo '{"kind": "NodeList", "items": [{"metadata": {"name": "node"}}]}' ;;
esac

## journalctl
#!/bin/sh
echo 'time="x" level=info msg="Migrating content from sqlite to etcd"'
echo 'time="x" level=fatal msg="starting kubernetes: preparing server: start managed database: failed to migrate with token=K10ab::server:s3cr3t"'

## uname
#!/bin/sh
echo node

## sync
#!/bin/sh
