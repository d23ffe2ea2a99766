"""The way past the proxy to one container: put into the kernel, renewed, taken out, and who is on it.

Nothing here waits: the kernel answers at once. Whoever calls keeps the times.
"""

from __future__ import annotations

from wakeport.bypass.elements import Target, Way, bridge, packed
from wakeport.bypass.flows import Flows, Ways, count_bytes, forget, idle, unanswered, whole
from wakeport.bypass.surroundings import filtered_by, interface_to, old_tables
from wakeport.bypass.table import TABLE, VERSION
from wakeport.netlink.connection import Netfilter
from wakeport.netlink.nftables import Element, base_chains, change, counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

LOOPBACK = ("127.", "::1")
AT_ONCE = 100  # elements


class Passage:
    """`gated_by` is what filters INPUT, so that only those pass whom it has let in; else empty. `is_in` says
    whether all of it has been put in.

    All of it may raise OSError: FileNotFoundError where the table is not there.
    """

    def __init__(self, words: Iterable[str], allowed: Sequence[str], least: int, window: float) -> None:
        self.ways = [Way(word) for word in words]
        self.allowed = allowed
        self.kernel = Netfilter()
        self.flows = Flows(least, window)
        self.targets: Ways = {}
        self.before: Ways = {}
        self.bridges: set[str] = set()
        self.elements: list[Element] = []
        self.is_in = False
        self.gated_by = ""
        if least:
            count_bytes()

    def lead_to(self, targets: Mapping[str, Sequence[Target]]) -> None:
        """Where each of the container's ports answers now, by its name; nothing is put in yet."""
        self.targets = {}
        self.bridges = set()
        self.elements = []
        for way in self.ways:
            self.targets[way] = []
            for target in targets.get(way.key, ()):
                interface = interface_to(packed(target[0]))
                if not interface or target[0].startswith(LOOPBACK):
                    continue
                self.targets[way].append(target)
                self.bridges.add(interface)
                self.elements += way.elements(target, self.allowed)

    def renew(self) -> None:
        """Put all of it in, for a few seconds from now on."""
        self.gated_by = filtered_by(base_chains(self.kernel), old_tables())
        guarded = [way for way in self.ways if self.targets.get(way)]
        sets = (VERSION, "ports", "gated") if self.gated_by else (VERSION, "ports")
        guards = [way.guard(set_) for set_ in sets for way in guarded]
        wanted = [*guards, *map(bridge, sorted(self.bridges)), *self.elements]
        for some in _pieces(wanted):
            try:
                if not self.is_in:
                    change(self.kernel, TABLE, [], some)
                change(self.kernel, TABLE, some, some)
            except FileNotFoundError:
                # Some of it was not there to be taken out. What others rely on too is never away.
                change(self.kernel, TABLE, [], some)
                change(self.kernel, TABLE, some, some)
        self.is_in = True

    def close(self) -> None:
        """Send nobody on any more. Those who are on their way go on; what guards others ends by itself."""
        self.is_in = False
        self._take_out(self.elements)

    def succeed(self, targets: Mapping[str, Sequence[Target]]) -> None:
        """To a process that was killed. What it has put in is taken out by its keys, wherever it led.

        `targets` are those that it had. Who has no answer from there may wait for somebody who is no more.
        """
        for anywhere in ("0.0.0.0", "::"):  # as a family is told
            for way in self.ways:
                self._take_out(way.elements((anywhere, 0), self.allowed))
        self.before = {way: list(targets.get(way.key, ())) for way in self.ways}
        forget(self.kernel, self.before, unanswered)

    def _take_out(self, elements: list[Element]) -> None:
        for some in _pieces([one for one in elements if self._counted(one) is not None]):
            try:
                change(self.kernel, TABLE, some, [])
            except FileNotFoundError:
                for element in some:
                    self._take_one_out(element)

    def _take_one_out(self, element: Element) -> None:
        """Unless it has just ended by itself."""
        try:
            change(self.kernel, TABLE, [element], [])
        except FileNotFoundError:
            return

    def _counted(self, element: Element) -> int | None:
        """None where it is not there."""
        try:
            return counted(self.kernel, TABLE, element)
        except FileNotFoundError:
            return None

    def came(self) -> int:
        """How many connections were sent on since it was last renewed."""
        return sum(self._counted(element) or 0 for element in self.elements)

    def look(self) -> None:
        """At those who are on it, see `flows`."""
        self.flows.look(self.kernel, self.targets)

    def forget(self) -> None:
        """The container has ended, and the one before it: their addresses may be others' next."""
        for ways in (self.before, self.targets):
            forget(self.kernel, ways, whole)
        self.before = {}

    def forget_idle(self) -> None:
        """What comes next over flows of UDP that the container sees as ended begins a new one."""
        forget(self.kernel, self.targets, idle)


def _pieces(elements: list[Element]) -> Iterator[list[Element]]:
    for at in range(0, len(elements), AT_ONCE):
        yield elements[at : at + AT_ONCE]
