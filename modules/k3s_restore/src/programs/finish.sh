# Nothing of the backup stays in the container, except where it was put in place.
take_turn
rm -rf "$folder/restore"
[ -z "$done_text" ] || write "$folder/restored.json" 600 "$done_text"
rm -f "$folder/restore.json"
settle "$folder"
