# The proof holds: nothing of ours stays. The record goes last, so that a run that is cut off here is taken up again.
take_turn
rm -f "$folder"/install.sh "$folder"/install.sh.source "$folder"/*.part
rm -f "$bin_dir"/.k3s-*.staged "$bin_dir"/.k3s-*.part "$units"/k3s*.service*.part
settle "$bin_dir"
rm -f "$folder/install-record.json"
rmdir "$folder" 2>/dev/null
settle "${folder%/*}"
