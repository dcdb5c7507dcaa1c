# Writes one file, readable by root only. What somebody else wrote there is kept.
take_turn
mkdir -p "${file%/*}" || die "making ${file%/*} failed"
if [ "$keep" = yes ]; then
    mkdir -p "$folder" && chmod 700 "$folder" && cp -p "$file" "$folder/${file##*/}.before" || die "keeping the present $file failed"
fi
write "$file" 600 "$content"
