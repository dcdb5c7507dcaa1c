# Tells what a restore has to know of a server's data. Only reads.
server=$data/server
[ ! -d "$server/db/etcd/member/wal" ] || put wal yes
[ ! -f "$server/db/state.db" ] || put database yes
put keys "$(cd "$server" 2>/dev/null && find tls cred -type f -exec sha256sum {} + 2>/dev/null)"
put_file token "$server/token"
[ -z "$token_file" ] || put_file token-file "$token_file"
put_file record "$folder/restore.json"
put_file done "$folder/restored.json"
[ ! -d "$folder/restore/files" ] || put unpacked yes
# The least of the two: the archive is unpacked in one of them, and the database made anew in the other.
for place in "$folder" "$server/db"; do
    while [ ! -d "$place" ]; do
        place=${place%/*}
        place=${place:-/}
    done
    put "free:$place" "$(df -Pk "$place" | tail -n 1)"
done
if [ -x "$binary" ]; then
    put readyz "$("$binary" kubectl --request-timeout=10s get --raw /readyz 2>/dev/null </dev/null)"
fi
put end ""
