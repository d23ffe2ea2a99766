"""The parts of UDP by themselves: what the kernel says of a datagram, and the books kept of flows."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from wakeport.loop import Loop, now
from wakeport.proxy.udp import packet_info
from wakeport.proxy.udp.datagrams import KEPT_OVERHEAD, REGULARS, Datagrams
from wakeport.proxy.udp.flow import KEPT_BYTES, KEPT_MAX, Flow

IN, IN6 = socket.IPPROTO_IP, socket.IPPROTO_IPV6
KIND, KIND6 = packet_info.IP_PKTINFO, socket.IPV6_PKTINFO


def info(local: str, header: str, interface: int = 3) -> packet_info.Ancillary:
    return (IN, KIND, struct.pack("=i", interface) + socket.inet_aton(local) + socket.inet_aton(header))


def info6(header: str, interface: int = 3) -> packet_info.Ancillary:
    return (IN6, KIND6, socket.inet_pton(socket.AF_INET6, header) + struct.pack("=i", interface))


@pytest.mark.parametrize(
    ("came_with", "answered_with"),
    [
        ([info("192.0.2.1", "192.0.2.1")], [info("192.0.2.1", "0.0.0.0", 0)]),
        ([info("192.0.2.1", "192.0.2.255")], [info("192.0.2.1", "0.0.0.0", 0)]),
        ([info("0.0.0.0", "192.0.2.1", 0)], [info("192.0.2.1", "0.0.0.0", 0)]),
        ([info6("::ffff:192.0.2.1"), info("192.0.2.1", "192.0.2.1")], [info("192.0.2.1", "0.0.0.0", 0)]),
        ([info6("2001:db8::1")], [info6("2001:db8::1", 0)]),
        ([info6("::ffff:192.0.2.1")], [info6("::ffff:192.0.2.1", 0)]),
        ([info6("fe80::1", 7)], [info6("fe80::1", 7)]),
        ([info6("ff02::1")], []),
        ([], []),
    ],
    ids=[
        "IPv4",
        "broadcast",
        "before we asked",
        "IPv4 on [::]",
        "IPv6",
        "mapped",
        "link-local",
        "group",
        "-",
    ],
)
def test_an_answer_leaves_from_where_the_question_came_to(
    came_with: list[packet_info.Ancillary], answered_with: list[packet_info.Ancillary]
) -> None:
    assert packet_info.answers_from(packet_info.asked(came_with)) == answered_with


@given(st.binary(min_size=16, max_size=16), st.integers(1, 99), st.integers(1, 99))
def test_an_interface_counts_where_it_belongs_to_the_address(address: bytes, one: int, two: int) -> None:
    keys = {
        packet_info.asked([(IN6, KIND6, address + struct.pack("=i", interface))]) for interface in (one, two)
    }
    link_local = address[0] == 0xFE and 0x80 <= address[1] <= 0xBF
    assert len(keys) == (2 if link_local and one != two else 1)


@given(
    st.lists(
        st.tuples(st.sampled_from([IN, IN6, 1]), st.sampled_from([KIND, KIND6, 1]), st.binary(max_size=24))
    )
)
def test_whatever_the_kernel_says_there_is_an_answer(ancillary: list[packet_info.Ancillary]) -> None:
    address = packet_info.asked(ancillary)
    assert len(address) in (0, 4, 16, 20)
    for _, _, data in packet_info.answers_from(address):
        assert address in (data[4:8], data[:16], data)


@given(st.lists(st.integers(0, 65_507), max_size=100))
def test_a_flow_keeps_the_first_that_fit(sizes: list[int]) -> None:
    flow = Flow((("192.0.2.7", 5353), b""))
    kept = [size for size in sizes if flow.keep(bytes(size))]
    assert [len(data) for data in flow.kept] == kept
    assert len(kept) <= KEPT_MAX
    assert sum(kept) <= KEPT_BYTES
    assert sizes[:1] == kept[:1]


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("10.0.0.7", 53124), "10.0.0.7:53124/udp"),
        (("::ffff:10.0.0.7", 53124, 0, 0), "10.0.0.7:53124/udp"),
        (("2001:db8::7", 53124, 0, 0), "[2001:db8::7]:53124/udp"),
    ],
)
def test_a_flow_is_named_by_its_client(address: tuple[object, ...], text: str) -> None:
    assert str(Flow((address, b""))) == text


CAPACITY = 4
CLIENTS = 7
IDLE = 1000.0  # seconds


@pytest.fixture(autouse=True, scope="module")
def small_rounds() -> Iterator[None]:
    """So that a few datagrams are enough for what was kept to go in several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wakeport.proxy.udp.datagrams.KEPT_A_ROUND", 1)
        yield


