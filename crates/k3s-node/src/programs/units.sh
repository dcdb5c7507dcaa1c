# Hands over what tells how k3s is installed: units, their variables, configuration files. Only reads, and decides nothing.
put hostname "$(uname -n)"
put_file machine-id /etc/machine-id
[ ! -d /run/systemd/system ] || put systemd yes
names='k3s.service k3s-agent.service'
for file in "$units"/*.service; do
    case ${file##*/} in
    k3s.service | k3s-agent.service | *@.service | *[!A-Za-z0-9:_.-]*) ;;
    # One of the two under a second name is no other unit.
    *) [ "$file" -ef "$units/k3s.service" ] || [ "$file" -ef "$units/k3s-agent.service" ] || ! grep -qs k3s "$file" ||
        names="$names ${file##*/}" ;;
    esac
done
for name in $names; do
    put_file "unit:$name" "$units/$name"
    for file in "$units/$name.d"/*.conf; do
        put_file "dropin:$name:$file" "$file"
    done
    stem=${name%.service}
    systemctl show -p EnvironmentFiles "$name" 2>/dev/null | sed -n 's,^EnvironmentFiles=\(/.*\) (ignore_errors=[a-z]*)$,\1,p' | {
        cat
        printf '%s\n' "/etc/default/$stem" "/etc/sysconfig/$stem" "$units/$name.env"
    } | while IFS= read -r file; do
        put_file "variables:$file" "$file"
    done
done
put show "$(show $names)"

put_file "config:$config" "$config"
# k3s looks at the ends of their names without regard to case.
for file in "$config.d"/*.[Yy][Aa][Mm][Ll] "$config.d"/*.[Yy][Mm][Ll]; do
    put_file "config:$file" "$file"
done
put_file node-id /etc/rancher/node/id
[ ! -x "$binary" ] || put binary-version "$("$binary" --version 2>&1)"
