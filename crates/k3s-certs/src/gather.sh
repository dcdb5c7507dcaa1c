# Tells the certificates of a node, a line a file: its kind, its path and its content, both in base64. Only reads.
# $data and $kubeconfig are k3s's, the arguments are further files and folders. No key leaves the node: of a key in a
# PEM file its two outer lines are told, of a kubeconfig and of the listener's secret only the fields of certificates.
set -u
LC_ALL=C
export LC_ALL
limit=1048577
most=500

main() {
    if [ "$node" = yes ]; then
        folder "$data/server/tls" 2
        # No deeper: below are the images of all pods, and with them thousands of authorities that are not k3s's.
        folder "$data/agent" 1
        fields "$kubeconfig"
        for file in "$data"/server/cred/*.kubeconfig "$data"/agent/*.kubeconfig; do
            fields "$file"
        done
        listener "$data/server/tls/dynamic-cert.json"
    fi
    for place in "$@"; do
        if [ -d "$place" ]; then
            folder "$place" 100
        elif [ -e "$place" ]; then
            pem "$place"
        else
            tell missing "$place" </dev/null
        fi
    done
    echo end
}

# $1 kind, $2 path, the content on standard input.
tell() {
    printf '%s %s %s\n' "$1" "$(printf %s "$2" | code)" "$(head -c "$limit" | code)"
}

code() {
    base64 | tr -d '\n'
}

# Whoever has the folder may have put a device or a pipe there.
pem() {
    if [ ! -f "$1" ]; then
        tell irregular "$1" </dev/null
    elif [ ! -r "$1" ]; then
        tell unreadable "$1" </dev/null
    elif [ "$(stat -Lc %s -- "$1")" -ge "$limit" ]; then
        tell large "$1" </dev/null
    else
        head -c "$limit" <"$1" |
            sed '/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/,/-----END [A-Z0-9 ]*PRIVATE KEY-----/{/-----/!d;}' | tell pem "$1"
    fi
}

# $1 the folder, $2 how deep to look.
folder() {
    find "$1" -maxdepth "$2" \( -type f -o -type l \) \( -name '*.crt' -o -name '*.pem' -o -name '*.cert' \) 2>/dev/null |
        sort | head -n "$((most + 1))" | {
        told=0
        while IFS= read -r file; do
            told=$((told + 1))
            if [ "$told" -gt "$most" ]; then
                tell more "$1" </dev/null
            else
                pem "$file"
            fi
        done
    }
}

# The certificates inside a kubeconfig that k3s wrote: a line a field. Those by path are in their own files.
fields() {
    [ -f "$1" ] || return 0
    for field in certificate-authority-data client-certificate-data; do
        head -c "$limit" <"$1" | sed -n "s/^[ -]*$field: *//p" | head -n 20 | while IFS= read -r value; do
            printf '%s' "$value" | tell "$field" "$1"
        done
    done
}

# The certificate by which a server is reached is in a Secret, as JSON.
listener() {
    [ -f "$1" ] || return 0
    head -c "$limit" <"$1" | sed -n 's/.*"tls\.crt" *: *"\([^"]*\)".*/\1/p' | tell tls.crt "$1"
}

