#!/bin/sh
# Runs in a container just before a real k3s starts, and lays into its folders what it needs in a lab. Not earlier: a new
# container has no folder of k3s, and an uninstallation removes it.
set -eu
lab=/usr/local/lib/lab
k3s=/var/lib/rancher/k3s
etc=$k3s/agent/etc

# A link, so that it can be removed.
mkdir -p $k3s/agent/images
ln -sfn $lab/images.tar $k3s/agent/images/homelab-lab.tar

mkdir -p $etc/kubelet.conf.d
cp $lab/kubelet.conf $etc/kubelet.conf.d/50-lab.conf

# A container's processes may not be able to lower their oom_score_adj, and then no sandbox starts unless containerd leaves it.
# Builds of k3s since March 2026 read additions to containerd's configuration from a folder, older ones need a template. The
# builds themselves say which: this has the new one unpack itself, which is what it does next in any case.
mkdir -p $etc/containerd
/usr/local/bin/k3s ctr --version > /dev/null 2>&1 || true
template=$etc/containerd/config.toml.tmpl
if grep -q config-v3.toml.d $k3s/data/current/bin/k3s 2> /dev/null; then
    rm -f $template
    mkdir -p $etc/containerd/config-v3.toml.d
    cp $lab/containerd.toml $etc/containerd/config-v3.toml.d/lab.toml
else
    cp $lab/containerd.toml.tmpl $template
fi
