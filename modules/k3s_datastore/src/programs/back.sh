# Makes SQLite the datastore again, with k3s stopped. At every moment there is one whole datastore, and a start at
# whatever moment finds it: the guard moves an etcd aside that lies beside state.db.
copy=$backup/state.db

is_the_copy() {
    sum=$(sha256sum <"$1" 2>/dev/null)
    [ -n "$sha256" ] && [ "${sum%% *}" = "$sha256" ]
}

put_copy_back() {
    rm -f "$db/state.db.part"
    is_the_copy "$copy" && (umask 077 && cp "$copy" "$db/state.db.part") && is_the_copy "$db/state.db.part" || return 1
    settle "$db/state.db.part"
    # What is in an old log is not for the copy.
    rm -f "$db/state.db-shm" "$db/state.db-wal"
    mv -f "$db/state.db.part" "$db/state.db"
}

# k3s only reads it while it migrates, and renames it at the end: the second best, and no worse.
take_original() {
    rm -f "$db/state.db.part"
    echo original
    [ -f "$db/state.db" ] || mv "$db/state.db.migrated" "$db/state.db"
}

take_turn
# While this stage stands, what is in the place of state.db may be half of it.
[ -z "$going_back" ] || write "$record" 600 "$going_back"
rm -f "$drop_in" "$drop_in.part"
rmdir "${drop_in%/*}" 2>/dev/null
if [ "$unfinished" = yes ] || [ -d "$db/etcd/member/wal" ] || [ ! -f "$db/state.db" ]; then
    put_copy_back || take_original || die "$copy is not the copy that was taken, and $db has neither state.db nor state.db.migrated"
    settle "$db"
    if [ -d "$db/etcd" ]; then
        # Of earlier failures one is enough to look into.
        rm -rf "$db"/etcd-unfinished "$db"/etcd-failed-*
        mv "$db/etcd" "$db/etcd-failed-$stamp" || die "moving $db/etcd aside failed"
    fi
    settle "$db"
fi
write "$record" 600 "$begun"
rm -f "$runtime"
systemctl daemon-reload || die "systemctl daemon-reload failed"
