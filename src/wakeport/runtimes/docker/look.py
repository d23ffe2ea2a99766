"""What the command line sees of a container over the Engine API, whoever speaks that."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from wakeport.loop import Loop
from wakeport.runtimes.docker.begin import SOCKET
from wakeport.runtimes.docker.container import CONNECT, KEPT_APART, Inspected, unreachable_network
from wakeport.runtimes.docker.engine import TITLE, Engine, quoted
from wakeport.runtimes.problems import Missing, Refused, RuntimeProblem

T = TypeVar("T")

NO_SUCH_IMAGE = 404


def asked(question: Callable[[Engine], Coroutine[Any, Any, T]], path: str = SOCKET, title: str = TITLE) -> T:
    """The answer to one question. Raises RuntimeProblem."""
    loop = Loop()
    try:
        return loop.run(question(Engine(loop, path, title)))
    finally:
        loop.close()


def look_at(
    name: str, path: str = SOCKET, title: str = TITLE, inspected: type[Inspected] = Inspected
) -> Inspected:
    """Raises RuntimeProblem."""
    try:
        return inspected(asked(lambda engine: engine.inspect(name), path, title))
    except Missing:
        raise Missing(f"there is no container {name}") from None


def why_unreachable(
    found: Inspected, path: str = SOCKET, title: str = TITLE, connect: str = CONNECT
) -> str | None:
    """Why the host can never reach it; None where it can, or where nobody can tell."""
    try:
        drivers = asked(lambda engine: engine.drivers(found.networks), path, title)
    except RuntimeProblem:
        drivers = {}
    return unreachable_network(found.network_mode, drivers, connect)


def subnets(found: Inspected, path: str = SOCKET, title: str = TITLE) -> list[tuple[str, str]]:
    """Of the networks that it is on, and that the host can reach: each with its gateway, or ""."""
    try:
        return asked(lambda engine: _subnets(engine, found.networks), path, title)
    except RuntimeProblem:
        return []


async def _subnets(engine: Engine, networks: Iterable[str]) -> list[tuple[str, str]]:
    found = []
    for name in networks:
        told = await engine.call("GET", f"/networks/{quoted(name)}")
        if told["Driver"] not in KEPT_APART:
            ranges = (told.get("IPAM") or {}).get("Config") or []
            found += [(one["Subnet"], one.get("Gateway") or "") for one in ranges if one.get("Subnet")]
    return found


def has_image(name: str, path: str = SOCKET, title: str = TITLE) -> bool:
    """Raises RuntimeProblem."""
    try:
        asked(lambda engine: engine.call("GET", f"/images/{quoted(name)}/json"), path, title)
    except Refused as problem:
        if problem.status != NO_SUCH_IMAGE:
            raise
        return False
    return True
