# Installs packages; asks nobody. dnf waits for another one by itself, and its limit ends that.
take_turn
command -v dnf >/dev/null 2>&1 || die "there is no dnf"
# shellcheck disable=SC2086
dnf -y -q --setopt=install_weak_deps=False install $packages </dev/null
