# Stops k3s and keeps it down; how it was is written first.
take_turn
mkdir -p "$folder"
write "$folder/restore.json" 600 "$record"
systemctl disable --quiet k3s.service 2>&1 || die "k3s.service cannot be disabled"
systemctl stop k3s.service || die "k3s.service cannot be stopped"
state=$(show k3s.service | sed -n 's/^ActiveState=//p')
case $state in
inactive | failed) ;;
*) die "k3s.service is $state after it was stopped" ;;
esac
