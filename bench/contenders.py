"""Who is compared: each can be prepared, woken by a client, and put back to sleep."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any, Protocol

from bench import recipe
from bench.ground import Ground
from bench.visit import Address, Visit, insist, visit

TARGET = 80  # nginx's own port

STATUS_WITHIN = 5.0  # seconds
STATUS_ROUNDS_TO = 0.001  # seconds

Stages = dict[str, float]  # seconds from the client's connect


class Contender(Protocol):
    """`label` is what the tables call it."""

    name: str
    label: str
    container: str

    @property
    def units(self) -> tuple[str, ...]:
        """Those that run for it while it is awake."""

    @property
    def address(self) -> Address | None:
        """The port that it holds while it sleeps; None where it holds none."""

    def prepare(self) -> None:
        """Set it up, asleep."""

    def wake(self) -> tuple[float, Stages]:
        """One cold request: the seconds to its first byte, and the stages if known. Raises Unserved."""

    def sleep(self) -> bool:
        """Put it to sleep, whatever state it is in; True where its port had to be opened again."""


class Bare:
    """Only the Engine: start the container, ask where it is, connect until it answers."""

    name = container = "bare"
    label = "bare start, Engine API"
    units: tuple[str, ...] = ()
    address = None

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def prepare(self) -> None:
        self.ground.lab.create(self.container)

    def wake(self) -> tuple[float, Stages]:
        began = time.monotonic()
        self.ground.engine.start(self.container)
        running = time.monotonic()
        insist(self.ground.lab, (self.ground.engine.address(self.container), TARGET))
        return time.monotonic() - began, {"running": running - began}

    def sleep(self) -> bool:
        self.ground.engine.stop(self.container)
        self.ground.rest(self.container, self.units)
        return False


class Recipe:
    """systemd-socket-proxyd, `docker start -a`, and a script that waits."""

    name = container = "recipe"
    label = "original recipe"
    units = ("recipe.service", "recipe-container.service")
    address = ("127.0.0.1", recipe.PORT)

    def __init__(self, ground: Ground) -> None:
        self.ground = ground

    def prepare(self) -> None:
        self.ground.lab.create(self.container, "--publish", f"{recipe.PUBLISHED}:{TARGET}")
        for path, text in recipe.FILES.items():
            self.ground.write(path, text, 0o755 if path == recipe.WAIT_SCRIPT else 0o644)
        self.ground.systemctl("daemon-reload")
        self.ground.systemctl("enable", "--now", "recipe.socket")

    def wake(self) -> tuple[float, Stages]:
        return visit(self.ground.lab, self.address).seconds, {}

    def sleep(self) -> bool:
        failed = self.ground.property("recipe.socket", "ActiveState") == "failed"
        # The socket too: the connections of a crowd that was not served lie in its
        # backlog, and each would start everything anew.
        self.ground.systemctl("stop", "recipe.socket", *self.units)
        self.ground.rest(self.container, self.units)
        self.ground.systemctl("reset-failed", "recipe.socket", *self.units)
        self.ground.systemctl("start", "recipe.socket")
        return failed


class Wakeport:
    """A service of ours in one of its two shapes, as `wakeport add` sets it up."""

    def __init__(self, ground: Ground, name: str, label: str, port: int, proxy: str) -> None:
        self.ground = ground
        self.name = self.container = name
        self.label = label
        self.address: Address = ("127.0.0.1", port)
        self.proxy = proxy
        self.socket = f"wakeport-{name}.socket"
        self.status = f"/run/wakeport/{name}/status.json"
        self.supervisor = f"wakeport-{name}-container.service"
        self.units = (f"wakeport-{name}.service", self.supervisor)

    def prepare(self) -> None:
        lab = self.ground.lab
        lab.create(self.container)
        lab.run(["wakeport", "add", self.name, "--listen", str(self.address[1]), "--proxy", self.proxy])

    def wake(self) -> tuple[float, Stages]:
        visited = visit(self.ground.lab, self.address)
        return visited.seconds, self._stages(visited)

    def sleep(self) -> bool:
        failed = self.ground.property(self.socket, "ActiveState") == "failed"
        if failed:
            self.ground.systemctl("reset-failed", self.socket, *self.units)
            self.ground.systemctl("start", self.socket)
        self.ground.systemctl("stop", *self.units)
        self.ground.rest(self.container, self.units)
        return failed

    def _stages(self, visited: Visit) -> Stages:
        """When the supervisor reached each stage, by its own stamps, in the client's time."""
        wake = self._wake_since(visited.at)
        began = wake["at"] - visited.at
        reached = {stage: began + seconds for stage, seconds in wake["stages"].items()}
        return {"process": began, **reached, "first byte": visited.seconds}

    def _wake_since(self, moment: float) -> dict[str, Any]:
        """`last_wake` of status.json, which the supervisor writes after it has told the proxy."""
        deadline = time.monotonic() + STATUS_WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                wake: dict[str, Any] | None = json.loads(self.ground.read(self.status))["last_wake"]
                if wake is not None and wake["at"] >= moment - STATUS_ROUNDS_TO:
                    return wake
            time.sleep(0.001)
        raise TimeoutError(f"{self.status} does not tell of the wake that a client has just seen")


class Dozing(Wakeport):
    """The same in its lighter sleep: frozen a moment after each client, and never stopped."""

    QUIET = 0.2  # seconds until it is frozen

    def prepare(self) -> None:
        lab = self.ground.lab
        lab.create(self.container)
        depths = [f"--doze={self.QUIET}", "--idle=infinity"]
        lab.run(["wakeport", "add", self.name, "--listen", str(self.address[1]), *depths])
        self.ground.networks_kept += 1
        visit(lab, self.address)
        self.sleep()

    def sleep(self) -> bool:
        self.ground.rest_frozen(self.container)
        return False


def contenders(ground: Ground) -> list[Contender]:
    """All of them, the yardstick first."""
    return [
        Bare(ground),
        Recipe(ground),
        Wakeport(ground, "web", "wakeport", 81, "wakeport"),
        Wakeport(ground, "classic", "wakeport, systemd-socket-proxyd", 82, "systemd-socket-proxyd"),
        Dozing(ground, "dozing", "wakeport, dozing", 83, "wakeport"),
    ]
