"""The UDP listeners of a service, as one: most services have none, and import nothing more."""

from __future__ import annotations

from wakeport.light import socket
from wakeport.loop import Loop
from wakeport.proxy.options import Listener

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from wakeport.proxy.admission.networks import Networks
    from wakeport.proxy.dialer import Address
    from wakeport.proxy.udp.datagrams import Datagrams
    from wakeport.proxy.udp.flow import Flow


class Flows:
    """`came` gets each new flow and `gone` each that is over; `asks` is called when one waits for a target.

    While there is none, `may_wake` says whether a new flow may begin to wait; after `hold_for` seconds of
    that it is dropped. Where the container `is_awake` all the same, as others know, rules keep nobody out.
    `allowed` are the networks from which new flows may come, whether it is or not (None: from all).
    """

    def __init__(
        self,
        loop: Loop,
        came: Callable[[Flow], None],
        gone: Callable[[Flow], None],
        asks: Callable[[], None],
        may_wake: Callable[[], bool],
        is_awake: Callable[[], bool],
        hold_for: float,
        allowed: Networks | None = None,
    ) -> None:
        self.loop = loop
        self.came = came
        self.gone = gone
        self.asks = asks
        self.may_wake = may_wake
        self.is_awake = is_awake
        self.hold_for = hold_for
        self.allowed = allowed
        self.listeners: list[tuple[str, Datagrams]] = []

    def add(self, sock: socket.socket, listener: Listener, capacity: int) -> None:
        """`capacity` is the number of flows. Raises RuleError where a rule makes no sense."""
        from wakeport.proxy.udp.datagrams import Datagrams

        may_wake = self._judging(listener) if listener.rules else lambda _address: self.may_wake()

        datagrams = Datagrams(
            self.loop,
            sock,
            listener.flow_idle,
            self.came,
            self.gone,
            capacity,
            self.asks,
            may_wake,
            self.hold_for,
            self.allowed,
        )
        self.listeners.append((listener.target, datagrams))

    def _judging(self, listener: Listener) -> Callable[[tuple[object, ...]], bool]:
        """A first datagram has no beginning to look at: only rules on its source can fit."""
        from wakeport.proxy.admission.rules import WAKE, Rules

        rules = Rules(listener.rules)
        return lambda address: (
            self.may_wake() and (rules.verdict(address, b"", True) == WAKE or self.is_awake())
        )

    @property
    def waiting(self) -> int:
        """How many flows wait for a target."""
        return sum(len(datagrams.waiting) for _, datagrams in self.listeners)

    def open(self) -> None:
        for _, datagrams in self.listeners:
            datagrams.open()

    def shut(self) -> None:
        for _, datagrams in self.listeners:
            datagrams.shut()

    def drain(self) -> None:
        for _, datagrams in self.listeners:
            datagrams.drain()

    def connect(self, targets: dict[str, Address]) -> None:
        """The container is awake. Who wants a port that it does not have is dropped."""
        for wanted, datagrams in self.listeners:
            target = targets.get(wanted, ())
            if len(target) == 2:
                datagrams.connect(target)
            else:
                datagrams.refuse()

    def disconnect(self) -> None:
        for _, datagrams in self.listeners:
            datagrams.disconnect()

    def refuse(self) -> None:
        for _, datagrams in self.listeners:
            datagrams.refuse()
