"""The cgroup that LXC makes for a container, beside the one of its monitor.

"/lxc.payload.web", "/lxc.payload.web-1" where the former is left over; below its unit's with
lxc.cgroup.relative. Before LXC 4 it was "/lxc/web".
"""

from __future__ import annotations

from wakeport.runtimes.cgroup import OwnGroup

PREFIX = "lxc.payload."


def _is_payload(parts: list[str]) -> bool:
    return (parts[-1].startswith(PREFIX) and parts[-1] != PREFIX) or parts[-2:-1] == ["lxc"]


PAYLOAD = OwnGroup(_is_payload, outermost=True)
