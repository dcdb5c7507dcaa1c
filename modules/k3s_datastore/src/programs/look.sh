# One look at a k3s that is coming up. Only reads.
put show "$(show "$unit")"
[ ! -d "$db/etcd/member/wal" ] || put wal x
[ ! -f "$db/state.db" ] || put database x
said=$("$binary" kubectl --request-timeout=5s get --raw /readyz 2>&1 </dev/null)
put api "$?"
put said "$said"
put end ""
