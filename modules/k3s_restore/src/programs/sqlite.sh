# Puts the copy of SQLite in place. What was there is moved away once; what is in its place later is ours.
take_turn
write "$folder/restore.json" 600 "$replacing"
old=$server/$aside
(umask 077 && mkdir -p "$old" "$server/db") || die "making $old failed"
for file in etcd state.db state.db-wal state.db-shm; do
    [ -e "$server/db/$file" ] || continue
    if [ -e "$old/$file" ]; then
        rm -rf "$server/db/$file"
    else
        mv "$server/db/$file" "$old/$file" || die "moving $server/db/$file away failed"
    fi
done
(umask 077 && cp "$folder/restore/files/datastore/state.db" "$server/db/state.db.part") || die "copying the database failed"
settle "$server/db/state.db.part"
mv "$server/db/state.db.part" "$server/db/state.db" || die "naming the database failed"
settle "$server/db"
write "$folder/restore.json" 600 "$replaced"
