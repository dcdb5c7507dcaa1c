# Sets the old database aside, so that the server joins the restored one. Other authorities go with it: k3s gets those
# of the cluster when it joins.
take_turn
old=$server/$aside
(umask 077 && mkdir -p "$old") || die "making $old failed"
what="db/etcd db/state.db db/state.db-wal db/state.db-shm"
# Older versions note by db/joined-* that they have the cluster's authorities.
[ "$keys" != yes ] || what="$what tls cred $(cd "$server" && echo db/joined-*)"
for file in $what; do
    if [ -e "$server/$file" ] && [ ! -e "$old/${file##*/}" ]; then
        mv "$server/$file" "$old/${file##*/}" || die "moving $server/$file away failed"
    fi
done
settle "$server"
write "$folder/restore.json" 600 "$replaced"
