# Fetches the install script, and the binary where it is wanted, and verifies both. The node stays untouched.
said=$folder/said.part

# $1 URL, $2 file, $3 what it is, $4 MiB that it may have: an endless answer must not fill the disk
download() {
    protocols=http,https
    case $1 in https://*) protocols=https ;; esac
    if command -v curl >/dev/null 2>&1; then
        (
            ulimit -f $(($4 * 2048))
            exec curl -fsSL --proto "=$protocols" --connect-timeout 20 --max-time "$limit" -o "$2" "$1" 2>"$said"
        )
    elif command -v wget >/dev/null 2>&1; then
        (
            ulimit -f $(($4 * 2048))
            exec wget -T 20 -O "$2" "$1" 2>"$said"
        )
    else
        die "downloading $3: neither curl nor wget is there: install one of them"
    fi && return
    status=$?
    [ ! -f "$2" ] || [ "$(wc -c <"$2")" -lt $(($4 << 20)) ] || die "downloading $3 from $1 failed: it has more than $4 MiB"
    die "downloading $3 from $1 failed (status $status): $(tail -n 3 "$said")"
}

tidy() {
    rm -f "$folder"/*.part "$bin_dir"/.k3s-*.part
}

# A script whose binary could not be had is of no use either.
finish() {
    status=$?
    tidy
    if [ "$status" != 0 ]; then
        rm -f "$folder/install.sh" "$folder/install.sh.source"
        rmdir "$folder" 2>/dev/null
    fi
    exit "$status"
}

check_script() {
    case $(head -n 1 "$1") in
    '#!'*) ;;
    *) die "$source is not a shell script; it begins with: $(head -n 1 "$1" | cut -c 1-120)" ;;
    esac
    [ -n "$script_sha256" ] || return 0
    sum=$(sha256sum <"$1")
    [ "${sum%% *}" = "$script_sha256" ] || die "$source has the SHA-256 sum ${sum%% *}, where script_sha256 is $script_sha256: it was not used"
}

fetch_script() {
    if [ -n "$script_text" ]; then
        printf '%s' "$script_text" >"$folder/install.sh.part" || die "writing the install script failed"
    else
        download "$script_url" "$folder/install.sh.part" "the install script" 1
    fi
    check_script "$folder/install.sh.part"
    rm -f "$folder/install.sh.source"
    settle "$folder/install.sh.part"
    mv -f "$folder/install.sh.part" "$folder/install.sh"
    write "$folder/install.sh.source" 600 "$source_mark"
}

# The default of a variable of the script: NAME=${NAME:-https://…}, or plain.
default_of() {
    sed -n 's/^'"$1"'=["'\'']\{0,1\}\(\${'"$1"':-\)\{0,1\}["'\'']\{0,1\}\([^"'\''}]*\).*/\2/p' "$folder/install.sh" | head -n 1
}

# Where the files of this version are, as the script itself has it: since 2026 under INSTALL_K3S_ARTIFACT_URL, before
# under GITHUB_URL.
artifacts() {
    if [ -n "$download_url" ]; then
        printf '%s' "$download_url/download/$version"
        return
    fi
    base=$(default_of INSTALL_K3S_ARTIFACT_URL)
    if [ -n "$base" ]; then
        printf '%s' "$base/$(printf '%s' "$version" | sed 's/+/%2B/g')"
        return
    fi
    base=$(default_of GITHUB_URL)
    [ -z "$base" ] || printf '%s' "$base/download/$version"
}

fetch_binary() {
    case $(uname -m) in
    x86_64 | amd64) arch=amd64 suffix= ;;
    aarch64 | arm64) arch=arm64 suffix=-arm64 ;;
    s390x) arch=s390x suffix=-s390x ;;
    arm*) arch=arm suffix=-armhf ;;
    *) die "there is no k3s for the architecture $(uname -m)" ;;
    esac
    files=$(artifacts)
    [ -n "$files" ] || die "$source has no line INSTALL_K3S_ARTIFACT_URL or GITHUB_URL that says where releases are: give download_url, or set prefetch to false"
    sums=$files/sha256sum-$arch.txt
    url=$files/k3s$suffix
    download "$sums" "$folder/sums.part" "the SHA-256 sums of k3s $version" 1
    wanted=$(sed -n "s/^\([0-9a-f]\{64\}\)[[:blank:]]\{1,\}\*\{0,1\}k3s$suffix\$/\1/p" "$folder/sums.part" | head -n 1)
    [ -n "$wanted" ] || die "$sums names no k3s$suffix; it begins with: $(head -n 1 "$folder/sums.part" | cut -c 1-120)"
    part=$bin_dir/.k3s-$version.part
    rm -f "$bin_dir"/.k3s-*.staged
    download "$url" "$part" "k3s $version" 512
    stage "$url" "$wanted" "$sums"
}

take_turn
mkdir -p "$folder" && chmod 700 "$folder" || die "making $folder failed"
mkdir -p "$bin_dir" || die "making $bin_dir failed"
tidy
trap finish EXIT
[ "$want_script" != yes ] || fetch_script
[ "$want_binary" != yes ] || fetch_binary
