"""A client with an address of its own: a network namespace beside the lab's, and a cable between the two.

What comes from 127.0.0.1, or from any address of the lab's own, does not pass the rules for packets that come
in (prerouting of nftables and iptables). What comes from here does.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from lab.machine import Lab
from lab.network import network_at

# `nodad`: an address of IPv6 could otherwise be used only after a second. The routes lead whatever else the
# client asks for through the lab, which is what a router between them would do.
_MAKE: Final = """
ip netns add {name}
ip link add {cable} type veth peer name eth0 netns {name}
ip address add {host4}/24 dev {cable}
ip address add {host6}/64 dev {cable} nodad
ip link set {cable} up
ip -n {name} address add {own4}/24 dev eth0
ip -n {name} address add {own6}/64 dev eth0 nodad
ip -n {name} link set lo up
ip -n {name} link set eth0 up
ip -n {name} route add default via {host4}
ip -n {name} -6 route add default via {host6}
"""

# The cable apart: a namespace, and what is in it, outlives its name for as long as a process is there.
_DROP: Final = """
ip link delete {cable}
ip netns delete {name}
"""


class Client:
    """`with Client(lab) as client:` plugs it in and takes it away again.

    `host4` and `host6` are the lab's addresses as it sees them, `own4` and `own6` its own. Another name of at
    most twelve letters, and another number, make another client beside it.
    """

    def __init__(self, lab: Lab, name: str = "visitor", number: int = 99) -> None:
        self.lab = lab
        self.name = name
        self.cable = f"to-{name}"
        self.host4, self.own4 = (f"10.{number}.0.{last}" for last in (1, 2))
        self.host6, self.own6 = (f"fd{number:02}::{last}" for last in (1, 2))

    def __enter__(self) -> Self:
        try:
            self.lab.run(["sh", "-ec", _MAKE.format_map(vars(self))])
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave nothing of it; nothing to do where the lab went down, which took it along."""
        if self.lab.running:
            self.lab.run(["sh", "-c", _DROP.format_map(vars(self))], check=False)

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        input: str | None = None,  # noqa: A002 - subprocess.run's own word
        check: bool = True,
        timeout: float | None = 60.0,
    ) -> subprocess.CompletedProcess[str]:
        """As the lab's own, in the client's network; the files are the lab's."""
        return self.lab.run(self._inside(argv), input=input, check=check, timeout=timeout)

    def popen(
        self, argv: Sequence[str | Path], *, stdin: int | IO[Any] | None = subprocess.DEVNULL
    ) -> subprocess.Popen[Any]:
        """As the lab's own, in the client's network."""
        return self.lab.popen(self._inside(argv), stdin=stdin)

    def network(self) -> AbstractContextManager[None]:
        """Make sockets that are the client's: those that the calling thread opens in this block."""
        return network_at(self.lab.root / "run/netns" / self.name)

    def _inside(self, argv: Sequence[str | Path]) -> list[str | Path]:
        return ["ip", "netns", "exec", self.name, *argv]
