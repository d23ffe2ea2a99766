"""One client of a UDP listener: what it has sent so far, and its own socket to the target."""

from __future__ import annotations

from wakeport.light import socket
from wakeport.loop import READ, Loop
from wakeport.proxy import leg
from wakeport.proxy.udp.packet_info import Ancillary, answers_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import OrderedDict
    from collections.abc import Callable

    # The address and port of a client, and the address that it asked.
    Key = tuple[tuple[object, ...], bytes]

# Who gets no answer asks again, ever more slowly: a resolver 3 times, a VPN every 5 s, a QUIC client with
# a few datagrams each time. In the 90 s that a wake may take, none of them comes to 64 datagrams; who
# sends more streams, and gains nothing from what is old by then.
KEPT_MAX = 64  # datagrams
KEPT_BYTES = 65_536  # the largest datagram fits: 65,507 bytes over IPv4, 65,527 over IPv6

# A burst from the target has to wait here while this process is busy: the kernel's default holds some 90
# datagrams of 1,200 bytes. It grants no more than net.core.rmem_max, and doubles that: 180 where nobody
# has raised it.
REPLIES_BUFFER = 1_048_576  # bytes


class Flow:
    """What one client sends to one address of the host. `str()` of it is as `10.0.0.7:53124/udp`.

    `last` is when something last passed, either way (seconds, monotonic). `answered` says that the client
    has been sent something; `queue` is where the listener's Datagrams hold it, by the time of `last`.
    """

    __slots__ = ("address", "answered", "kept", "kept_bytes", "key", "last", "queue", "replies_with", "sock")

    queue: OrderedDict[Flow, None]

    def __init__(self, key: Key) -> None:
        self.key = key
        self.address, asked = key
        self.replies_with: list[Ancillary] = answers_from(asked)
        self.answered = False
        self.last = 0.0
        self.kept: list[bytes] = []
        self.kept_bytes = 0
        self.sock: socket.socket | None = None  # only while there is a target

    def __str__(self) -> str:
        host = str(self.address[0]).removeprefix("::ffff:")
        return f"[{host}]:{self.address[1]}/udp" if ":" in host else f"{host}:{self.address[1]}/udp"

    def touch(self, moment: float) -> None:
        self.last = moment
        self.queue.move_to_end(self)

    def keep(self, data: bytes) -> bool:
        """Keep a datagram until there is a target; False where the flow has enough of them."""
        if len(self.kept) >= KEPT_MAX or self.kept_bytes + len(data) > KEPT_BYTES:
            return False
        self.kept.append(data)
        self.kept_bytes += len(data)
        return True

    def take_kept(self) -> list[bytes]:
        kept, self.kept, self.kept_bytes = self.kept, [], 0
        return kept

    def connect(self, loop: Loop, target: tuple[str, int], on_reply: Callable[[Flow], None]) -> None:
        """Open the socket to the target. A connected one hears nobody else, and tells flows apart.

        Raises OSError where there are no descriptors or ports left, or no route.
        """
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, REPLIES_BUFFER)
            sock.connect(target)
        except BaseException:
            sock.close()
            raise
        self.sock = sock
        loop.watch(sock.fileno(), READ, lambda _events: on_reply(self))

    def disconnect(self, loop: Loop) -> None:
        if self.sock is not None:
            leg.close(loop, self.sock)
            self.sock = None

    def send(self, data: bytes | memoryview) -> None:
        """Send a datagram to the target, or drop it.

        It does not wait where the kernel has no room: what is lost tells the sender to slow down, which
        waiting would hide from it, and would let one client's slow path delay the others.
        """
        assert self.sock is not None, "send comes after connect"
        try:
            self.sock.send(data)
        except BlockingIOError:
            return
        except OSError:
            # A target that restarts had refused an earlier one: the kernel tells of that by failing the
            # next call, which then sends nothing (udp(7)). This one may well arrive.
            try:
                self.sock.send(data)
            except OSError:
                return
