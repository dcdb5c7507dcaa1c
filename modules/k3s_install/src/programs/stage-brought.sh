# Verifies the binary that was brought, and keeps it.
take_turn
trap 'rm -f "$part"' EXIT
rm -f "$bin_dir"/.k3s-*.staged
stage "$from" "$sha256" binary_sha256
