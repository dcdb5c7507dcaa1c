#!/bin/sh
# The lab's own install script. It stands in for the one k3s publishes: same inputs, same files, same
# messages, same order of steps, same traps. Above all it remembers nothing: what it is not given again
# is gone from unit and environment file, and an agent without its URL becomes a server.
# What it leaves out: SELinux packages, OpenRC, builds of commits and pull requests.
set -e
set -f

# The release server puts its own address here when it hands this file out.
INSTALL_K3S_ARTIFACT_URL=${INSTALL_K3S_ARTIFACT_URL:-https://github.com/k3s-io/k3s/releases/download}
# The lab writes a step's name here to hold the script at that step, so that it can be killed there.
LAB_PAUSE_FILE=${LAB_PAUSE_FILE:-/etc/lab/install-pause}

info() { echo "[INFO]  $*"; }

fatal() {
    echo "[ERROR]  $*" >&2
    exit 1
}

hold_at() {
    while [ -r "$LAB_PAUSE_FILE" ] && [ "$(cat "$LAB_PAUSE_FILE" 2>/dev/null)" = "$1" ]; do
        sleep 0.1
    done
}

# Prints a word in single quotes, as ExecStart lines carry it.
single_quoted() {
    printf '%s\n' "$1" | sed -e "s/'/'\\\\''/g" -e "1s/^/'/" -e "\$s/\$/'/"
}

# Makes the shell's special characters of INSTALL_K3S_EXEC literal; quotes keep grouping words.
shell_safe() {
    printf '%s' "$1" | sed -e 's/[][!#$%&()*;<=>?\\_`{|}]/\\&/g'
}

# --- what is to be set up: command, names, places --------------------------------------------------

choose_command() {
    case "$1" in
        '' | -*)
            COMMAND=server
            if [ -n "$K3S_URL" ]; then
                [ -n "$K3S_TOKEN$K3S_TOKEN_FILE" ] || fatal "Defaulted k3s exec command to 'agent' because" \
                    "K3S_URL is defined, but K3S_TOKEN or K3S_TOKEN_FILE is not defined."
                COMMAND=agent
            fi
            ;;
        *)
            COMMAND=$1
            shift
            ;;
    esac
    case "$K3S_URL" in
        '' | https://*) ;;
        *) fatal "Only https:// URLs are supported for K3S_URL (have $K3S_URL)" ;;
    esac
    EXEC_LINES="    $COMMAND \\"
    for word in "$@"; do
        EXEC_LINES=$(printf '%s\n\t%s \\' "$EXEC_LINES" "$(single_quoted "$word")")
    done
}

choose_names() {
    if [ -n "$INSTALL_K3S_NAME" ]; then
        UNIT=k3s-$INSTALL_K3S_NAME
    elif [ "$COMMAND" = server ]; then
        UNIT=k3s
    else
        UNIT=k3s-$COMMAND
    fi
    case "$UNIT" in
        *[!A-Za-z0-9.,:@^~+\'\"-]*) fatal "Invalid characters for system name: $UNIT" ;;
    esac
    UNIT_TYPE=${INSTALL_K3S_TYPE:-notify}
}

choose_places() {
    AS_ROOT=
    [ "$(id -u)" -eq 0 ] || AS_ROOT=sudo
    BIN_DIR=$INSTALL_K3S_BIN_DIR
    if [ -z "$BIN_DIR" ]; then
        BIN_DIR=/usr/local/bin
        probe=$BIN_DIR/k3s-ro-test
        if ! { $AS_ROOT touch $probe && $AS_ROOT rm -f $probe; } 2>/dev/null && [ -d /opt/bin ]; then
            BIN_DIR=/opt/bin
        fi
    fi
    UNIT_DIR=${INSTALL_K3S_SYSTEMD_DIR:-/etc/systemd/system}
    UNIT_FILE=$UNIT_DIR/$UNIT.service
    ENV_FILE=$UNIT_FILE.env
    KILLALL_K3S_SH=${KILLALL_K3S_SH:-$BIN_DIR/k3s-killall.sh}
    UNINSTALL_K3S_SH=${UNINSTALL_K3S_SH:-$BIN_DIR/$UNIT-uninstall.sh}
    if [ "$INSTALL_K3S_BIN_DIR_READ_ONLY" = true ]; then
        INSTALL_K3S_SKIP_DOWNLOAD=true
    fi
}

state_hashes() {
    $AS_ROOT sha256sum "$BIN_DIR/k3s" "$UNIT_FILE" "$ENV_FILE" 2>&1 || true
}

# --- the binary --------------------------------------------------------------------------------------

choose_arch() {
    case "${ARCH:-$(uname -m)}" in
        amd64 | x86_64) ARCH=amd64 SUFFIX= ;;
        arm64 | aarch64) ARCH=arm64 SUFFIX=-arm64 ;;
        s390x) ARCH=s390x SUFFIX=-s390x ;;
        arm*) ARCH=arm SUFFIX=-armhf ;;
        *) fatal "Unsupported architecture ${ARCH:-$(uname -m)}" ;;
    esac
}

