# Removes a file of ours.
take_turn
rm -f "$file" || die "removing $file failed"
settle "${file%/*}"
