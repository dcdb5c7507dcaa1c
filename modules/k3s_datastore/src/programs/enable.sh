# The next start migrates, and is not followed by another one on its own: k3s would skip what is half done.
take_turn
write "$record" 600 "$record_text"
mkdir -p "${drop_in%/*}" "${runtime%/*}" || die "making ${drop_in%/*} failed"
write "$drop_in" 600 "cluster-init: true
"
write "$runtime" 644 "[Service]
Restart=no
"
systemctl daemon-reload || die "systemctl daemon-reload failed"
restart=$(systemctl show -p Restart "$unit")
[ "$restart" = Restart=no ] || die "$unit has $restart in spite of $runtime: a drop-in of somebody else comes after it"
