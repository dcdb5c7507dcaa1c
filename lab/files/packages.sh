#!/bin/sh
# A stand-in for apt-get, dnf and rpm, as which it is called: the lab's containers have no way out. It records each call in
# /var/lib/lab/packages.log. What apt-get installs is an empty Debian package, installed by the real dpkg; what dnf
# installs is a line that rpm reads. /etc/lab/packages-trouble (of `lab fault packages`) makes it fail.
name=$(basename "$0")
known="nfs-utils nfs-common open-iscsi iscsi-initiator-utils curl"
folder=/var/lib/lab
mkdir -p $folder
touch $folder/rpms

if [ "$name" = rpm ]; then
    # rpm -q PACKAGE...
    [ "$1" = -q ] || { echo "rpm: the stand-in supports -q only" >&2; exit 1; }
    shift
    status=0
    for package; do
        if grep -qx "$package" $folder/rpms; then
            echo "$package-1.0-1.el.noarch"
        else
            echo "package $package is not installed"
            status=1
        fi
    done
    exit $status
fi

echo "DEBIAN_FRONTEND=${DEBIAN_FRONTEND:-} $name $*" >> $folder/packages.log
verb= packages= skip=
for word; do
    if [ -n "$skip" ]; then skip=; continue; fi
    case $word in
        -o) skip=1 ;;
        -*) ;;
        *) if [ -z "$verb" ]; then verb=$word; else packages="$packages $word"; fi ;;
    esac
done
trouble=$(cat /etc/lab/packages-trouble 2>/dev/null)
[ "$trouble" != hang ] || exec sleep 600
case $name in apt-get) failure=100 ;; *) failure=1 ;; esac
fail() {
    echo "$1" >&2
    exit $failure
}

case $name:$trouble in
    apt-get:lock) fail "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4711 (apt-get)" ;;
    dnf:lock) fail "Failed to obtain the transaction lock (logged in as: root)." ;;
    apt-get:offline) [ "$verb" = update ] || fail "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?"
        echo "W: Some index files failed to download. They have been ignored, or old ones used instead." >&2 ;;
    dnf:offline) fail "Error: Failed to download metadata for repo 'baseos': Cannot download repomd.xml" ;;
esac
[ "$verb" != update ] || { touch $folder/lists; exit 0; }
[ "$verb" = install ] || fail "E: the stand-in supports update and install only, not $verb"

for package in $packages; do
    here=
    for one in $known; do [ "$one" != "$package" ] || here=1; done
    [ "$trouble" != missing ] || here=
    case $name in
        apt-get)
            # A new container has no lists; apt finds nothing before it has fetched them.
            [ -n "$here" ] && [ -e $folder/lists ] || fail "E: Unable to locate package $package"
            work=$(mktemp -d)
            mkdir -p "$work/root/DEBIAN"
            printf 'Package: %s\nVersion: 9:1.0\nArchitecture: all\nMaintainer: the lab <lab@localhost>\nDescription: empty\n' \
                "$package" > "$work/root/DEBIAN/control"
            chmod -R u=rwX,go=rX "$work/root"
            dpkg-deb --build "$work/root" "$work/package.deb" > /dev/null && dpkg --install "$work/package.deb" || exit 100
            rm -r "$work" ;;
        dnf)
            [ -n "$here" ] || fail "Error: Unable to find a match: $package"
            grep -qx "$package" $folder/rpms || echo "$package" >> $folder/rpms ;;
    esac
done
