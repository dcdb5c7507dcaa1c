# Answers questions, each a line below, by the functions that they name. Only reads, and decides nothing.
TZ=UTC
export TZ
hostname=$(uname -n | tr '[:upper:]' '[:lower:]')

# $1 name, $2 a test of `[`, $3 path.
is() {
    [ "$2" "$3" ] && put "$1" x
}

# $1 name, $2 what sed shows of them; then paths, of which a pattern without any match is none.
files() {
    name=$1 shown=$2
    shift 2
    for path; do [ ! -e "$path" ] || file "$name:$path" "$path" "$shown"; done
}

# $1 name, $2 a test of `[`; then paths.
names() {
    name=$1 test=$2
    shift 2
    for path; do is "$name:$path" "$test" "$path"; done
}

# $1 name; then paths.
sums() {
    name=$1
    shift
    for path; do [ ! -f "$path" ] || put "$name:$path" "$(sha256sum <"$path")"; done
}

# The files that contain a word, with blanks in the place of zero bytes: $1 name, $2 word; then paths.
containing() {
    name=$1 word=$2
    shift 2
    grep -ls -e "$word" "$@" | while IFS= read -r path; do
        put "$name:$path" "$(head -c "$limit" 2>/dev/null <"$path" | tr '\0' ' ')"
    done
}

# The files below a folder: $1 name, $2 folder, $3 how deep, $4 how many at most, $5 what sed shows of them; then find's own tests of names.
below() {
    name=$1 root=$2 depth=$3 most=$4 shown=$5
    shift 5
    find "$root" -maxdepth "$depth" \( -type f -o -type l \) \( "$@" \) 2>/dev/null | sort | head -n "$((most + 1))" | {
        while [ "$most" -gt 0 ] && IFS= read -r path; do
            most=$((most - 1))
            file "$name:$path" "$path" "$shown"
        done
        ! IFS= read -r path || put "more:$name:$root" ""
    }
    return 0
}

# $1 name, $2 whether errors belong to the answer, $3 what sed shows of it, $4 its standard input; then a program with its arguments. One that is not
# there is not asked.
run() {
    name=$1 errors=$2 shown=$3 input=$4
    shift 4
    command -v "$1" >/dev/null 2>&1 || return 127
    said=$({
        if [ "$errors" = yes ]; then exec 2>&1; else exec 2>/dev/null; fi
        printf %s "$input" | "$@"
        printf '\n=%s' "$?"
    } | head -c "$limit")
    last=$(printf %s "$said" | tail -n 1)
    case $last in
    =*[0-9]) status=${last#=} said=${said%?"$last"} ;;
    *) status=141 ;; # It was stopped by what it printed.
    esac
    [ -z "$shown" ] || said=$(printf '%s\n' "$said" | sed -n "$shown")
    put "$name" "$said"
    [ "$status" = 0 ] || put "status:$name" "$status"
    [ "$status" = 0 ] && [ -n "$said" ]
}

# The file systems of folders, or of those that they will be made in: $1 name; then paths.
disk() {
    name=$1
    shift
    for path; do
        while [ ! -d "$path" ]; do
            path=${path%/*}
            path=${path:-/}
        done
        set -- "$@" "$path"
        shift
    done
    put "$name" "$(df -Pk "$@" 2>&1)"
}

# Whether a file can be opened, which the mode of a device or of a file below /proc does not show: $1 name, $2 path.
opens() {
    (: <"$2") 2>/dev/null && put "$1" x
}

opens_to_write() {
    (: >>"$2") 2>/dev/null && put "$1" x
}

# A unit with its drop-ins, and the files of variables that systemd or the install script have for it: $1 its name.
asked=
unit() {
    asked="$asked $1"
    file "unit:$1" "$units/$1"
    files "dropin:$1" "" "$units/$1.d"/*.conf
    stem=${1%.service}
    {
        systemctl show -p EnvironmentFiles "$1" 2>/dev/null |
            sed -n 's,^EnvironmentFiles=\(/.*\) (ignore_errors=[a-z]*)$,\1,p'
        printf '%s\n' "/etc/default/$stem" "/etc/sysconfig/$stem" "$units/$1.env"
    } | while IFS= read -r path; do
        file "variables:$path" "$path"
    done
}

# The further units in whose files there is a word: $1. A link to one that was asked for does not count.
units_with() {
    word=$1
    for path in "$units"/*.service; do
        for other in $asked; do
            [ ! "$path" -ef "$units/$other" ] || continue 2
        done
        case ${path##*/} in
        *@.service | *[!A-Za-z0-9:_.-]*) ;;
        *) [ ! -f "$path" ] || ! grep -qs -e "$word" "$path" || unit "${path##*/}" ;;
        esac
    done
}
