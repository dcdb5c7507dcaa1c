# Makes room for the backup; what a killed run left of it goes.
take_turn
rm -rf "$folder/restore"
(umask 077 && mkdir -p "$folder/restore") || die "making $folder/restore failed"
