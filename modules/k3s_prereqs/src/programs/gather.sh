# Tells what k3s will find here. Only reads: a file is opened for writing to learn whether that is allowed, and nothing
# is written.
if [ -f /etc/os-release ]; then put_file os-release /etc/os-release; else put_file os-release /usr/lib/os-release; fi
put kernel "$(uname -r)"

# /dev/kmsg: the kernel's own is the character device 1:11.
if [ -L /dev/kmsg ]; then
    put kmsg "link to $(readlink /dev/kmsg)"
elif [ -c /dev/kmsg ] && [ "$(stat -c %t:%T /dev/kmsg)" = 1:b ]; then
    put kmsg device
elif [ -e /dev/kmsg ]; then
    put kmsg other
fi
if (: </dev/kmsg) 2>/dev/null; then put kmsg-opens yes; fi
put_file unit "$units/conf-kmsg.service"
put kmsg-show "$(show conf-kmsg.service)"

opens() {
    if (: >>"$1") 2>/dev/null; then
        echo yes
    elif [ -w "$1" ]; then
        echo denied
    else
        echo read-only
    fi
}
for name in net/ipv4/ip_forward vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    [ ! -f "/proc/sys/$name" ] || put "sysctl:$name" "$(opens "/proc/sys/$name") $(cat "/proc/sys/$name")"
done

# What is set for the kubelet in files of its own.
for file in "$data_dir"/agent/etc/kubelet.conf.d/*.conf "$data_dir"/agent/etc/kubelet.conf.d/*/*.conf; do
    put_file "kubelet:$file" "$file"
done

if [ "$(stat -f -c %T /sys/fs/cgroup 2>/dev/null)" = cgroup2fs ]; then
    put cgroup-version 2
    put_file cgroup-controllers /sys/fs/cgroup/cgroup.controllers
    if [ -w /sys/fs/cgroup ]; then put cgroup-writable yes; fi
else
    put cgroup-version 1
    there='' writable=yes
    for name in cpu cpuset memory pids; do
        [ -d "/sys/fs/cgroup/$name" ] || continue
        there="$there $name"
        [ -w "/sys/fs/cgroup/$name" ] || writable=
    done
    put cgroup-controllers "$there"
    [ -z "$writable" ] || put cgroup-writable yes
fi

if grep -qw overlay /proc/filesystems; then put kernel:overlay yes; fi
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then put kernel:br_netfilter yes; fi
if [ -e /proc/sys/net/netfilter/nf_conntrack_max ]; then put kernel:nf_conntrack yes; fi

folder=/var/lib/rancher
[ -d $folder ] || folder=/var/lib
put disk "$(df -Pk $folder | tail -n 1)"
put disk-type "$(stat -f -c %T $folder)"
if [ -f /sys/module/zfs/version ]; then put zfs-version "$(cat /sys/module/zfs/version)"; fi

if command -v dpkg-query >/dev/null 2>&1; then
    # shellcheck disable=SC2086
    put dpkg "$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null)"
fi
if command -v rpm >/dev/null 2>&1; then
    put rpm "$(for name in $packages; do rpm -q "$name" >/dev/null 2>&1 && echo "$name installed"; done)"
fi
put end ''
