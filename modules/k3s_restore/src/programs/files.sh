# Moves and copies files, for root only. Each call can be repeated after a kill, and the first that fails ends it.
take_turn
umask 077

# Moves $1 into the folder $2, where it is there. What an earlier run has moved there stays as it is.
aside() {
    [ -e "$1" ] || return 0
    kept=$2/${1##*/}
    while [ -e "$kept" ]; do kept=$kept.next; done
    mkdir -p "$2" && mv "$1" "$kept" || die "moving $1 to $kept failed"
    settle "${1%/*}" "$2"
}

# Copies $1 to $2, which is then there with all of its content or not at all.
copy() {
    rm -rf "$2.part"
    mkdir -p "${2%/*}" && cp -a "$1" "$2.part" || die "copying $1 to $2 failed"
    find "$2.part" -exec sync -- {} + 2>/dev/null || sync
    rename "$2.part" "$2"
}

make() {
    mkdir -p "$1" || die "making $1 failed"
}

rename() {
    mv -T "$1" "$2" || die "renaming $1 to $2 failed"
    settle "${2%/*}"
}

remove() {
    rm -rf "$1" || die "removing $1 failed"
    settle "${1%/*}"
}
