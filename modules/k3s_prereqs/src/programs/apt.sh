# Installs packages; asks nobody, and waits for another apt or dpkg no longer than it may.
take_turn
export DEBIAN_FRONTEND=noninteractive
wait_for_lock="DPkg::Lock::Timeout=$lock_wait"
# Lists that could not be fetched are no reason to stop as long as the packages are known.
said=$(apt-get -q -o Acquire::Retries=2 -o "$wait_for_lock" update 2>&1) || said="apt-get update failed: $said"
# shellcheck disable=SC2086
apt-get -q -y -o "$wait_for_lock" -o Dpkg::Options::=--force-confold --no-install-recommends install $packages </dev/null || {
    printf '%s\n' "$said" | tail -n 3 >&2
    exit 1
}
