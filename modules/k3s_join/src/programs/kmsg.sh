# The kubelet reads /dev/kmsg, which a container does not have; /dev is made anew at each boot. Not before the default
# dependencies: journald would open it, and never rest.
take_turn
write "$units/conf-kmsg.service" 644 "[Unit]
Description=Make /dev/kmsg, which the kubelet reads
Before=k3s.service k3s-agent.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '[ -e /dev/kmsg ] || ln -s /dev/console /dev/kmsg'

[Install]
WantedBy=multi-user.target
"
systemctl daemon-reload || die "systemd did not read its units again"
systemctl enable --quiet --now conf-kmsg.service || die "conf-kmsg.service cannot be started"
