# Nothing of ours stays but cluster-init and the copy. The record goes last, so that a run that is cut off here is
# taken up again.
take_turn
rm -f "$runtime" "$runtime.part" "$guard" "$guard.part" "$guard_program" "$guard_program.part" "$record.part"
rmdir "${runtime%/*}" "${guard%/*}" 2>/dev/null
systemctl daemon-reload || die "systemctl daemon-reload failed"
settle "$units"
rm -rf "$db/etcd-unfinished"
rm -f "$record"
rmdir "$folder" 2>/dev/null
settle "${folder%/*}"
