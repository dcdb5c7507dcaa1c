# Tells which datastore the server has, and what of ours is there. Only reads.
[ ! -d "$data/server" ] || put server x
[ ! -d "$db/etcd/member/wal" ] || put wal x
if [ -f "$db/state.db" ]; then
    size=0
    for file in "$db/state.db" "$db/state.db-wal"; do
        [ ! -f "$file" ] || size=$((size + $(stat -c %s "$file")))
    done
    put database "$size"
fi
put_file record "$record"

# The file system of a folder, or of the one that it will be made in.
disk() {
    place=$1
    while [ ! -d "$place" ]; do
        place=${place%/*}
        place=${place:-/}
    done
    df -Pk "$place" 2>&1 | tail -n 1
}
put disk:data "$(disk "$db")"
put disk:dest "$(disk "$dest")"
put end ""
