"""Whether FORWARD lets through what is sent past the proxy: tried, with a packet that nobody gets.

This is the one act of `wakeport doctor` that makes something: for a moment there is another machine, as far
as the kernel is concerned (a network namespace without a name, and a cable to it), and a table of nftables
that sends what comes from there to the container, as wakeport's own does, and drops it behind all filters.
Namespace and cable go with this process, however it ends; the table goes with the trial, or where somebody
kills that with -9, with the next one: it is about the cable alone, and without that does nothing.

A rule that goes by the interface or by the address that a client comes from sees another one than it would.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from wakeport.errors import Problem
from wakeport.network_programs import Nftables, run

NAME: Final = "wakeport-doctor"  # of the table, and of this end of the cable: at most 15 bytes, IFNAMSIZ

# For documentation (RFC 5737, RFC 3849), so nobody's: this end, the other, and the bits of their network.
ENDS: Final = {4: ("198.51.100.1", "198.51.100.2", 30), 6: ("2001:db8:77::1", "2001:db8:77::2", 126)}

HARDWARE: Final = "02:00:5e:00:53:01"  # the address of this end, of those that belong to nobody

ARRIVES_WITHIN: Final = 5.0  # seconds; a guard, it takes none
OTHERS_END_WITHIN: Final = 5.0  # seconds; a trial is over in less than one
LOOK_EVERY: Final = 0.02  # seconds
SEND_EVERY: Final = 0.1  # seconds; what is sent in the moment in which a cable comes up may be lost

CLONE_NEWNET: Final = 0x40000000  # man 2 unshare; os.unshare came with Python 3.12
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Way(NamedTuple):
    """From the port of a listener to where the container answers, or would."""

    protocol: str  # tcp, udp
    port: int
    address: str
    to: int

    @property
    def family(self) -> int:
        return 6 if ":" in self.address else 4


def passes(way: Way, nftables: Nftables) -> bool:
    """Whether a first packet came through. Root alone may ask. Raises Problem where it cannot be tried."""
    with _machine_beside() as machine, _table(way, nftables), _connected(machine, way.family):
        sent: list[socket.socket] = []
        last = -SEND_EVERY
        until = time.monotonic() + ARRIVES_WITHIN
        while True:
            arrived, passed = _counted(nftables)
            if passed:
                return True
            # Who has arrived is on its way through the filters. It was the end of the first where a second
            # one has arrived.
            if arrived > 1:
                return False
            if time.monotonic() > until:
                raise Problem(
                    f"the trial's packets have not come as far as NAT within {ARRIVES_WITHIN:.0f} s",
                    "a filter in front of it, or rp_filter, drops them: nft list ruleset",
                )
            if arrived >= len(sent) or time.monotonic() - last >= SEND_EVERY:
                last = time.monotonic()
                sent.append(machine.submit(_send, way).result())
            time.sleep(LOOK_EVERY)


def commands(way: Way) -> str:
    """Those that make the table. What cannot be sent on is dropped too: it would wake the service."""
    here, there, _ = ENDS[way.family]
    family = "ip" if way.family == 4 else "ip6"
    target = f"{way.address} : {way.to}" if way.family == 4 else f"[{way.address}] : {way.to}"
    ours = f'iifname "{NAME}" {family} daddr {here} meta l4proto {way.protocol} th dport {way.port}'
    table = f"inet {NAME}"
    return "\n".join(
        [
            *(f"add table {table}", f"delete table {table}"),  # of a trial that was killed
            *(f"add table {table}", f"add counter {table} arrived", f"add counter {table} passed"),
            # Before wakeport's own chain, see bypass/table.py.
            f"add chain {table} prerouting {{ type nat hook prerouting priority dstnat - 20; }}",
            f"add rule {table} prerouting {ours} counter name arrived dnat {family} to {target}",
            f"add chain {table} input {{ type filter hook input priority -300; }}",
            f"add rule {table} input {ours} drop",
            # Behind all filters of others, and before the chains that give clients another address.
            f"add chain {table} postrouting {{ type filter hook postrouting priority srcnat - 5; }}",
            f"add rule {table} postrouting ct original {family} saddr {there} counter name passed drop",
        ]
    )


@contextlib.contextmanager
def _table(way: Way, nftables: Nftables) -> Iterator[None]:
    try:
        nftables.do(commands(way))
        yield
    finally:
        with _undisturbed(), contextlib.suppress(Problem):
            nftables.do(f"delete table inet {NAME}")


@contextlib.contextmanager
def _machine_beside() -> Iterator[ThreadPoolExecutor]:
    """What is run in its thread happens there: that thread alone is moved. The cable is laid, and dead.

    There is one of that name at a time: it keeps two trials apart.
    """
    with ThreadPoolExecutor(1) as machine:
        try:
            machine.submit(_leave_the_network).result()
        except OSError as error:
            raise Problem(f"no network namespace can be made: {error.strerror}", "see unshare(2)") from None
        try:
            _lay_cable(machine)
            yield machine
        finally:
            with _undisturbed(), contextlib.suppress(Problem):
                machine.submit(run, "ip", "link", "delete", "eth0").result()


def _lay_cable(machine: ThreadPoolExecutor) -> None:
    until = time.monotonic() + OTHERS_END_WITHIN
    words = ["link", "add", "eth0", "type", "veth", "peer", "name", NAME, "address", HARDWARE]
    words += ["netns", str(os.getpid())]
    while True:
        try:
            machine.submit(run, "ip", *words).result()
        except Problem as problem:
            if "File exists" not in problem.fact or time.monotonic() > until:
                raise
            time.sleep(LOOK_EVERY)
        else:
            return


@contextlib.contextmanager
def _connected(machine: ThreadPoolExecutor, family: int) -> Iterator[None]:
    """Dead again before the table goes: what the machine would send again then would wake the service."""
    here, there, bits = ENDS[family]
    nodad = ["nodad"] if family == 6 else []  # else the address could be used only after a second
    try:
        run("ip", "address", "add", f"{here}/{bits}", "dev", NAME, *nodad)
        run("ip", "link", "set", NAME, "up")
        machine.submit(run, "ip", "address", "add", f"{there}/{bits}", "dev", "eth0", *nodad).result()
        machine.submit(run, "ip", "link", "set", "eth0", "up").result()
        # Without that it would ask for it first, and again only after a second.
        neighbour = [here, "lladdr", HARDWARE, "dev", "eth0", "nud", "permanent"]
        machine.submit(run, "ip", "neighbour", "add", *neighbour).result()
        yield
    finally:
        with _undisturbed(), contextlib.suppress(Problem):
            run("ip", "link", "set", NAME, "down")


def _leave_the_network() -> None:
    """Raises OSError. Signals are for the other thread, and for no program that is run here."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _send(way: Way) -> socket.socket:
    """The first packet of a connection that will not come about; to be kept until it has arrived."""
    family = socket.AF_INET if way.family == 4 else socket.AF_INET6
    kind = socket.SOCK_STREAM if way.protocol == "tcp" else socket.SOCK_DGRAM
    sender = socket.socket(family, kind | socket.SOCK_NONBLOCK)
    sender.connect_ex((ENDS[way.family][0], way.port))
    if way.protocol == "udp":
        with contextlib.suppress(OSError):
            sender.send(b"")
    return sender


def _counted(nftables: Nftables) -> tuple[int, int]:
    """How many have arrived, and passed."""
    listed = nftables.listed("counters", "table", "inet", NAME)
    packets = {entry["counter"]["name"]: int(entry["counter"]["packets"]) for entry in listed}
    return packets["arrived"], packets["passed"]


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep interrupts for later: one here would leave something behind. What runs meanwhile inherits that."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
