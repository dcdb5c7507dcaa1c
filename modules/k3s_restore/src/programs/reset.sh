# Has k3s make its etcd anew from the snapshot. It ends by itself when that is done. k3s keeps the old etcd as
# db/etcd-old-<time>; what is left of SQLite beside it is moved away here.
take_turn
write "$folder/restore.json" 600 "$replacing"
old=$server/$aside
(umask 077 && mkdir -p "$old" "$server/db") || die "making $old failed"
for file in state.db state.db-wal state.db-shm; do
    if [ -e "$server/db/$file" ] && [ ! -e "$old/$file" ]; then
        mv "$server/db/$file" "$old/$file" || die "moving $server/db/$file away failed"
    fi
done
kept=$folder/restore
# The token alone, whatever form it has: nothing is there yet to compare its hash with.
secret=$(cat "$kept/files/server/token") || die "the backup has no token"
case $secret in
K10*::*)
    secret=${secret#*::}
    secret=${secret#*:}
    ;;
esac
write "$kept/token" 600 "$secret"
# k3s asks for its own file too, and overlooks the one that it is given. Where all was lost and the token is a setting of the node,
# nothing has put it back.
if [ ! -e "$server/token" ]; then
    cp -a "$kept/files/server/token" "$server/token.part" || die "copying the token failed"
    mv "$server/token.part" "$server/token" || die "naming the token failed"
fi
export K3S_TOKEN_FILE="$kept/token" K3S_CONFIG_FILE="$kept/config.yaml"
eval "set -- $arguments"
# Not with our lock in its hands: what k3s leaves behind must not hold it.
timeout -k 10 "$limit" "$binary" server "$@" --cluster-reset-restore-path="$kept/files/$snapshot" \
    >"$kept/said" 2>&1 </dev/null 9>&-
status=$?
rm -f "$kept/token"
if [ "$status" != 0 ]; then
    tail -n 20 "$kept/said" >&2
    [ "$status" != 124 ] || die "k3s server --cluster-reset did not end within $limit s"
    die "k3s server --cluster-reset ended with status $status"
fi
if [ ! -d "$server/db/etcd/member/wal" ]; then
    tail -n 20 "$kept/said" >&2
    die "k3s server --cluster-reset succeeded, and left no etcd in $server/db"
fi
rmdir "$old" 2>/dev/null
settle "$server/db"
write "$folder/restore.json" 600 "$replaced"
