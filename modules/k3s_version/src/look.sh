# What a node says of itself, in one visit: entering a container takes a second on a busy Proxmox host.
# Each answer follows a line of the mark and a name. Nothing is written, no secret is printed.
mark=$1 binary=$2 node=$3 seconds=$4
part() { printf '\n%s %s\n' "$mark" "$1"; }

# What k3s is started with: the unit and its environment, then k3s's own files.
units() {
    cat /etc/systemd/system/k3s*.service /etc/systemd/system/k3s*.service.d/*.conf 2>/dev/null
}
settings() {
    {
        units
        cat /etc/systemd/system/k3s*.service.env /etc/default/k3s* /etc/sysconfig/k3s* \
            /etc/rancher/k3s/config.yaml /etc/rancher/k3s/config.yaml.d/*.yaml \
            /etc/rancher/k3s/config.yaml.d/*.yml 2>/dev/null
    } | sed -e '/^[[:space:]]*#/d' -e 's/[[:space:]]#.*//'
}

# The arguments that the operator hands on to a component, as `kubelet-arg name=value`: first those of k3s's files,
# where a later list replaces an earlier one unless its key ends in +, then those of the command line, which come
# last and so win. A value is printed only where it is judged.
arguments() {
    awk '
        function keep(text) {
            gsub(/^[ \t"\047]+|[ \t"\047,]+$/, "", text)
            sub(/^--/, "", text)
            if (text == "") return
            name = text
            sub(/=.*/, "", name)
            if (name !~ /^(feature-gates|fail-cgroupv1|conntrack-max-per-core|config|config-dir)$/) text = name
            list[key, ++count[key]] = text
        }
        FNR == 1 { key = "" }
        /^[ \t]*#/ { next }
        { sub(/[ \t]#.*$/, ""); sub(/\r$/, "") }
        /^["\047]?[A-Za-z]/ {
            key = $0
            sub(/:.*/, "", key)
            gsub(/["\047 \t]/, "", key)
            added = sub(/\+$/, "", key)
            if (key !~ /-arg$/) { key = ""; next }
            if (!(key in count)) keys[++last] = key
            if (!added || !(key in count)) count[key] = 0
            rest = $0
            sub(/^[^:]*:[ \t]*/, "", rest)
            if (rest !~ /^\[/) { keep(rest); next }
            gsub(/^\[|\][ \t]*$/, "", rest)
            between = rest ~ /["\047]/ ? "[\"\047][ \t]*,[ \t]*[\"\047]" : ","
            several = split(rest, one, between)
            for (item = 1; item <= several; item++) keep(one[item])
            next
        }
        key != "" && /^[ \t]*-/ { sub(/^[ \t]*-[ \t]*/, ""); keep($0) }
        END {
            for (item = 1; item <= last; item++)
                for (number = 1; number <= count[keys[item]]; number++)
                    print keys[item], list[keys[item], number]
        }
    ' /dev/null $(ls /etc/rancher/k3s/config.yaml 2>/dev/null) \
        $(ls /etc/rancher/k3s/config.yaml.d/*.yaml /etc/rancher/k3s/config.yaml.d/*.yml 2>/dev/null | LC_ALL=C sort)
    units | tr '\n\t\\' '   ' | tr -d "\"'" | awk '{
        for (word = 1; word <= NF; word++) {
            if ($word !~ /^--[a-z-]+-arg(=|$)/) continue
            key = $word
            sub(/^--/, "", key)
            sub(/=.*/, "", key)
            text = $word
            if (!sub(/^[^=]*=/, "", text)) text = $(++word)
            sub(/^--/, "", text)
            name = text
            sub(/=.*/, "", name)
            if (name !~ /^(feature-gates|fail-cgroupv1|conntrack-max-per-core|config|config-dir)$/) text = name
            if (text != "") print key, text
        }
    }'
}
handed_on=$(arguments)
argument() { printf '%s\n' "$handed_on" | sed -n "s/^$1-arg $2=//p" | tail -n 1; }

# Where k3s keeps its data: the first folder that an argument, a variable or a file names and that k3s has used, else
# the usual one. An agent's only kubeconfig is there, and the mark of a member of etcd.
named() {
    settings | tr '\n\t' '  ' |
        grep -Eo "(data-dir|K3S_DATA_DIR|[ '\"]-d)[] '\"\\\\=:[]+/[^] '\"\\\\]*" | sed 's,^[^/]*,,'
}
for data in $(named) /var/lib/rancher/k3s; do
    if [ -d "$data/server" ] || [ -d "$data/agent" ]; then break; fi
done

part arguments
printf '%s\n' "$handed_on"

part cgroup
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo v2; else echo v1; fi

# What the kubelet's own files say of cgroup v1; the last one wins. k3s copies a file and a folder that are named by an
# argument in among the others, so what it has copied earlier does not count.
part kubelet
config=$(argument kubelet config) folder=$(argument kubelet config-dir) own=$data/agent/etc
{
    if [ -n "$config" ]; then cat "$config"; fi
    if [ -n "$folder" ]; then find "$folder" -name '*.conf' | LC_ALL=C sort | while read -r file; do cat "$file"; done; fi
    find "$own/kubelet.conf.d" -name '*.conf' | LC_ALL=C sort | while read -r file; do
        case $file in
        */10-cli-config.conf) [ -z "$config" ] || continue ;;
        */20-cli-config-dir/*) [ -z "$folder" ] || continue ;;
        esac
        cat "$file"
    done
} 2>/dev/null | sed '/^[[:space:]]*#/d' |
    grep -Eo 'failCgroupV1"?[[:space:]]*:[[:space:]]*(true|false)' | tail -n 1 | grep -Eo '(true|false)$'

part kube-proxy
if settings | grep -Eq '(^|--|[^A-Za-z0-9_-])disable-kube-proxy("?:[[:space:]]*"?true|=true|["'\''[:space:]\\]|$)'; then echo off; fi
config=$(argument kube-proxy config)
if [ -n "$config" ]; then
    sed '/^[[:space:]]*#/d' "$config" 2>/dev/null |
        grep -Eo 'maxPerCore"?[[:space:]]*:[[:space:]]*[0-9]+' | tail -n 1 | sed 's/.*[^0-9]/max-per-core /'
fi
limit=/proc/sys/net/netfilter/nf_conntrack_max
if [ -r $limit ]; then printf 'nf_conntrack_max %s\n' "$(cat $limit)"; fi
if [ -w $limit ]; then echo writable; fi

part node
[ -n "$node" ] || read -r node </proc/sys/kernel/hostname
case $node in *[A-Z]*) node=$(printf '%s' "$node" | tr A-Z a-z) ;; esac
printf '%s\n' "$node"

if ! command -v "$binary" >/dev/null 2>&1; then
    part missing
    exit 0
fi
part version
"$binary" --version 2>&1
part data
printf '%s\n' "$data"

# A server's own kubeconfig; an agent has only the kubelet's, with which it may read its own node.
part running
why="this node has no kubeconfig of k3s"
for kubeconfig in /etc/rancher/k3s/k3s.yaml $data/agent/kubelet.kubeconfig; do
    [ -e "$kubeconfig" ] || continue
    if said=$("$binary" kubectl --kubeconfig "$kubeconfig" --request-timeout "${seconds}s" get node "$node" -o json 2>&1); then
        printf '%s\n' "$said"
        why=
        break
    fi
    [ "$why" = "this node has no kubeconfig of k3s" ] && why=$said
done
part why
printf '%s\n' "$why"

# The database's own port for metrics is on the loopback, without TLS: kubectl is client enough for it.
[ -d "$data/server/db/etcd/member/wal" ] || exit 0
part etcd
"$binary" kubectl --kubeconfig /dev/null --server http://127.0.0.1:2381 --request-timeout "${seconds}s" get --raw /metrics 2>/dev/null |
    sed -n 's/^etcd_server_version{server_version="\(.*\)"} 1$/\1/p'
