"""The rules of the house that a program can hold: linters, arrows between modules, what a wake imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "wakeport"

# Who may import whom: a part of the package, and the parts that it may lean on. Everything may use
# itself. The two halves of a wake stand on the modules of the ground floor, and know nothing
# of the command line; the command line may ask a runtime, and speak on a lease.
GROUND = {"light", "loop", "activation", "lease", "lease_connection", "lease_holder", "dbus"}
ARROWS: dict[str, set[str]] = {
    "light": set(),
    "loop": {"light"},
    "activation": {"light"},
    "dbus": set(),
    "lease": {"light"},
    "lease_connection": {"light", "lease", "loop"},
    "lease_holder": {"light", "lease", "lease_connection", "loop"},
    "proxy": GROUND | {"netlink"},
    "runtimes": GROUND,
    "netlink": {"light"},
    "bypass": {"light", "loop", "netlink"},
    "supervisor": GROUND | {"runtimes", "bypass"},
    "keep": {"light", "lease"},
}
WAKE_PATH = set(ARROWS)

# Costs at wake, in ms over a bare interpreter (measured): asyncio 43, http.client 26, dataclasses 14,
# tomllib 13, logging 12, subprocess 10, argparse 8, pathlib 9, typing 3.
BANNED = {"asyncio", "http", "dataclasses", "tomllib", "logging", "subprocess", "argparse", "pathlib"}
BANNED |= {"typing", "inspect", "threading", "shlex", "urllib", "email", "tempfile", "traceback"}

# Together 9 more, and wakeport/light has what is needed of them: not where a client waits.
SLOW = {"socket", "signal", "selectors", "enum", "json", "re", "contextlib", "collections", "functools"}
SLOW |= {"heapq", "types", "operator", "keyword"}

# What may be imported before the start call: nothing but what the interpreter has built in.
FIRST_ACT = {"_signal", "_socket", "posix", "sys", "time", "abc", "builtins", "codecs", "io", "marshal"}
FIRST_ACT |= {"zipimport", "encodings", "__future__"}


def _imports(path: Path) -> set[str]:
    """The parts of wakeport that a module imports, by their first name; "" is the package itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "wakeport":
                names = [f"wakeport.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("wakeport.")}
    return found - {"__version__"}


def _parts() -> dict[str, list[Path]]:
    parts: dict[str, list[Path]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        first = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        parts.setdefault(first, []).append(path)
    return parts


@pytest.mark.parametrize("part", sorted(ARROWS))
def test_the_wake_path_leans_on_nothing_but_its_ground_floor(part: str) -> None:
    for path in _parts()[part]:
        assert _imports(path) <= ARROWS[part] | {part}, path


def test_imports_point_one_way() -> None:
    """No two parts of the package import each other, directly or around a corner."""
    parts = _parts()
    below = {part: set().union(*map(_imports, paths)) - {part} for part, paths in parts.items()}
    standing: set[str] = set()
    while loose := {
        part for part in below if part not in standing and below[part] <= standing | {"__init__"}
    }:
        standing |= loose
    circle = {part: sorted(below[part] - standing) for part in below if part not in standing}
    assert not circle


def test_only_install_changes_the_system() -> None:
    """What writes files, makes users or removes things is in one place; the supervisor writes in /run, and
    `wakeport try` in a directory that it removes: see below.
    """
    writers = {
        path.relative_to(SOURCE).parts[0]
        for path in SOURCE.rglob("*.py")
        for call in (
            "os.replace",
            "os.rename",
            "os.unlink",
            "shutil.",
            ".write_text(",
            ".write_bytes(",
            ".unlink(",
        )
        if call in path.read_text()
    }
    assert writers <= {"install", "supervisor", "foreground"}


def test_a_trial_writes_in_a_directory_of_its_own_and_says_so_in_one_module() -> None:
    """`wakeport try` makes a temporary directory and removes it; nothing else of it touches a file."""
    writing = ("tempfile", "shutil.rm", "os.unlink", ".write_text(", ".write_bytes(", ".mkdir(", ".unlink(")
    writers = {
        path.name
        for path in (SOURCE / "foreground").glob("*.py")
        if any(call in path.read_text() for call in writing)
    }
    assert writers == {"directory.py"}


def test_only_install_and_one_trial_of_doctor_s_change_the_network() -> None:
    """Beside the supervisors: in the table of nftables that is wakeport's own."""
    changing = ("nftables.do(", 'run("ip"', '"ip",', "unshare(")
    changers = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if any(call in path.read_text() for call in changing)
    }
    assert changers == {"install/bypass_table.py", "forward_trial.py"}


def _modules_after(statement: str) -> set[str]:
    code = f"import sys; sys.path.insert(0, {str(SOURCE.parent)!r}); {statement}; print(*sys.modules)"
    done = subprocess.run(
        [_system_python(), "-IS", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return {name.split(".")[0] for name in done.stdout.split()} - {"wakeport", "__main__"}


def _system_python() -> str:
    """The interpreter that the units run; where there is none, ours."""
    return "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


def test_nothing_is_imported_before_the_start_call() -> None:
    begins = sorted(path.parent.name for path in (SOURCE / "runtimes").glob("*/begin.py"))
    first = ["supervisor.main", "supervisor.asking", "runtimes.choice"]
    first += [f"runtimes.{runtime}.begin" for runtime in begins]
    loaded = _modules_after(f"import {', '.join(f'wakeport.{one}' for one in first)}")
    assert {name for name in loaded if not name.startswith("_frozen")} - FIRST_ACT <= {
        "_abc",
        "_codecs",
        "_imp",
        "_io",
        "_thread",
        "_warnings",
        "_weakref",
    }


RUNTIMES = [
    f"runtimes.{path.parent.name}.runtime" for path in sorted((SOURCE / "runtimes").glob("*/runtime.py"))
]


@pytest.mark.parametrize(
    "half",
    [
        *(
            "supervisor.process",
            "bypass.passage",
            "proxy.main",
            "proxy.starter",
            "proxy.watch.watcher",
            "keep.main",
        ),
        *RUNTIMES,
    ],
)
def test_a_wake_imports_the_standard_library_alone_and_only_its_cheap_part(half: str) -> None:
    loaded = _modules_after(f"import wakeport.{half}")
    assert not loaded & (BANNED if half == "keep.main" else BANNED | SLOW)
    assert loaded <= set(sys.stdlib_module_names) | {"_frozen_importlib", "_frozen_importlib_external"}


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "ruff", "check", "."],
        [sys.executable, "-m", "ruff", "format", "--check", "."],
        [sys.executable, "-m", "mypy", "--no-error-summary"],
    ],
    ids=lambda command: " ".join(command[2:4]),
)
def test_linters_find_nothing(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def test_shellcheck_finds_nothing() -> None:
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file()] + [ROOT / ".ci" / "run"]
    shell = [str(path) for path in scripts if path.read_text().startswith("#!/bin/sh")]
    assert shell
    done = subprocess.run(["shellcheck", *shell], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout


def test_no_file_is_called_what_says_nothing() -> None:
    nothing = {"base", "common", "helpers", "manager", "misc", "utils"}
    found = [path for folder in ("src", "lab", "bench") for path in (ROOT / folder).rglob("*")]
    assert found
    assert [path for path in found if path.stem in nothing] == []


def test_no_file_has_grown_beyond_one_question() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("src", "lab", "bench")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := path.read_text().count("\n")) > 350
    }
    assert not long
