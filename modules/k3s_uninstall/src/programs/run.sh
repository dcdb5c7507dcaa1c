# Runs k3s' own uninstall script, which ends the pods, unmounts what they had, and removes what is k3s'.
take_turn
mkdir -p "$folder" && chmod 700 "$folder" || die "making $folder failed"
write "$folder/uninstall-record.json" 600 "{\"script\":\"$script\"}"
/bin/sh "$script" </dev/null >/dev/null 2>"/run/homelab-k3s-uninstall.log" || {
    tail -n 5 "/run/homelab-k3s-uninstall.log" >&2
    rm -f "/run/homelab-k3s-uninstall.log"
    exit 1
}
rm -f "/run/homelab-k3s-uninstall.log"
