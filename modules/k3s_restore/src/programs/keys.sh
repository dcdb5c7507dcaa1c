# Puts authorities, keys and token of the backup in place. What was there is moved away once; what is in its place
# later is the backup's own, from a run that was killed.
take_turn
files=$folder/restore/files
old=$server/$aside
(umask 077 && mkdir -p "$old") || die "making $old failed"
place() {
    [ -e "$files/server/$1" ] || return 0
    if [ -e "$server/$1" ] && [ ! -e "$old/$1" ]; then
        mv "$server/$1" "$old/$1" || die "moving $server/$1 away failed"
    fi
    rm -rf "$server/$1.part"
    cp -a "$files/server/$1" "$server/$1.part" || die "copying $1 failed"
    rm -rf "$server/$1"
    mv "$server/$1.part" "$server/$1" || die "naming $server/$1 failed"
}
if [ "$keys" = yes ]; then
    place tls
    place cred
fi
if [ "$token" = yes ]; then
    place token
    place agent-token
fi
password=/etc/rancher/node/password
kept="$files/etc"/rancher/node/password
if [ "$node_too" = yes ] && [ ! -e "$password" ] && [ -f "$kept" ]; then
    mkdir -p "${password%/*}"
    cp -a "$kept" "$password" || die "copying the node's password failed"
fi
settle "$server"
