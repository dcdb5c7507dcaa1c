# Keeps the binary in $part under the name by which it is found again. $1: where it came from, $2: the sum that it must
# have, $3: who says so.
stage() {
    got=$(sha256sum <"$part")
    [ "${got%% *}" = "$2" ] || die "$1 has the SHA-256 sum ${got%% *}, where $3 says $2: truncated or altered, it was removed"
    chmod 0755 "$part"
    line=$("$part" --version 2>&1 | head -n 1)
    case "$line " in
    # It calls itself by the name of its file.
    *" version $version "*) ;;
    *) die "$1 says of itself \"$line\", where k3s version $version was expected: it was removed" ;;
    esac
    settle "$part"
    staged=$bin_dir/.k3s-$version.$2.staged
    mv -f "$part" "$staged" || die "keeping the binary in $bin_dir failed"
    settle "$bin_dir"
    printf '%s\n' "$staged"
}
