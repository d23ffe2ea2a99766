"""What is told to a person when something does not work: what is, what to do, and an exit code.

The exit codes are part of the interface (wakeport(1), "Exit status"): scripts
tell a typing mistake from a port that is taken without reading any text.
"""

from __future__ import annotations


class Problem(Exception):
    """Something failed at work. `fact` says what is, `hint` what to do; one line each."""

    code = 1

    def __init__(self, fact: str, hint: str = "") -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint


class BadInput(Problem):
    """What was typed or written makes no sense; nothing was changed."""

    code = 2


class NotThere(Problem):
    """No service, or no container, of that name."""

    code = 3


class NoRights(Problem):
    """The caller may not do this."""

    code = 4


class InTheWay(Problem):
    """A port that is taken, a file that is another's, a client that is being served."""

    code = 5


class OutOfReach(Problem):
    """systemd or the container runtime does not answer."""

    code = 6
