# Applies changes, each a line below, by the functions that they name. The first that fails ends them.
output=/run/homelab-k3s.output

# Moves $1 into the folder $2, where it is there. What an earlier run has moved there stays.
aside() {
    [ -e "$1" ] || return 0
    kept=$2/${1##*/}
    while [ -e "$kept" ]; do kept=$kept.next; done
    (umask 077 && mkdir -p "$2") && mv "$1" "$kept" || die "moving $1 to $kept failed"
    settle "${1%/*}" "$2"
}

# Copies a file or a folder, $1, to $2: that is then there with all of its content or not at all.
copy_all() {
    rm -rf "$2.part"
    (umask 077 && mkdir -p "${2%/*}") && cp -a "$1" "$2.part" || die "copying $1 to $2 failed"
    find "$2.part" -exec sync -- {} + 2>/dev/null || sync
    mv -T "$2.part" "$2" || die "copying $1 to $2 failed"
    settle "${2%/*}"
}

# Runs a program, and keeps the end of its output in $text. It gets a file in place of a pipe, and not our lock: what it leaves
# running must not hold either.
execute() {
    rm -f "$output"
    (umask 077 && : >"$output") && "$@" >"$output" 2>&1 </dev/null 9>&-
    status=$?
    text=$(tail -n 20 "$output" | tail -c 16384)
    rm -f "$output"
    return "$status"
}
