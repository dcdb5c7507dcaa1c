# Hands over what a restore has to know of a server's data. Only reads.
server=$data/server
[ ! -d "$server/db/etcd/member/wal" ] || put wal yes
[ ! -f "$server/db/state.db" ] || put database yes
put keys "$(cd "$server" 2>/dev/null && find tls cred -type f -exec sha256sum {} + 2>/dev/null)"
put_file token "$server/token"
[ -z "$token_file" ] || put_file token-file "$token_file"
put_file record "$folder/restore.json"
put_file done "$folder/restored.json"
[ ! -d "$folder/restore/files" ] || put unpacked yes
[ ! -s /etc/rancher/node/password ] || put node-password yes
