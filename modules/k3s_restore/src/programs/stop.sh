# Stops k3s and keeps it down; how it was is written first.
take_turn
mkdir -p "$folder"
write "$folder/restore.json" 600 "$record"
systemctl disable --quiet "$unit" 2>&1 || die "$unit cannot be disabled"
systemctl stop "$unit" || die "$unit cannot be stopped"
state=$(show "$unit" | sed -n 's/^ActiveState=//p')
case $state in
inactive | failed) ;;
*) die "$unit is $state after it was stopped" ;;
esac
