"""The Docker Engine of a lab, asked from outside: no process is started to measure one."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

ANSWER_WITHIN = 30.0  # seconds


class Engine:
    """One connection that is kept, so that a start call costs what it costs and no more."""

    def __init__(self, path: Path) -> None:
        self._connection = _OverUnix(str(path))

    def close(self) -> None:
        self._connection.close()

    def start(self, container: str) -> None:
        self._call("POST", f"/containers/{container}/start")

    def stop(self, container: str) -> None:
        self._call("POST", f"/containers/{container}/stop")

    def is_running(self, container: str) -> bool:
        """Also waits for what the Engine does after a stop: it answers only when that is done."""
        return bool(self._inspect(container)["State"]["Running"])

    def is_frozen(self, container: str) -> bool:
        return bool(self._inspect(container)["State"]["Paused"])

    def address(self, container: str) -> str:
        networks = self._inspect(container)["NetworkSettings"]["Networks"]
        return str(networks["bridge"]["IPAddress"])

    def version(self) -> str:
        return str(self._call("GET", "/version")["Version"])

    def _inspect(self, container: str) -> Any:
        return self._call("GET", f"/containers/{container}/json")

    def _call(self, method: str, path: str) -> Any:
        self._connection.request(method, path)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"Docker answered {answer.status} to {method} {path}: {body.decode()}")
        return json.loads(body) if body.strip() else None


class _OverUnix(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=ANSWER_WITHIN)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
