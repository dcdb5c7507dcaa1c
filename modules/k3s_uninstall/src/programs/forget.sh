# An install that comes later must not be taken for the rest of an earlier one.
take_turn
rm -f "$folder"/*-record.json || die "removing the records of earlier runs failed"
