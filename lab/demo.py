"""The whole idea, where one can watch it: `scripts/demo`.

It runs on the machine's own systemd and Docker where both are there, else in a
lab. Names and the port are free ones, and everything is undone at the end.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lab import images
from lab.machine import Lab, LabError

# Seconds until it dozes, and until it is stopped: long enough to see, short enough to wait for.
DOZE, IDLE = 1, 5
WARM_REQUESTS = 50
ANSWER_WITHIN = 60.0  # seconds
COMES_WITHIN = 60.0  # seconds

REQUEST = b"GET / HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n"
WAKEPORT = Path(sys.executable).parent / "wakeport"


class Machine(NamedTuple):
    """Where the demo runs: this machine or a lab."""

    what: str
    run: Callable[[Sequence[str]], str]
    network: Callable[[], AbstractContextManager[None]]
    load: Callable[[str], None]


class DemoError(Exception):
    """What is, and what to type; two lines."""


def main() -> int:
    """The exit code: 0 when everything was shown and undone."""
    try:
        with _machine() as machine, _undone(machine) as name:
            _show(machine, name)
    except (DemoError, LabError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@contextmanager
def _machine() -> Iterator[Machine]:
    if Path("/run/systemd/system").is_dir() and _docker_answers():
        yield Machine(
            "this machine's own systemd and Docker Engine", _run_here, contextlib.nullcontext, _load_here
        )
        return
    _say("No systemd with a Docker Engine here, so a lab is booted: both, for real, in namespaces.")
    with Lab() as lab:
        yield Machine(
            "a lab that vanishes at the end",
            lambda command: lab.run(command).stdout,
            lab.network,
            lambda image: lab.load(image),
        )


def _docker_answers() -> bool:
    try:
        return (
            subprocess.run(["docker", "version"], capture_output=True, check=False, timeout=30).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run_here(command: Sequence[str]) -> str:
    found = [str(WAKEPORT), *command[1:]] if command[0] == "wakeport" else list(command)
    done = subprocess.run(found, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DemoError(f"`{' '.join(command)}` failed:\n{done.stderr.strip()}")
    return done.stdout


def _load_here(image: str) -> None:
    changes = [f"--change={change}" for change in images.CHANGES[image]]
    with images.archive(image) as file:
        subprocess.run(
            ["docker", "import", *changes, "-", "wakeport-demo"], stdin=file, check=True, capture_output=True
        )


@contextmanager
def _undone(machine: Machine) -> Iterator[str]:
    """A name for service and container; whatever the demo made of it is gone afterwards."""
    name = f"demo-{secrets.token_hex(3)}"
    in_lab = machine.run is not _run_here
    image = "nginx" if in_lab else "wakeport-demo"
    machine.load("nginx")
    machine.run(["docker", "create", "--name", name, image])
    try:
        yield name
    finally:
        _say("\nUndone:")
        with contextlib.suppress(DemoError, LabError):
            _tell(machine, "wakeport", "remove", name)
        machine.run(["docker", "rm", "--force", name])
        if not in_lab:
            machine.run(["docker", "rmi", image])
        _say(f"the container {name} is removed too")


def _show(machine: Machine, name: str) -> None:
    port = _free_port(machine)
    _say(f"On {machine.what}. An nginx container, created and never started:\n")
    _tell(machine, "docker", "ps", "--all", "--filter", f"name={name}", "--format", "{{.Names}}  {{.Status}}")
    _say("")
    depths = ["--doze", f"{DOZE}s", "--idle", f"{IDLE}s"]
    _tell(machine, "wakeport", "add", name, "--listen", str(port), *depths)

    _say("\nThe port is open, and no process of the service exists:\n")
    _tell(machine, "wakeport", "status", name)
    _say(f"  port {port}: {'open' if _listens(machine, port) else 'closed'}")
    _say(f"  processes: {_processes(machine, name)}")

    _say("\nThe first request wakes it:\n")
    began = time.time()
    first_byte = _request(machine, port)
    _show_division(began, first_byte, _last_wake(machine, name))

    warm = statistics.median(_request(machine, port) for _ in range(WARM_REQUESTS))
    _say(f"\nWarm, through the proxy: {warm * 1000:.2f} ms, the median of {WARM_REQUESTS} requests\n")
    _tell(machine, "wakeport", "status", name)
    _say(f"  processes: {_processes(machine, name)}")

    _say(f"\nNobody asks any more; after {DOZE} s it dozes, frozen, and uses no processor:\n")
    _watch(machine, name, "dozing")
    _say(f"  a request in the middle of that: first byte after {_request(machine, port) * 1000:.0f} ms")

    _say(f"\nAfter {IDLE} s without anybody it is stopped:\n")
    _watch(machine, name, "asleep")
    _say(f"  processes: {_processes(machine, name)}")
    _say("\nAnd the next request wakes it again:\n")
    _say(f"  first byte after {_request(machine, port) * 1000:.0f} ms")


def _show_division(began: float, first_byte: float, wake: dict[str, Any]) -> None:
    """Where the time went, from the client's connect on."""
    stages = wake["stages"]
    offset = wake["at"] - began
    marks = [
        ("start call", offset + stages["called"]),
        ("running", offset + stages["running"]),
        ("port open", offset + stages["ready"]),
        ("first byte", first_byte),
    ]
    before = 0.0
    for stage, at in marks:
        _say(f"  {stage:<12}{at * 1000:7.0f} ms   {'#' * max(1, round((at - before) * 200))}")
        before = at


