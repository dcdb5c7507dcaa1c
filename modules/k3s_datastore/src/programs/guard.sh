# k3s decides by member/wal alone, and would serve what is in etcd. Beside a state.db that was not moved it is not all.
if [ -d "$db/etcd/member/wal" ] && [ -f "$db/state.db" ]; then
    rm -rf "$db/etcd-unfinished"
    mv "$db/etcd" "$db/etcd-unfinished"
fi
