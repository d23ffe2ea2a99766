"""How the programs come to stand where the units run them, and go again."""

from __future__ import annotations

import stat
import sys

import pytest

from tests.unit.hosts import TestHost, bring, web
from wakeport import programs
from wakeport.errors import Problem
from wakeport.install import copy, files


def test_the_copy_is_compiled_and_imports_nothing_from_elsewhere(host: TestHost) -> None:
    made = copy.ensure(host.layout, programs.collect(), sys.executable)
    assert made is not None
    assert programs.compiled(made, programs.cache_tag(sys.executable))
    assert copy.ensure(host.layout, programs.collect(), sys.executable) is None
    assert programs.directory_name(programs.read_copy(made)) == made.name
    assert {path.name for path in made.iterdir()} >= {"proxy.py", "starter.py", "supervisor.py", "wakeport"}
    assert not (made / "wakeport/cli").exists()
    for path in made.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o755 if path.is_dir() else 0o644)


def test_an_edited_copy_is_made_anew(host: TestHost) -> None:
    made = copy.ensure(host.layout, programs.collect(), sys.executable)
    assert made is not None
    (made / "proxy.py").write_text("print('hello')")
    assert copy.ensure(host.layout, programs.collect(), sys.executable) == made
    assert programs.read_copy(made) == programs.collect()


def test_an_old_copy_goes_when_no_unit_names_it(host: TestHost) -> None:
    old = host.layout.programs / "0.0.9-00000000"
    files.write(old / "proxy.py", b"")
    bring(host, web())
    assert not old.exists()


def test_an_old_copy_stays_while_a_process_runs_from_it(host: TestHost) -> None:
    old = host.layout.programs / "0.0.9-00000000"
    files.write(old / "proxy.py", b"")
    host.runs_from = host.layout.inside(old)
    bring(host, web())
    assert old.exists()


def test_a_python_that_cannot_compile_leaves_no_copy(host: TestHost) -> None:
    with pytest.raises(Problem, match="cannot compile"):
        copy.ensure(host.layout, programs.collect(), "/bin/false")
    assert list(host.layout.programs.iterdir()) == []


# --- files and the lock ---
