"""The original recipe, as its readers would write it down, with its flaws: three units and a script."""

from __future__ import annotations

from typing import Final

PORT: Final = 80
PUBLISHED: Final = 8080

WAIT_SCRIPT: Final = "/usr/local/bin/recipe-wait"

FILES: Final = {
    "/etc/systemd/system/recipe.socket": f"""\
[Socket]
ListenStream={PORT}

[Install]
WantedBy=sockets.target
""",
    "/etc/systemd/system/recipe.service": f"""\
[Unit]
Requires=recipe-container.service
After=recipe-container.service

[Service]
ExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:{PUBLISHED}
""",
    "/etc/systemd/system/recipe-container.service": f"""\
[Service]
ExecStart=/usr/bin/docker start -a recipe
ExecStartPost={WAIT_SCRIPT}
ExecStop=/usr/bin/docker stop recipe
""",
    WAIT_SCRIPT: f"""\
#!/bin/sh
for attempt in $(seq 600); do
    nc -z 127.0.0.1 {PUBLISHED} && exit 0
    sleep 0.1
done
exit 1
""",
}
