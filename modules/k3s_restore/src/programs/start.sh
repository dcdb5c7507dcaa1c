# Starts k3s, and does not wait: a server that joins blocks until it has.
take_turn
[ -z "$record" ] || write "$folder/restore.json" 600 "$record"
if [ "$enable" = yes ]; then
    systemctl enable --quiet "$unit" 2>&1 || die "$unit cannot be enabled"
fi
[ "$start" = yes ] || exit 0
systemctl reset-failed "$unit" 2>/dev/null
systemctl start --no-block "$unit" || die "$unit cannot be started"
