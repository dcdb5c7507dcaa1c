#!/bin/sh
# Runs on a host and makes a container's disk:
# container-define.sh VMID NAME ADDRESS SIZE TIME_FACTOR CERT_DAYS EMPTY PACKAGES KUBELET BEFORE CONTAINERD TEMPLATE
# The last four are texts, and empty where no real k3s is to run.
# The disk is memory of a fixed size: it fills up as a real volume does, and is gone with the host's mounts.
set -eu
vmid=$1 name=$2 address=$3 size=$4 factor=$5 days=$6 empty=$7 packages=$8
kubelet=$9 before=${10} containerd=${11} template=${12}
folder=/var/lib/lxc/$vmid
mkdir -p "$folder/disk"
mount -t tmpfs -o "mode=755,size=$size" "disk-$vmid" "$folder/disk"
upper=$folder/disk/upper
mkdir -p "$folder/disk/rancher" "$folder/disk/kubelet" "$upper/etc/lab" "$upper/usr/local/lib/lab"
echo "$name" > "$upper/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost\n%s %s\n' "$address" "$name" > "$upper/etc/hosts"
: > "$upper/etc/resolv.conf"
echo "$factor" > "$upper/etc/lab/time-factor"
# For every service, so that the unit and its environment file stay as the install script makes them.
if [ -n "$days" ]; then
    mkdir -p "$upper/etc/systemd/system.conf.d"
    printf '[Manager]\nDefaultEnvironment=CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS=%s\n' "$days" \
        > "$upper/etc/systemd/system.conf.d/lab.conf"
fi
# As a new container is: nothing makes /dev/kmsg. (Such a device hides what the template has there.)
if [ -n "$empty" ]; then
    mkdir -p "$upper/etc/systemd/system/multi-user.target.wants"
    mknod "$upper/etc/systemd/system/conf-kmsg.service" c 0 0
    mknod "$upper/etc/systemd/system/multi-user.target.wants/conf-kmsg.service" c 0 0
fi
mkdir -p "$upper/usr/bin"
printf '%s' "$packages" > "$upper/usr/local/lib/lab/packages"
chmod 755 "$upper/usr/local/lib/lab/packages"
ln -s ../local/lib/lab/packages "$upper/usr/bin/apt-get"
if [ -n "$before" ]; then
    lab=$upper/usr/local/lib/lab
    printf '%s' "$before" > "$lab/before-k3s"
    chmod 755 "$lab/before-k3s"
    printf '%s' "$kubelet" > "$lab/kubelet.conf"
    printf '%s' "$containerd" > "$lab/containerd.toml"
    printf '%s' "$template" > "$lab/containerd.toml.tmpl"
    units=$upper/etc/systemd/system
    mkdir -p "$units/k3s.service.wants" "$units/k3s-agent.service.wants"
    cat > "$units/lab-before-k3s.service" <<'UNIT'
[Unit]
Description=Lay what a real k3s needs in a lab where it looks for it
Before=k3s.service k3s-agent.service

[Service]
Type=oneshot
ExecStart=/usr/local/lib/lab/before-k3s
UNIT
    ln -s ../lab-before-k3s.service "$units/k3s.service.wants/"
    ln -s ../lab-before-k3s.service "$units/k3s-agent.service.wants/"
fi
cat > "$folder/lab.conf"
