# What the scripts of a renewal share. They are fed by standard input and stand in functions, so that a shell whose
# input is cut off has read all of it, or does nothing.
set -u
LC_ALL=C
export LC_ALL
mark=/var/lib/homelab-k3s/renewal-under-way

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

# One at a time, with the scripts of an installation too: one that outlived its module must end first.
take_turn() {
    exec 9>/run/homelab-k3s.lock
    command -v flock >/dev/null 2>&1 || return 0
    flock -w 60 9 || die "another script of ours is still running there after 60 s: let it end, then run this again"
}

begin() {
    mkdir -p -m 700 "${mark%/*}" && printf '%s\n' "$unit" >"$mark" && sync || die "writing $mark failed"
}

state() {
    systemctl show -p ActiveState --value "$unit"
}

# Without waiting: a unit that notifies may never do so.
start() {
    systemctl reset-failed "$unit" 2>/dev/null
    systemctl start --no-block "$unit" 9>&-
}