def _watch(machine: Machine, name: str, until: str) -> None:
    """Say each state that it passes."""
    deadline = time.monotonic() + COMES_WITHIN
    shown = ""
    while time.monotonic() < deadline:
        line = machine.run(["wakeport", "status", name]).strip()
        state = line.split()[2]
        if state != shown:
            _say(f"  {line}")
            shown = state
        if state == until:
            return
        time.sleep(0.2)
    raise DemoError(f"{name} is not {until} after {COMES_WITHIN:g} s\nlook at: wakeport logs {name}")


def _status(machine: Machine, name: str) -> dict[str, Any]:
    services: list[dict[str, Any]] = json.loads(machine.run(["wakeport", "status", name, "--json"]))
    return services[0]


def _last_wake(machine: Machine, name: str) -> dict[str, Any]:
    """Its client has its answer a moment before the status tells of that."""
    deadline = time.monotonic() + COMES_WITHIN
    while time.monotonic() < deadline:
        wake: dict[str, Any] | None = _status(machine, name)["last_wake"]
        if wake is not None:
            return wake
    raise DemoError(f"nothing tells of the wake of {name}\nlook at: wakeport logs {name}")


def _request(machine: Machine, port: int) -> float:
    """Seconds from the connect to the first byte of a right answer."""
    began = time.monotonic()
    with machine.network():
        client = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_WITHIN)
    with client:
        client.sendall(REQUEST)
        answer = client.recv(1)
        seconds = time.monotonic() - began
        while piece := client.recv(65536):
            answer += piece
    if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(images.PAGE.encode()):
        raise DemoError(f"the answer is not nginx's page: {answer[:200]!r}\nlook at: wakeport logs")
    return seconds


def _free_port(machine: Machine) -> int:
    with machine.network(), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(machine: Machine, port: int) -> bool:
    # Read and not tried: a connection would wake the container.
    return f":{port} " in machine.run(["ss", "--listening", "--tcp", "--numeric", "--no-header"])


def _processes(machine: Machine, name: str) -> str:
    """The service's processes with their memory, read from their units."""
    found = []
    for what, unit in (
        ("proxy", f"wakeport-{name}.service"),
        ("supervisor", f"wakeport-{name}-container.service"),
    ):
        pid = machine.run(["systemctl", "show", "--value", "--property=MainPID", unit]).strip()
        if pid != "0":
            resident = int(machine.run(["ps", "-o", "rss=", "-p", pid]))
            found.append(f"{what} {resident / 1024:.1f} MiB")
    return ", ".join(found) or "none"


def _tell(machine: Machine, *command: str) -> None:
    _say(f"  $ {' '.join(command)}")
    for line in machine.run(command).splitlines():
        _say(f"  {line}")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
