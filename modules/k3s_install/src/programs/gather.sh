# Tells what else the module needs to know, in the same go: a round trip through pct costs a third of a second. Only
# reads.
put hashes "$(sha256sum "$config" "$config.d"/*.yaml "$config.d"/*.yml /etc/rancher/k3s/registries.yaml \
    /etc/default/k3s /etc/default/k3s-agent /etc/sysconfig/k3s /etc/sysconfig/k3s-agent 2>/dev/null)"
if [ -x "$binary" ]; then
    put binary-sha256 "$(sha256sum <"$binary")"
    put binary-changed "$(stat -c %Z "$binary")"
fi
for name in kubectl crictl ctr; do
    [ ! -L "$bin_dir/$name" ] || put "link:$name" x
done
for file in "$bin_dir"/.k3s-*.staged; do
    [ ! -f "$file" ] || put "staged:$file" x
done
[ ! -f "$folder/install.sh" ] || put_file script-source "$folder/install.sh.source"
# As long as it is there: k3s imports it at each start.
if read -r sum file <"$folder/images.source" && [ -f "$file" ]; then put images "$sum $file"; fi 2>/dev/null
put_file record "$folder/install-record.json"

for mark in server/tls agent/kubelet.kubeconfig; do
    [ ! -e "$data/$mark" ] || put "data:$mark" x
done
place=$data
while [ ! -d "$place" ]; do
    place=${place%/*}
    place=${place:-/}
done
put disk "$(df -Pk "$bin_dir" "$place" /tmp 2>&1)"
put fib-trie "$(cat /proc/net/fib_trie 2>/dev/null)"
put if-inet6 "$(cat /proc/net/if_inet6 2>/dev/null)"

role=server
if [ -f "$units/k3s-agent.service" ] || { [ ! -f "$units/k3s.service" ] && [ ! -d "$data/server/tls" ]; }; then
    role=agent
fi
[ -n "$node" ] || node=$(uname -n | tr '[:upper:]' '[:lower:]')
if [ "$ask" = yes ]; then
    put asked "$node"
    put_node
    # A server that runs no kubelet has no node, but an API that tells its version.
    [ "$role" = agent ] || [ ! -x "$binary" ] || [ "$has_agent" = yes ] || put api-version "$(kubectl_as_node get --raw /version)"
fi
put end ""
