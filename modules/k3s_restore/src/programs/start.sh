# Starts k3s, and does not wait: a server that joins blocks until it has.
take_turn
[ -z "$record" ] || write "$folder/restore.json" 600 "$record"
if [ "$enable" = yes ]; then
    systemctl enable --quiet k3s.service 2>&1 || die "k3s.service cannot be enabled"
fi
[ "$start" = yes ] || exit 0
systemctl reset-failed k3s.service 2>/dev/null
systemctl start --no-block k3s.service || die "k3s.service cannot be started"
