# Tells which of our files are there, and whether k3s is. Only reads.
if [ -f "$units/k3s.service" ] || [ -f "$units/k3s-agent.service" ]; then put installed yes; fi
[ ! -x "$binary" ] || put binary-version "$("$binary" --version 2>&1)"
put_file config "$config_file"
put_file registries "$registries_file"
put end ''
