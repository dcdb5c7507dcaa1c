# Tells what else a renewal turns on. Only reads.
[ ! -e "$kubeconfig" ] || echo kubeconfig
[ ! -e /var/lib/homelab-k3s/renewal-under-way ] || echo marked
