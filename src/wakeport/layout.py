"""Where everything is kept on a machine, for the services of one manager."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wakeport.scope import SYSTEM, Scope


class Layout:
    """The paths below `root`, which is for tests: what units say to each other never contains it."""

    def __init__(self, root: Path = Path("/"), scope: Scope = SYSTEM) -> None:
        self.root = root
        self.scope = scope
        self.configuration = self._at(scope.configuration)
        self.units = self._at(scope.units)
        self.programs = self._at(scope.programs)
        self.run = self._at(scope.run)

    def settings(self, service: str) -> Path:
        return self.configuration / f"{service}.toml"

    def unit(self, name: str) -> Path:
        return self.units / name

    def drop_ins(self, name: str) -> Path:
        return self.units / f"{name}.d"

    def drop_ins_beside(self, name: str) -> list[Path]:
        """Every drop-in called `name`, whose ever unit it is for."""
        return sorted(_listed(self.units, f"*.d/{name}"))

    def lease(self, service: str) -> Path:
        return self.run / f"{service}.lease"

    def state(self, service: str) -> Path:
        """The directory in which the supervisor of `service` keeps what it publishes and remembers."""
        return self.run / service

    def status(self, service: str) -> Path:
        return self.state(service) / "status.json"

    def services(self) -> list[str]:
        """The names of all services that have settings, sorted."""
        return sorted(path.stem for path in _listed(self.configuration, "*.toml"))

    def unit_files(self) -> list[Path]:
        """All units that carry our prefix, whoever wrote them."""
        units = _listed(self.units, "wakeport-*")
        return sorted(path for path in units if path.suffix in (".socket", ".service", ".timer"))

    def program_copies(self) -> list[Path]:
        return sorted(path for path in _listed(self.programs, "*") if path.is_dir())

    def may_be_left(self) -> list[Path]:
        """Directories that a person's own machine may not have had before, from the inside out."""
        return [self._at(path) for path in self.scope.made]

    def _at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def inside(self, path: Path) -> str:
        """`path` as the machine itself sees it, without `root`."""
        return f"/{path.relative_to(self.root)}"


def _listed(directory: Path, pattern: str) -> Iterator[Path]:
    return directory.glob(pattern) if directory.is_dir() else iter(())
