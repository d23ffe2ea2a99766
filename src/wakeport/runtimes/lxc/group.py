"""The cgroup that LXC makes for a container, beside the one of its monitor.

"/lxc.payload.web", "/lxc.payload.web-1" where the former is left over; below its unit's with
lxc.cgroup.relative. Before LXC 4 it was "/lxc/web".
"""

from __future__ import annotations

import re

PAYLOAD = re.compile(r"(?:/(?!\.\./)[^/]+)*?/lxc(?:\.payload\.|/)[^/]+(?=/|$)")
