#!/bin/sh
# Runs in the new template's root and turns a plain Debian into what the containers start from.
set -eu
export LC_ALL=C

# An own name, id and resolver are the container's business.
rm -f /etc/hostname /etc/resolv.conf
: > /etc/machine-id
: > /etc/fstab

# k3s runs its own etcd: as a service this one would be in the way.
rm -rf /var/lib/etcd /etc/default/etcd
mkdir -p /usr/local/lib/lab
for unit in etcd.service etcd2.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-networkd.service systemd-timesyncd.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done

# The kubelet wants /dev/kmsg. Default ordering on purpose: earlier, journald opens it and never rests.
cat > /etc/systemd/system/conf-kmsg.service <<'UNIT'
[Unit]
Description=Make /dev/kmsg, which the kubelet reads

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '[ -e /dev/kmsg ] || ln -s /dev/console /dev/kmsg'

[Install]
WantedBy=multi-user.target
UNIT
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -sf ../conf-kmsg.service /etc/systemd/system/multi-user.target.wants/conf-kmsg.service
ln -sf /lib/systemd/system/multi-user.target /etc/systemd/system/default.target

# A lab's log is short and read at once.
mkdir -p /etc/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nRuntimeMaxUse=64M\nRateLimitIntervalSec=0\n' > /etc/systemd/journald.conf.d/lab.conf

rm -rf /usr/share/doc /usr/share/man /usr/share/locale /usr/share/info \
    /var/cache/apt/archives /var/cache/apt/*.bin /var/cache/debconf /var/lib/apt/lists
mkdir -p /var/cache/apt/archives/partial /var/lib/apt/lists/partial /var/lib/rancher /var/lib/kubelet /etc/lab
