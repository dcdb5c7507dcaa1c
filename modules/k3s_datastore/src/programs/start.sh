# Starts without waiting: a unit that notifies may never do so.
take_turn
systemctl reset-failed "$unit" 2>/dev/null
systemctl start --no-block "$unit"
