take_turn
systemctl restart --no-block "$unit" || die "$unit cannot be restarted"
