# Keeps a file of ours, readable by root only, before anything is changed that it is about.
take_turn
mkdir -p "$folder" && chmod 700 "$folder" || die "making $folder failed"
write "$folder/$file" 600 "$content"
