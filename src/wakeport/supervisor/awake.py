"""What a wake leads to: a container that runs, and when it reached each stage."""

from __future__ import annotations

from wakeport.loop import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.runtimes.container import Container, Target
    from wakeport.supervisor.chronicle import Output


class Stamps:
    """When each stage of a wake was reached, on the monotonic clock; 0 where it was not."""

    def __init__(self, began: float, called: float) -> None:
        self.began = began
        self.called = called
        self.running = 0.0
        self.ready = 0.0


class Awake:
    """A container that runs: whether it is ours, where it answers, and what ends with it.

    `woken` says that it did not run before this wake.
    """

    def __init__(self, container: Container, owned: bool, ended: Task[None], output: Output) -> None:
        self.container = container
        self.owned = owned
        self.ended = ended
        self.output = output
        self.woken = True
        self.targets: dict[str, Target] = {}
