"""What every runtime can do, for whoever reads or checks types; nothing imports this at a wake.

A runtime is a package of this name beside this file, with three modules:

    begin.py    begin(name): the first act of a wake, before anything is imported
    runtime.py  Runtime: below
    host.py     what the command line has to know of it: ADVICE, the units that its supervisor starts AFTER
                and WANTS, look(name), why_unreachable(container), journal(name), passed_to(name)

What is on a bridge network of its own has there also subnets(container), of the networks that it is on.

One that can give each connection a container has two more: see per_connection.py beside this file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from wakeport.runtimes.container import Container, Target


class Begun(Protocol):
    """The calls that begin.py has made, whose answers are still to be read."""


class Runtime(Protocol):
    """One container, by its name. Every call may raise Unreachable, Missing or Refused.

    `asked` says whether it was asked to start it: that may yet happen, whatever came of the call.
    `has_thawed` says whether the last start found it frozen.
    """

    asked: bool
    has_thawed: bool

    async def start(self) -> bool:
        """Finish the start that was begun, or make it. False where it ran already; one frozen is thawed."""

    async def look(self, name: str = "") -> Container: ...

    async def exists(self, container_id: str) -> bool: ...

    async def targets(self, container: Container, ports: list[str]) -> dict[str, Target]:
        """Where each of `ports` answers: "80/tcp" at the container's address, "/app.sock" on the host."""

    def behind(self, container: Container, port: str, target: Target) -> Target:
        """Where `port` is listened on in the container's own network, for what answers at `target`. Another
        place where somebody in between takes every connection, before anything listens behind it.
        """

    async def freeze(self, container: Container) -> None:
        """Take the processor from all its processes; nothing to do where that is so."""

    async def thaw(self, container: Container) -> None:
        """Go on with it where `freeze` stopped it; nothing to do where it runs."""

    async def stop(self, container: Container) -> None:
        """Stop it, frozen or not, and return when it has stopped; nothing to do where it is gone."""

    async def ended(self, container: Container) -> None:
        """Return when it has ended, at once."""

    async def end(self, container: Container) -> Container:
        """How it ended."""

    async def start_watcher(self, unit: str) -> None:
        """Start a unit of wakeport's; asked of those alone whose containers accept their clients."""

    async def changes(self, tell: Callable[[str], None]) -> None:
        """Tell all that happens to it, in the words of changes.py, until the runtime goes."""

    def detach(self) -> None:
        """What is copied of its output is to begin earlier than the start that was begun."""

    async def copy_output(self, container: Container, since: float, to: int) -> None:
        """Copy its output from `since` (epoch seconds) on to descriptor `to`, to its or the runtime's end."""

    def output_facts(self) -> dict[str, Any]:
        """What a newer self needs to go on with the copy that is under way, as JSON has it: `fd`, which is to
        be kept open, and whatever else. Empty where there is none.
        """

    def go_on_with_output(self, facts: dict[str, Any]) -> None:
        """Go on with it in the next `copy_output`; with none where `facts` are empty."""

    async def execute(self, command: str) -> int:
        """The exit code of `command` run inside it, without a shell; its output is dropped."""