choose_downloader() {
    for DOWNLOADER in curl wget; do
        if command -v $DOWNLOADER >/dev/null 2>&1; then
            return
        fi
    done
    fatal 'Can not find curl or wget for downloading files'
}

# As the real one: whatever the last hop is called is taken for the version, also when the channel
# server is down and the last hop is the channel itself.
resolve_version() {
    VERSION=$INSTALL_K3S_VERSION
    if [ -z "$VERSION" ]; then
        channel=${INSTALL_K3S_CHANNEL:-stable}
        info "Finding release for channel $channel"
        url=${INSTALL_K3S_CHANNEL_URL:-https://update.k3s.io/v1-release/channels}/$channel
        if [ "$DOWNLOADER" = curl ]; then
            VERSION=$(curl -sSL -o /dev/null -w '%{url_effective}' "$url") || true
        else
            VERSION=$(wget -SqO /dev/null "$url" 2>&1 | grep -i 'location:' | tail -n 1)
        fi
        VERSION=${VERSION##*/}
    fi
    info "Using $VERSION as release"
}

fetch() {
    if [ "$DOWNLOADER" = curl ]; then
        curl -sfL -o "$2" "$1" || fatal 'Download failed'
    else
        wget -qO "$2" "$1" || fatal 'Download failed'
    fi
}

sha256_of() {
    sha256sum "$1" | cut -d ' ' -f 1
}

# Where the files of this version are.
artifacts() {
    echo "$INSTALL_K3S_ARTIFACT_URL/$(echo "$VERSION" | sed 's/+/%2B/g')"
}

fetch_expected_hash() {
    if [ -n "$GITHUB_URL" ]; then
        echo "[WARN]  GITHUB_URL does not work anymore. Please use 'INSTALL_K3S_ARTIFACT_URL' instead." >&2
    fi
    url=$(artifacts)/sha256sum-$ARCH.txt
    info "Downloading hash $url"
    fetch "$url" "$WORK_DIR/hashes"
    EXPECTED=$(sed -n "s/^\([0-9a-f]\{64\}\)[[:blank:]]\{1,\}k3s$SUFFIX\$/\1/p" "$WORK_DIR/hashes" | head -n 1)
}

install_binary() {
    url=$(artifacts)/k3s$SUFFIX
    info "Downloading binary $url"
    fetch "$url" "$WORK_DIR/k3s"
    info 'Verifying binary download'
    got=$(sha256_of "$WORK_DIR/k3s")
    [ "$got" = "$EXPECTED" ] || fatal "Download sha256 does not match $EXPECTED, got $got"
    hold_at before-binary
    chmod 755 "$WORK_DIR/k3s"
    info "Installing k3s to $BIN_DIR/k3s"
    $AS_ROOT chown root:root "$WORK_DIR/k3s"
    $AS_ROOT mv -f "$WORK_DIR/k3s" "$BIN_DIR/k3s"
    hold_at after-binary
}

provide_binary() {
    case "$INSTALL_K3S_SKIP_DOWNLOAD" in
        true | binary)
            info 'Skipping k3s download and verify'
            [ -x "$BIN_DIR/k3s" ] || fatal "Executable k3s binary not found at $BIN_DIR/k3s"
            return
            ;;
    esac
    choose_arch
    choose_downloader
    WORK_DIR=$(mktemp -d -t k3s-install.XXXXXXXXXX)
    trap 'rm -rf "$WORK_DIR"' EXIT
    trap 'exit 130' INT
    resolve_version
    fetch_expected_hash
    if [ -x "$BIN_DIR/k3s" ] && [ "$(sha256_of "$BIN_DIR/k3s")" = "$EXPECTED" ]; then
        info 'Skipping binary downloaded, installed k3s matches hash'
        return
    fi
    install_binary
}

# --- links and helper scripts -----------------------------------------------------------------------

link_tools() {
    [ "$INSTALL_K3S_SYMLINK" != skip ] || return 0
    for tool in kubectl crictl ctr; do
        found=$(command -v $tool 2>/dev/null || true)
        if [ "$INSTALL_K3S_SYMLINK" = force ]; then
            found=
        elif [ -e "$BIN_DIR/$tool" ]; then
            info "Skipping $BIN_DIR/$tool symlink to k3s, already exists"
            continue
        fi
        if [ -n "$found" ]; then
            info "Skipping $BIN_DIR/$tool symlink to k3s, command exists in PATH at $found"
        else
            info "Creating $BIN_DIR/$tool symlink to k3s"
            $AS_ROOT ln -sf k3s "$BIN_DIR/$tool"
        fi
    done
}

write_killall() {
    info "Creating killall script $KILLALL_K3S_SH"
    $AS_ROOT tee "$KILLALL_K3S_SH" >/dev/null <<\END
#!/bin/sh
# Stops k3s and everything it started; data stays.
[ "$(id -u)" -eq 0 ] || exec sudo --preserve-env=K3S_DATA_DIR "$0" "$@"
DATA=${K3S_DATA_DIR:-/var/lib/rancher/k3s}

for unit in "$LAB_ROOT"/etc/systemd/system/k3s*.service; do
    [ -s "$unit" ] && systemctl stop "$(basename "$unit")"
done

# A shim's children first learn of its end, so the tree is listed before anything is killed.
with_children() {
    for pid in "$@"; do
        echo "$pid"
        with_children $(ps -o pid= --ppid "$pid")
    done
}
shims=$(ps -e -o pid= -o args= | awk -v dir="$DATA/data/" 'index($2, dir) == 1 && $2 ~ /\/containerd-shim/ { print $1 }')
[ -z "$shims" ] || kill -9 $(with_children $shims) 2>/dev/null

for place in /run/k3s /var/lib/kubelet/pods /var/lib/kubelet/plugins /run/netns/cni-; do
    awk -v at="$place" 'index($2, at) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r mount; do
        umount -f "$mount" && rm -rf "$mount"
    done
done

ip netns show 2>/dev/null | awk '/^cni-/ { print $1 }' | while read -r name; do ip netns delete "$name"; done
ip -o link show master cni0 2>/dev/null | awk -F': ' '{ sub(/@.*/, "", $2); print $2 }' |
    while read -r link; do ip link delete "$link"; done
for link in cni0 flannel.1 flannel-v6.1 flannel-wg flannel-wg-v6 kube-ipvs0; do
    ip link delete "$link" 2>/dev/null
done
rm -rf "$LAB_ROOT/var/lib/cni"
for tables in iptables ip6tables; do
    command -v $tables-save >/dev/null && $tables-save | grep -v -e KUBE- -e CNI- | grep -iv flannel | $tables-restore
done
true
END
    $AS_ROOT chmod 755 "$KILLALL_K3S_SH"
}

write_uninstall() {
    info "Creating uninstall script $UNINSTALL_K3S_SH"
    $AS_ROOT tee "$UNINSTALL_K3S_SH" >/dev/null <<END
#!/bin/sh
# Removes this unit; with the last k3s unit also binary, configuration and data. /etc/rancher/node stays.
[ "\$(id -u)" -eq 0 ] || exec sudo --preserve-env=K3S_DATA_DIR "\$0" "\$@"
DATA=\${K3S_DATA_DIR:-/var/lib/rancher/k3s}

"$KILLALL_K3S_SH"
systemctl disable $UNIT
systemctl reset-failed $UNIT
rm -f "$UNIT_FILE" "$ENV_FILE" "$UNINSTALL_K3S_SH"
systemctl daemon-reload

if ls "$UNIT_DIR"/k3s*.service >/dev/null 2>&1; then
    echo 'Additional k3s services installed, skipping uninstall of k3s'
    exit 0
fi
for tool in kubectl crictl ctr; do
    [ ! -L "$BIN_DIR/\$tool" ] || rm -f "$BIN_DIR/\$tool"
done
rm -rf "\$LAB_ROOT/etc/rancher/k3s" "\$LAB_ROOT/run/k3s" "\$LAB_ROOT/run/flannel" "\$LAB_ROOT/var/lib/kubelet"
# The data folder may be a mount of its own: then only what is in it can go.
rm -rf "\$LAB_ROOT\$DATA" 2>/dev/null || find "\$LAB_ROOT\$DATA" -mindepth 1 -delete
rm -f "$BIN_DIR/k3s" "$KILLALL_K3S_SH"
END
    $AS_ROOT chmod 755 "$UNINSTALL_K3S_SH"
}

# --- the unit: disabled, deleted, written anew from nothing but this run's input ----------------------

forget_unit() {
    $AS_ROOT systemctl disable "$UNIT" >/dev/null 2>&1 || true
    hold_at before-delete
    $AS_ROOT rm -f "$UNIT_FILE" "$ENV_FILE"
    hold_at after-delete
}

# Values are quoted as the shell prints them, and runs of blanks are lost.
exported() {
    sh -c export | while read assign pair; do echo $pair; done
}

write_env_file() {
    info "env: Creating environment file $ENV_FILE"
    $AS_ROOT install -m 0600 /dev/null "$ENV_FILE"
    { exported | grep -E '^(K3S|CONTAINERD|KINE)_' || true; } | $AS_ROOT tee "$ENV_FILE" >/dev/null
    { exported | grep -Ei '^(NO|HTTP|HTTPS)_PROXY' || true; } | $AS_ROOT tee -a "$ENV_FILE" >/dev/null
    hold_at after-env
}

write_unit() {
    info "systemd: Creating service file $UNIT_FILE"
    $AS_ROOT tee "$UNIT_FILE" >/dev/null <<END
[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=$UNIT_TYPE
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-$ENV_FILE
KillMode=process
Delegate=yes
# Having non-zero Limit*s causes performance problems due to accounting overhead
# in the kernel. We recommend using cgroups to do container-local accounting.
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=$BIN_DIR/k3s \\
$EXEC_LINES

END
    $AS_ROOT chmod 0644 "$UNIT_FILE"
    hold_at after-unit
}

strip_rules() {
    for tables in iptables ip6tables; do
        command -v $tables-save >/dev/null 2>&1 || continue
        command -v $tables-restore >/dev/null 2>&1 || continue
        $AS_ROOT $tables-save | grep -v KUBE- | grep -iv flannel | $AS_ROOT $tables-restore || true
    done
}

enable_and_start() {
    [ "$INSTALL_K3S_SKIP_ENABLE" != true ] || return 0
    info "systemd: Enabling $UNIT unit"
    $AS_ROOT systemctl enable "$UNIT_FILE" >/dev/null
    $AS_ROOT systemctl daemon-reload >/dev/null
    [ "$INSTALL_K3S_SKIP_START" != true ] || return 0
    if [ "$INSTALL_K3S_FORCE_RESTART" != true ] && [ "$BEFORE" = "$(state_hashes)" ]; then
        info 'No change detected so skipping service start'
        return 0
    fi
    strip_rules
    info "systemd: Starting $UNIT"
    hold_at before-start
    $AS_ROOT systemctl restart "$UNIT"
}

# One function, called by the last line: a script truncated in the pipe of `curl | sh` does nothing at all.
main() {
    command -v systemctl >/dev/null 2>&1 ||
        fatal 'Can not find systemd or openrc to use as a process supervisor for k3s'
    choose_command "$@"
    choose_names
    choose_places
    BEFORE=$(state_hashes)
    provide_binary
    info 'Skipping installation of SELinux RPM'
    if [ "$INSTALL_K3S_BIN_DIR_READ_ONLY" != true ]; then
        link_tools
        write_killall
        write_uninstall
    fi
    forget_unit
    write_env_file
    write_unit
    enable_and_start
}

eval "main $(shell_safe "$INSTALL_K3S_EXEC") \"\$@\""
