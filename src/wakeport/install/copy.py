"""How the programs come to stand in /usr/local/lib/wakeport, and go again."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from wakeport.errors import Problem
from wakeport.install import files
from wakeport.layout import Layout
from wakeport.programs import Programs, cache_tag, compiled, directory_name, read_copy


def ensure(layout: Layout, programs: Programs, python: str) -> Path | None:
    """Make the copy of `programs` stand, compiled by the interpreter that will run it.

    The copy that was made, None where it stood already. Raises Problem.
    """
    copy = layout.programs / directory_name(programs)
    if copy.is_dir() and read_copy(copy) == programs and compiled(copy, cache_tag(python)):
        return None
    files.make_directory(layout.programs)
    staging = Path(tempfile.mkdtemp(prefix=".new-", dir=layout.programs))
    try:
        staging.chmod(0o755)
        for name, content in programs.items():
            files.write(staging / name, content)
        _compile(staging, layout.inside(copy), python)
        if copy.is_dir():
            shutil.rmtree(copy)
        staging.rename(copy)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return copy


def _compile(directory: Path, final: str, python: str) -> None:
    # Unchecked: at a wake not even the sources' times are looked at. Tracebacks name the final place.
    command = [python, "-IS", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(directory), "-p", final, str(directory)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022)
    except FileNotFoundError:
        fact = f"there is no {python}, which the units run"
        raise Problem(fact, "install it: apt install python3") from None
    if done.returncode != 0:
        said = " ".join((done.stdout + done.stderr).split())
        fact = f"{python} cannot compile wakeport's programs: {said}"
        raise Problem(fact, "wakeport needs Python 3.10 or newer")


def remove_unused(layout: Layout, in_use: Callable[[str], bool]) -> None:
    """Remove every copy of whose path `in_use` says no."""
    for copy in layout.program_copies():
        if not in_use(layout.inside(copy)):
            shutil.rmtree(copy)
    files.remove_empty(layout.programs)


def runs(directory: str) -> bool:
    """Whether a process runs from the copy `directory`: it may yet import some of its modules."""
    prefix = f"{directory}/".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                arguments = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue  # it ended while we looked
            if any(argument.startswith(prefix) for argument in arguments[:4]):
                return True
    return False
