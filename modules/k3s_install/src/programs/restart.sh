# Restarts without waiting: a unit that notifies may never do so. The record is told first that the files are proven.
take_turn
[ -z "$record" ] || write "$folder/install-record.json" 600 "$record"
systemctl daemon-reload || die "systemctl daemon-reload failed"
systemctl reset-failed "$unit" 2>/dev/null
systemctl restart --no-block "$unit"
