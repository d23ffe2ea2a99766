"""Freezing what ends while it is frozen; that it works at all is tests/lab's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from wakeport.loop import Future, Loop
from wakeport.runtimes import freezer
from wakeport.runtimes.container import Container
from wakeport.runtimes.freezer import set_frozen
from wakeport.runtimes.problems import Refused
from wakeport.runtimes.systemd import machine
from wakeport.runtimes.systemd.machine import MachineRuntime


def test_a_group_that_goes_while_it_is_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could not be thawed again, and that ended the supervisor; the next one woke it for nobody."""
    (tmp_path / "group").mkdir()
    (tmp_path / "group/cgroup.freeze").write_text("0")

    def is_gone(directory: str) -> bool:
        shutil.rmtree(directory)
        return False

    monkeypatch.setattr(freezer, "is_frozen", is_gone)
    monkeypatch.setattr(freezer, "WITHIN", 0.01)
    loop = Loop()
    try:
        with pytest.raises(Refused):
            loop.run(set_frozen(loop, str(tmp_path / "group"), True))
    finally:
        loop.close()


def test_a_machine_that_is_killed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would never be frozen, and its clients waited five seconds for that."""

    async def never(_loop: Loop, _directory: str, _frozen: bool) -> None:
        await Future[None]()

    monkeypatch.setattr(machine, "set_frozen", never)
    monkeypatch.setattr(machine, "group_of", lambda _pid, own: "/somewhere")  # noqa: ARG005
    loop = Loop()
    runtime = MachineRuntime.__new__(MachineRuntime)
    runtime.loop = loop
    runtime.group = None  # type: ignore[assignment]
    container = Container.__new__(Container)
    with subprocess.Popen(["sleep", "60"]) as process:
        container.pid = process.pid
        loop.call_in(0.02, process.kill)
        try:
            with pytest.raises(Refused, match="it has ended"):
                loop.run(loop.within(20, runtime.freeze(container)))
        finally:
            process.kill()
            loop.close()
