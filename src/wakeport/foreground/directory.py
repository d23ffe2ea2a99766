"""The private directory of one `wakeport try`: made, and removed, here and nowhere else."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from wakeport.errors import OutOfReach
from wakeport.place import SOCKET_PATH_MAX

PREFIX: Final = "wakeport-try-"
LONGEST: Final = "supervisor.notify"  # of the sockets in it
RATHER: Final = "/tmp"  # where TMPDIR is too long for the path of a socket


class Folder:
    """What is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state"
        self.words = path / "words"
        self.lease = path / "program.lease"
        self.journal = path / "journal"

    def notify(self, program: str) -> Path:
        return self.path / f"{program}.notify"


@contextlib.contextmanager
def made(words: Sequence[str]) -> Iterator[Folder]:
    """A directory that its owner alone may enter, with `words` in it as runtimes/process/begin.py reads
    them. Raises OutOfReach.
    """
    folder = Folder(_make())
    try:
        folder.state.mkdir()
        folder.words.write_bytes(b"".join(word.encode(errors="surrogateescape") + b"\0" for word in words))
        yield folder
    finally:
        remove(folder)


def remove(folder: Folder) -> None:
    """Also where somebody else removes it at this moment."""
    shutil.rmtree(folder.path, ignore_errors=True)


def _make() -> Path:
    """0700, mkdtemp(3)."""
    try:
        parent = Path(tempfile.gettempdir()).absolute()
        if len(str(parent / f"{PREFIX}{'x' * 8}" / LONGEST).encode()) > SOCKET_PATH_MAX:
            parent = Path(RATHER)
        return Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutOfReach(
            f"there is no directory for temporary files: {reason}", "name one: TMPDIR=/dev/shm wakeport try …"
        ) from None
