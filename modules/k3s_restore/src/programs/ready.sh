# One look at a server that is coming up. Only reads.
put show "$(show "$unit")"
put readyz "$("$binary" kubectl --request-timeout=5s get --raw /readyz 2>/dev/null </dev/null)"
put end ""
