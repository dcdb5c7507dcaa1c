take_turn
systemctl restart --no-block k3s-agent.service || die "k3s-agent.service cannot be restarted"
