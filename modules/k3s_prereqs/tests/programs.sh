# The programs of a node that the tests run against: each is the part after its `##` line. $SANDBOX is its root folder.

## systemctl
#!/bin/sh
. "$SANDBOX/state/common"
command=$1
for unit; do :; done
state=$SANDBOX/state
case $command in
show)
    echo "Id=$unit"
    if [ -f "$state/started" ]; then echo "ActiveState=active"; else echo "ActiveState=inactive"; fi
    if [ -f "$state/enabled" ]; then echo "UnitFileState=enabled"; else echo "UnitFileState=disabled"; fi
    exit 0
    ;;
status) echo "conf-kmsg.service: failed, says systemd"; exit 3 ;;
esac
count
case $command in
enable) touch "$state/enabled" ;;
restart)
    [ ! -f "$state/will-not-start" ] || exit 1
    grep -q '^ExecStart=.*kmsg' "$SANDBOX/etc/systemd/system/$unit" && ln -sf "$SANDBOX/dev/console" "$SANDBOX/dev/kmsg"
    touch "$state/started"
    ;;
esac

## apt-get
#!/bin/sh
. "$SANDBOX/state/common"
echo "$DEBIAN_FRONTEND $*" >>"$SANDBOX/state/calls"
case "$*" in
*update) [ ! -f "$SANDBOX/state/offline" ] || { echo "E: no network" >&2; exit 100; } ;;
*)
    [ ! -f "$SANDBOX/state/unknown" ] || { echo "E: Unable to locate package open-iscsi" >&2; exit 100; }
    [ ! -f "$SANDBOX/state/locked" ] || { echo "E: Could not get lock" >&2; exit 100; }
    [ -f "$SANDBOX/state/lies" ] || for word; do echo "$word" >>"$SANDBOX/state/packages"; done
    ;;
esac

## dnf
#!/bin/sh
. "$SANDBOX/state/common"
echo "$*" >>"$SANDBOX/state/calls"
[ ! -f "$SANDBOX/state/unknown" ] || { echo "Error: Unable to find a match: open-iscsi" >&2; exit 1; }
for word; do echo "$word" >>"$SANDBOX/state/packages"; done

## dpkg-query
#!/bin/sh
shift 3
status=0
for name; do
    if grep -qx "$name" "$SANDBOX/state/packages" 2>/dev/null; then echo "$name installed"; else status=1; fi
done
exit $status

## rpm
#!/bin/sh
grep -qx "$2" "$SANDBOX/state/packages" 2>/dev/null
