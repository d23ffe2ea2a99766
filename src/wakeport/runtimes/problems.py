"""What can go wrong with a runtime, said in one line that a person can act on."""

from __future__ import annotations


class RuntimeProblem(Exception):
    """The runtime did not do what was asked; `str()` of it is the reason."""


class Unreachable(RuntimeProblem):
    """The runtime itself does not answer."""


class Missing(RuntimeProblem):
    """There is no such container."""


class Refused(RuntimeProblem):
    """The runtime answered no. `status` is its own code, 0 where it gave none."""

    def __init__(self, reason: str, status: int = 0) -> None:
        super().__init__(reason)
        self.status = status
