#!/bin/sh
# Runs in a new host's namespaces and makes them look like a Proxmox host: host-up.sh NAME ADDRESS RUN
# Everything is mounted here only; the machine's own tree stays unchanged.
set -eu
name=$1 address=$2 run=$3
hostname "$name"

# LXC looks for its bridge in /sys, so /sys must be this network namespace's; the cgroup tree comes along.
mount -t tmpfs -o mode=755 stage /mnt
mkdir /mnt/cgroup /mnt/run
mount --rbind /sys/fs/cgroup /mnt/cgroup
mount -t sysfs sysfs /sys
mount --move /mnt/cgroup /sys/fs/cgroup

# Own /run: locks, LXC's and sshd's run-time files are a host's own.
mount -t tmpfs -o mode=755 run /mnt/run
mkdir -p /mnt/run/homelab-lab /mnt/run/mount /mnt/run/lock/lxc /mnt/run/lxc /mnt/run/sshd /mnt/run/etc/upper /mnt/run/etc/work
mount --bind "$run" /mnt/run/homelab-lab
mount --move /mnt/run /run
umount /mnt

# Own /etc, written to without touching the machine's, for the sake of /etc/pve.
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work etc /etc
mkdir -p /etc/pve/nodes
ln -s "nodes/$name/lxc" /etc/pve/lxc
ln -s "nodes/$name/qemu-server" /etc/pve/qemu-server
ln -s "nodes/$name" /etc/pve/local
mount --bind "$run/pmxcfs/nodes" /etc/pve/nodes
: > /etc/pve/.vmlist
mount --bind "$run/pmxcfs/vmlist" /etc/pve/.vmlist
echo "$name" > /etc/hostname
printf '127.0.0.1 localhost\n%s %s\n' "$address" "$name" > /etc/hosts

# `pct` appears in /usr/sbin, root has an own home, containers live in memory.
mount -t overlay -o "lowerdir=$run/sbin:/usr/sbin" sbin /usr/sbin
mount --bind "$run/hosts/$name/root" /root
mkdir -p /var/lib/lxc
mount -t tmpfs -o mode=755 lxc /var/lib/lxc

ip link set lo up
ip link add vmbr0 type bridge
ip addr add "$address/24" dev vmbr0
ip link set vmbr0 up
# Containers route through here and learn at once that there is no way out.
echo 1 > /proc/sys/net/ipv4/ip_forward
