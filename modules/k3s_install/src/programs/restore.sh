# Puts unit and environment file back as the record has them, and takes away a unit that the script added. Restarts
# nothing.
take_turn
# It was the script's fault, or may have been: the next run fetches it again.
rm -f "$folder/install.sh.source"
if [ -n "$intruder" ]; then
    systemctl disable "$intruder" >/dev/null 2>&1
    rm -f "$units/$intruder" "$units/$intruder.env"
fi
[ "$keep_env" != yes ] || write "$units/$unit.env" 600 "$env_text"
write "$units/$unit" 644 "$unit_text"
if [ "$enabled" = yes ]; then
    systemctl enable "$unit" >/dev/null 2>&1
else
    systemctl disable "$unit" >/dev/null 2>&1
fi
systemctl daemon-reload || die "systemctl daemon-reload failed"
settle "$units"
