"""How a file is written and removed: whole or not at all, with its right mode from the start."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put `content` at `path`, atomically and durably; directories above it are made, 0755.

    A reader sees the old file or the new one. Raises OSError; then nothing has changed.
    """
    make_directory(path.parent)
    fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(fd, mode)
            os.fsync(fd)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_directory(path: Path) -> None:
    """`path` and what is missing above it, 0755 whatever the umask of the person is."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        one.chmod(0o755)


def remove(path: Path) -> None:
    """Remove a file, and the directory of drop-ins that would be empty without it."""
    path.unlink(missing_ok=True)
    if path.parent.name.endswith(".d"):
        remove_empty(path.parent)


def remove_empty(path: Path) -> None:
    """Remove the directory `path` where nothing is left in it."""
    if path.is_dir() and not any(path.iterdir()):
        path.rmdir()
