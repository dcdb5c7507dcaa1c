# What the programs of modules share. Their input stands above as variables; they are fed by standard input, so
# nothing of it shows in a list of processes.
set -u
LC_ALL=C
export LC_ALL
folder=/var/lib/homelab-k3s
units=/etc/systemd/system
bin_dir=${binary%/*}

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

# One at a time: a program that outlived its module (a killed ansible-playbook) must end before another one begins.
# The lock is held by the descriptor, which everything started here inherits.
take_turn() {
    exec 9>/run/homelab-k3s.lock
    command -v flock >/dev/null 2>&1 || return 0
    flock -w "$patience" 9 || die "an earlier run is still running there after $patience s: let it end, then run this again"
}

# To the disk: a machine that loses power must not find half of it.
settle() {
    sync -- "$@" 2>/dev/null || sync
}

# Replaces a file atomically: $1 path, $2 mode, $3 content.
write() {
    rm -f "$1.part"
    (umask 077 && printf '%s' "$3" >"$1.part") || die "writing $1 failed"
    chmod "$2" "$1.part" && settle "$1.part" && mv -f "$1.part" "$1" || die "writing $1 failed"
    settle "${1%/*}"
}

# A frame: name, length, content. A content cannot pass for another frame.
put() {
    printf '@%s %s\n%s\n' "$1" "${#2}" "$2"
}

# The content of a file, with the blank lines at its end; $3: what `sed -n` shows of it. Whoever has the folder may have put a device, a pipe or a
# file without end there: it is looked at before anything reads.
limit=1048576
file() {
    why=
    if [ ! -e "$2" ]; then
        why=missing
    elif [ ! -f "$2" ]; then
        why=irregular
    elif [ ! -r "$2" ]; then
        why=unreadable
    elif [ "$(stat -Lc %s -- "$2" 2>/dev/null || echo 0)" -gt "$limit" ]; then
        why=large
    elif [ -n "${3-}" ]; then
        content=$({ head -c "$limit" <"$2"; } 2>/dev/null | sed -n "$3" && echo x)
    else
        content=$({ head -c "$limit" <"$2"; } 2>/dev/null && echo x) || why=unreadable
    fi
    # Another program may have removed it meanwhile, as an installation removes its record.
    [ -e "$2" ] || why=missing
    if [ -n "$why" ]; then put "$why:$1" "$2"; else put "$1" "${content%x}"; fi
}

show() {
    TZ=UTC systemctl show \
        -p Id,LoadState,ActiveState,UnitFileState,FragmentPath,MainPID,NRestarts,ExecMainStartTimestamp "$@" 2>&1
}
