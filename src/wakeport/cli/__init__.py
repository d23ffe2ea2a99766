"""The command line: one verb a file; each parses, calls, prints."""

from __future__ import annotations

import sys

from wakeport.cli.root import wakeport
from wakeport.cli.telling import run

__all__ = ["main"]


def main() -> None:
    """The console script `wakeport`."""
    sys.exit(run(wakeport, sys.argv[1:]))
