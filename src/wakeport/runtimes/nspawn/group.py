"""The cgroup that systemd-nspawn makes for what runs in the machine, beside its own ("supervisor")."""

from __future__ import annotations

from wakeport.runtimes.cgroup import OwnGroup, is_service


def _is_payload(parts: list[str]) -> bool:
    return parts[-1] == "payload" and is_service(parts[:-1])


PAYLOAD = OwnGroup(_is_payload)
