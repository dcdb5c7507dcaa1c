# Runs the install script as if it were the first time, with all that it forgets given again; then puts back what
# it does not carry. `inputs` is the beginning of its program: exports, and role and arguments as "$@".
take_turn
[ -f "$folder/install.sh" ] || die "the install script is gone from $folder: run this again"
{
    printf '%s\n' "$inputs"
    cat "$folder/install.sh"
} | /bin/sh -s
status=$?
if [ "$status" != 0 ]; then
    # It may be the script's own fault: the next run fetches it again.
    rm -f "$folder/install.sh.source"
    exit "$status"
fi
[ "$keep_env" != yes ] || write "$units/$unit.env" 600 "$env_text"
[ "$enabled" = yes ] || systemctl disable "$unit" >/dev/null 2>&1
systemctl daemon-reload || die "systemctl daemon-reload failed"
settle "$units"
