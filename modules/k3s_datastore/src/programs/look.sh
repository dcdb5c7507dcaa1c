# One look at a k3s that is coming up. Only reads.
put show "$(show "$unit")"
# The files after the API: k3s serves when it has moved SQLite away, and may do both while kubectl waits for an answer.
said=$("$binary" kubectl --request-timeout=5s get --raw /readyz 2>&1 </dev/null)
put api "$?"
put said "$said"
[ ! -d "$db/etcd/member/wal" ] || put wal x
[ ! -f "$db/state.db" ] || put database x
put end ""
