"""Which of the connections that were sent on need the container, as the kernel's own tracking has them.

Of TCP those that are open, of UDP those over which something passed a moment ago. Where a service says how
much has to pass (`least` bytes in `window` seconds), those over which it does; a new one counts so long
anyway.
"""

from __future__ import annotations

import os

from wakeport.bypass.elements import Target, Way
from wakeport.light.collections import deque
from wakeport.loop import now
from wakeport.netlink import conntrack
from wakeport.netlink.connection import Netfilter
from wakeport.netlink.conntrack import ESTABLISHED, LIVE, SYN_SENT, Flow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

Ways = dict[Way, list[Target]]

SETTINGS = "/proc/sys/net/netfilter/nf_conntrack_"
PIECES = 16  # of a window: so much longer something may count


class Flows:
    """`clients` are those of the last look who need it, `silent` who else is connected, as texts.

    `quiet` is for how many seconds nothing had passed for each of the clients, None where that is not known.
    """

    def __init__(self, least: int, window: float) -> None:
        self.least = least
        self.window = window
        self.meters: dict[bytes, Meter] = {}
        self.clients: list[str] = []
        self.quiet: list[float | None] = []
        self.silent: list[str] = []

    def look(self, kernel: Netfilter, ways: Ways) -> None:
        """Raises OSError."""
        found = [(way, flow) for way, flow in _of(kernel, ways) if _is_live(way, flow)]
        at, meters = now(), self.meters
        self.meters = {flow.key: meters.get(flow.key) or Meter(at) for _, flow in found}
        self.clients, self.quiet, self.silent = [], [], []
        established = _seconds("tcp_timeout_established") if found else 0.0
        for _, flow in found:
            if not self.least or self.meters[flow.key].is_used(flow.passed, at, self.least, self.window):
                self.clients.append(_name(flow))
                is_open = flow.state == ESTABLISHED
                self.quiet.append(max(0.0, established - flow.left) if is_open else None)
            else:
                self.silent.append(_name(flow))


def forget(kernel: Netfilter, ways: Ways, which: Callable[[Way, Flow], bool]) -> None:
    """Have the kernel send what comes next over them where new connections go. Raises OSError."""
    conntrack.forget(kernel, [flow for way, flow in _of(kernel, ways) if which(way, flow)])


def whole(way: Way, flow: Flow) -> bool:
    """All that lead to a container that has ended; those of TCP that are over are known as such already."""
    return way.udp or flow.state in LIVE


def idle(way: Way, flow: Flow) -> bool:
    """Of UDP, those that the container sees as ended."""
    return way.udp and not _is_live(way, flow)


def unanswered(way: Way, flow: Flow) -> bool:
    """Those that may wait for somebody who is no more. Of UDP all: whoever goes on is a new client then."""
    return way.udp or flow.state == SYN_SENT


class Meter:
    """What has passed over one connection, as far back as it matters."""

    __slots__ = ("began", "marks")

    def __init__(self, began: float) -> None:
        self.began = began
        self.marks: deque[tuple[float, int]] = deque()

    def is_used(self, passed: int | None, at: float, least: int, window: float) -> bool:
        """Whether `least` bytes have passed in the last `window` seconds. Where nobody counts, it is."""
        if passed is None:
            return True
        if not self.marks or at - self.marks[-1][0] >= window / PIECES:
            self.marks.append((at, passed))
        while len(self.marks) > 1 and self.marks[1][0] <= at - window:
            self.marks.popleft()
        return at - self.began < window or passed - self.marks[0][1] >= least


def count_bytes() -> None:
    """Have the kernel count what passes; it counts for connections that begin afterwards."""
    fd = os.open(f"{SETTINGS}acct", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"1")
    finally:
        os.close(fd)


def _of(kernel: Netfilter, ways: Ways) -> list[tuple[Way, Flow]]:
    asked: dict[tuple[Target, int], list[Flow]] = {}
    found, seen = [], set()
    for way, targets in ways.items():
        for target in targets:
            key = (target, way.protocol)
            if key not in asked:  # several listeners may lead to one target
                asked[key] = conntrack.flows(kernel, *target, way.protocol)
            for flow in asked[key]:
                if flow.port == way.port and flow.key not in seen:
                    seen.add(flow.key)  # several may have the same port, at different addresses
                    found.append((way, flow))
    return found


def _is_live(way: Way, flow: Flow) -> bool:
    if not way.udp:
        return flow.state in LIVE
    kept = _seconds("udp_timeout_stream" if flow.assured else "udp_timeout")
    return kept - flow.left < way.flow_idle


def _seconds(setting: str) -> float:
    """How long the kernel keeps such a connection after its last packet."""
    with open(SETTINGS + setting, encoding="ascii") as file:
        return float(file.read())


def _name(flow: Flow) -> str:
    host, port = flow.client
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
