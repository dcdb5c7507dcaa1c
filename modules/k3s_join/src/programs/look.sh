# Tells what is on a node that is to join, and whether it reaches the server. Only reads.
for mark in server agent; do
    [ ! -e "$data/$mark" ] || put "data:$mark" x
done
put_file ca "$data/server/tls/server-ca.crt"
put_file agent-ca "$data/agent/server-ca.crt"
[ ! -d "$data/server/db/etcd/member/wal" ] || put wal x
[ ! -f "$data/server/db/state.db" ] || put sqlite x
put_file etcd-name "$data/server/db/etcd/name"
[ ! -s /etc/rancher/node/password ] || put password x
[ ! -e "$data/agent/client-kubelet.crt" ] || put identity x
put fib-trie "$(cat /proc/net/fib_trie 2>/dev/null)"
put if-inet6 "$(cat /proc/net/if_inet6 2>/dev/null)"

put resolved "$(getent ahosts "$host" 2>/dev/null)"
if command -v curl >/dev/null 2>&1; then
    headers=$(
        curl -gs --max-time 10 --cacert /dev/fd/3 -D - -o /dev/null "$url/ping" 3<<ca
$ca
ca
    )
    put ping "curl $?"
    put clock "$(date +%s)"
    put open-ca "$(curl -gsk --max-time 10 "$url/cacerts")"
elif command -v wget >/dev/null 2>&1; then
    headers=$(
        wget -q -S -T 10 -t 1 -O /dev/null --ca-certificate=/dev/fd/3 "$url/ping" 2>&1 3<<ca
$ca
ca
    )
    put ping "wget $?"
    put clock "$(date +%s)"
    put open-ca "$(wget -q -T 10 -t 1 -O - --no-check-certificate "$url/cacerts" 2>/dev/null)"
fi
put date "$(printf '%s\n' "$headers" | tr -d '\r' | sed -n 's/^ *[Dd]ate: *//p' | head -n 1)"
put end ""
