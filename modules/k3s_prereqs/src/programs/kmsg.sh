# Puts the unit in place, has it start with the container, and starts it now.
take_turn
name=conf-kmsg.service
if [ -f "$units/$name" ] && [ "$(cat "$units/$name" && echo x)" != "${unit_text}x" ]; then
    mkdir -p "$folder" && chmod 700 "$folder" && cp "$units/$name" "$folder/$name.before" || die "keeping the present $name failed"
fi
write "$units/$name" 644 "$unit_text"
systemctl daemon-reload || die "systemd did not read its units again"
systemctl enable --quiet "$name" || die "enabling $name failed"
systemctl restart "$name" || die "starting $name failed: $(systemctl status --no-pager --lines 5 "$name" 2>&1 | tail -n 5)"
(: </dev/kmsg) || die "$name was started, but /dev/kmsg cannot be opened"
