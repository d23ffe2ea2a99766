"""The command line: one verb a file; each parses, calls, prints."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script `wakeport`."""
    try:
        from wakeport.cli.root import wakeport
        from wakeport.cli.telling import run
    except KeyboardInterrupt:
        # So early that nothing has begun.
        sys.exit(130)
    sys.exit(run(wakeport, sys.argv[1:]))
