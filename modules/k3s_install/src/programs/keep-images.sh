# Verifies the images that were brought, and puts them where k3s imports them at its start.
take_turn
trap 'rm -f "$part"' EXIT
got=$(sha256sum <"$part")
[ "${got%% *}" = "$sha256" ] || die "$from has the SHA-256 sum ${got%% *}, where images_sha256 says $sha256: truncated or altered, it was removed"
mkdir -p "$folder" "${dest%/*}" && chmod 700 "$folder" || die "making ${dest%/*} failed"
settle "$part"
mv -f "$part" "$dest" || die "keeping the images as $dest failed"
write "$folder/images.source" 600 "$sha256 $dest
"
