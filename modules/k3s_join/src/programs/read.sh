# Tells what a node has to know that joins this server. Only reads.
server=$data/server
[ ! -d "$server/db/etcd/member/wal" ] || put wal yes
put_file token "$server/token"
put_file agent-token "$server/agent-token"
put_file ca "$server/tls/server-ca.crt"
put node "$("$binary" kubectl --request-timeout=10s get --raw "/api/v1/nodes/$node" 2>/dev/null </dev/null)"
put end ""