class Books(RuleBasedStateMachine):
    """Datagrams with real sockets and any sequence of events: nothing is lost, counted twice or mixed up."""

    @initialize()
    def begin(self) -> None:
        self.loop = Loop()
        self.listener, self.target, self.elsewhere = (self.bound() for _ in range(3))
        self.clients = [self.bound() for _ in range(CLIENTS)]
        self.willing = True
        self.arrived: dict[int, int] = {}  # the last number that came from each flow's own port
        self.present: set[Flow] = set()
        self.number = 0
        self.datagrams = Datagrams(
            self.loop,
            self.listener,
            IDLE,
            self.present.add,
            self.present.remove,
            CAPACITY,
            may_wake=lambda _address: self.willing,
        )
        self.datagrams.open()

    @staticmethod
    def bound() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        return sock

    def turn(self) -> None:
        for _ in range(3):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    @rule(client=st.integers(0, CLIENTS - 1), count=st.integers(1, 3))
    def send(self, client: int, count: int) -> None:
        for _ in range(count):
            self.number += 1
            self.clients[client].sendto(b"%d" % self.number, self.listener.getsockname())
        self.turn()

    @rule(client=st.integers(0, CLIENTS - 1))
    def converse(self, client: int) -> None:
        for _ in range(2):
            self.send(client, 1)
            self.answer()

    @rule(elsewhere=st.booleans())
    def connect(self, elsewhere: bool) -> None:
        self.arrived.clear()  # a port that is given up may come back for another flow
        self.datagrams.connect((self.elsewhere if elsewhere else self.target).getsockname())
        self.turn()

    @rule()
    def disconnect(self) -> None:
        self.datagrams.disconnect()

    @rule()
    def refuse(self) -> None:
        self.datagrams.refuse()
        assert not self.datagrams.waiting

    @rule(willing=st.booleans())
    def filter(self, willing: bool) -> None:
        self.willing = willing

    @rule()
    def answer(self) -> None:
        for target in (self.target, self.elsewhere):
            while True:
                try:
                    data, flow = target.recvfrom(100)
                except BlockingIOError:
                    break
                assert int(data) > self.arrived.get(flow[1], 0)
                self.arrived[flow[1]] = int(data)
                target.sendto(data, flow)
        self.turn()

    @rule(silent=st.integers(0, CLIENTS - 1))
    def grow_idle(self, silent: int) -> None:
        flows = [flow for flow in self.present if flow.address == self.clients[silent].getsockname()]
        waiting = [flow for flow in flows if flow.kept]
        for flow in flows:
            flow.last = now() - IDLE
            flow.queue.move_to_end(flow, last=False)
        self.datagrams._expire()
        assert [flow for flow in flows if flow in self.present] == waiting

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "datagrams"):
            return
        books = self.datagrams
        assert set(books.flows.values()) == self.present
        assert len(books.flows) <= CAPACITY
        assert set(books.strangers) | set(books.regulars) == self.present
        assert len(books.strangers) + len(books.regulars) == len(self.present)
        assert len(books.regulars) <= CAPACITY * REGULARS
        assert all(flow.queue is queue for queue in (books.strangers, books.regulars) for flow in queue)
        assert set(books.waiting) == {flow for flow in self.present if flow.kept}
        assert books.kept_bytes == sum(
            flow.kept_bytes + KEPT_OVERHEAD * len(flow.kept) for flow in self.present
        )
        assert {flow.sock.getpeername() for flow in self.present if flow.sock is not None} <= {books.leads_to}
        assert books.target in (None, books.leads_to)
        assert len(self.loop.callbacks) == 1 + sum(flow.sock is not None for flow in self.present)
        assert (books.expiry is not None) or not self.present
        for flow in self.present:
            numbers = [int(data) for data in flow.kept]
            assert numbers == sorted(numbers)

    def teardown(self) -> None:
        if not hasattr(self, "datagrams"):
            return
        self.datagrams.disconnect()
        for flow in self.present:
            flow.disconnect(self.loop)
        self.turn()
        for sock in (self.listener, self.target, self.elsewhere, *self.clients):
            sock.close()
        self.loop.close()


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBooks = Books.TestCase


def test_regulars_leave_room_for_strangers() -> None:
    """Were all of the capacity theirs, each newcomer would push out the one before."""
    books = Books()
    books.begin()
    books.connect(elsewhere=False)
    for client in range(CAPACITY):
        books.converse(client)
    books.books_agree()
    assert [flow.address for flow in books.datagrams.strangers] == [books.clients[0].getsockname()]
    books.teardown()
