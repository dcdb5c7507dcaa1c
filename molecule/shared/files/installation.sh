# What an upgrade must not change on a node: the service's command line, environment, configuration and token.
for unit in k3s k3s-agent; do
  f=/etc/systemd/system/$unit.service
  [ -f "$f" ] || continue
  echo "== $unit ($(systemctl is-enabled "$unit"), $(systemctl is-active "$unit"))"
  sed -n '/^ExecStart=/,$p' "$f"
  sort "$f.env"
done
for f in /etc/rancher/k3s/config.yaml /etc/rancher/node/password /var/lib/rancher/k3s/server/token; do
  [ -f "$f" ] && { echo "== $f"; cat "$f"; }
done
true
