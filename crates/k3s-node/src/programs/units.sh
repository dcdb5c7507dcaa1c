# Tells how k3s is installed. Only reads.
put hostname "$(uname -n)"
[ ! -d /run/systemd/system ] || put systemd yes
for name in k3s.service k3s-agent.service; do
    put_file "unit:$name" "$units/$name"
    put_file "env:$name" "$units/$name.env"
    for file in "$units/$name.d"/*.conf; do
        put_file "dropin:$name:$file" "$file"
    done
    put_file "default:$name" "/etc/default/${name%.service}"
    put_file "sysconfig:$name" "/etc/sysconfig/${name%.service}"
done
for file in "$units"/k3s*.service; do
    case ${file##*/} in
    k3s.service | k3s-agent.service | 'k3s*.service') ;;
    *) put "other:${file##*/}" x ;;
    esac
done
put show "$(show k3s.service k3s-agent.service)"

put_file "config:$config" "$config"
# k3s looks at the ends of their names without regard to case.
for file in "$config.d"/*.[Yy][Aa][Mm][Ll] "$config.d"/*.[Yy][Mm][Ll]; do
    put_file "config:$file" "$file"
done
put_file node-id /etc/rancher/node/id
[ ! -x "$binary" ] || put binary-version "$("$binary" --version 2>&1)"

