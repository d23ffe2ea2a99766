"""A container as Docker tells of it, for tests of what is made of that."""

from __future__ import annotations

from typing import Any, Final

NEVER_STARTED: Final[dict[str, Any]] = {
    "Id": "abc",
    "Name": "/web",
    "State": {
        "Running": False,
        "Paused": False,
        "Pid": 0,
        "ExitCode": 0,
        "StartedAt": "0001-01-01T00:00:00Z",
    },
    "Config": {"ExposedPorts": {"80/tcp": {}}},
    "HostConfig": {"NetworkMode": "default", "RestartPolicy": {"Name": "no"}},
    "NetworkSettings": {"Networks": {}},
}
