"""`python -m lab [COMMAND...]`: a fresh lab for one command, or for a shell."""

from __future__ import annotations

import shlex
import signal
import sys

from lab.images import CHANGES
from lab.machine import Lab, LabError

HINT = """\
A fresh machine: systemd is PID 1, Docker runs, wakeport is on PATH, images: {images}.
Nothing here outlives the shell. Try: docker create --name web nginx
"""


def main(arguments: list[str]) -> int:
    """Returns the command's exit code; 1 where the lab itself failed."""
    # A terminated lab goes down in order, as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Lab() as lab:
            for image in CHANGES:
                lab.load(image)
            if arguments in ([], ["shell"]):
                arguments = ["bash", "--login"]
                print(HINT.format(images=", ".join(CHANGES)), end="", file=sys.stderr)
            if sys.stdin.isatty():
                # The caller's terminal does not exist in the lab, and job control needs one that does.
                arguments = ["script", "--quiet", "--return", "-c", shlex.join(arguments), "/dev/null"]
            return lab.popen(arguments, stdin=None, stdout=None, stderr=None).wait()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
