"""The cgroup that systemd-nspawn makes for what runs in the machine, beside its own ("supervisor")."""

from __future__ import annotations

import re

PAYLOAD = re.compile(r"(?:/(?!\.\./)[^/]+)*/[^/]+\.service/payload(?=/|$)")
