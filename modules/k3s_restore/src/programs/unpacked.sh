# The backup is whole: it gets the name by which that is known.
take_turn
mv "$folder/restore/unpacking" "$folder/restore/files" && settle "$folder/restore" || die "naming the unpacked backup failed"
rm -f "$folder/restore/archive"
