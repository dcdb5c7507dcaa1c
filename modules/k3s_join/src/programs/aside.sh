# Stops k3s, and sets aside what would keep it from joining. Nothing is deleted.
take_turn
for unit in $stop; do
    systemctl stop "$unit" || die "$unit cannot be stopped"
done
# Pods outlive k3s; those of another cluster would go on beside the new one's.
if [ "$kill" = yes ] && [ -x "$bin_dir/k3s-killall.sh" ]; then
    "$bin_dir/k3s-killall.sh" >/dev/null 2>&1 || die "$bin_dir/k3s-killall.sh failed"
fi
[ -n "$what" ] || exit 0
old=$data/$aside
(umask 077 && mkdir -p "$old") || die "making $old failed"
for file in $what; do
    [ ! -e "$data/$file" ] || mv "$data/$file" "$old/${file##*/}" || die "moving $data/$file away failed"
done
settle "$data"
