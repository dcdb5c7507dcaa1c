# Has k3s make its etcd anew from a snapshot, with the arguments "$@"; k3s ends by itself when that is done. It does not
# inherit our lock: what it leaves behind must not hold that.
write "$kept/token" 600 "$token"
export K3S_TOKEN_FILE="$kept/token" K3S_CONFIG_FILE="$kept/config.yaml"
timeout -k 10 "$limit" "$binary" server "$@" >"$kept/said" 2>&1 </dev/null 9>&-
put status "$?"
rm -f "$kept/token"
put said "$(tail -n 20 "$kept/said")"
[ ! -d "$server/db/etcd/member/wal" ] || put etcd yes
settle "$server/db"
put end ""
