"""A machine below a directory of the test: real files, a systemd and an account that note what is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wakeport import facts, units
from wakeport import service as services
from wakeport.errors import Problem
from wakeport.install.account import Account
from wakeport.install.apply import apply
from wakeport.install.host import Host
from wakeport.install.plan import Plan, plan
from wakeport.layout import Layout
from wakeport.network_programs import Nftables
from wakeport.place import Place
from wakeport.service import Service
from wakeport.systemd import Systemd
from wakeport.written import write


class NotedSystemd(Systemd):
    """Notes what it is asked; `fails` makes one verb fail."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: Callable[[str], bool] = lambda _asked: False
        self.main_pid = "0"

    def _do(self, verb: str, *arguments: str, known: Any = frozenset()) -> str:  # noqa: ARG002
        asked = " ".join([verb, *(argument for argument in arguments if argument != "--quiet")])
        if verb == "show":
            return "".join(f"Id={unit}\nMainPID={self.main_pid}\n\n" for unit in arguments[2:])
        self.asked.append(asked)
        if self.fails(asked):
            raise Problem(f"{asked} failed")
        return ""


class NotedAccount(Account):
    def __init__(self) -> None:
        self.there = False

    def ensure(self) -> bool:
        made, self.there = not self.there, True
        return made

    def remove(self) -> bool:
        gone, self.there = self.there, False
        return gone


class NotedNftables(Nftables):
    def __init__(self) -> None:
        self.done: list[str] = []

    def do(self, commands: str) -> None:
        self.done.append(commands)


class TestHost(Host):
    __test__ = False

    def __init__(self, root: Path) -> None:
        self.systemd: NotedSystemd
        self.nftables: NotedNftables
        super().__init__(Layout(root), NotedSystemd(), NotedAccount(), NotedNftables())
        self.silent = False
        self.held = [Place(port) for port in (80, 81, 8080)]
        self.runs_from = ""

    def runs(self, directory: str) -> bool:
        return directory == self.runs_from

    def listening(self) -> list[Place]:
        return [] if self.silent else self.held


def web(on: str = "80", to: int = 80, **settings: Any) -> Service:
    return services.build("web", {**settings, "listener": [{"on": on, "to": to}]})


def bring(host: TestHost, service: Service) -> Plan:
    known = facts.machine(host.layout, service, None)
    settings: str | None = write(service)
    if host.layout.settings(service.name).exists():
        host.layout.settings(service.name).write_text(write(service))
        settings = None
    intended = plan(host.layout, service.name, units.units(service, known), settings)
    apply(host, service, intended, units.supervisor_command(service, known))
    return intended


def tree(root: Path) -> dict[str, str]:
    """Every file below `root` with its content, but for compiled ones."""
    return {
        str(path.relative_to(root)): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }
