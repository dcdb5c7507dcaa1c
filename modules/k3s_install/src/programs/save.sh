# Keeps everything needed to replay, before anything is changed.
take_turn
mkdir -p "$folder" && chmod 700 "$folder" || die "making $folder failed"
write "$folder/install-record.json" 600 "$record"
