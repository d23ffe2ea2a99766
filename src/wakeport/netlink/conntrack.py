"""The connections that the kernel tracks: those that lead to one target, and how they are forgotten.

linux/netfilter/nfnetlink_conntrack.h. Since 5.8 the kernel picks those that answer from a place out of all;
an older one shows all, and they are picked here.
"""

from __future__ import annotations

import struct

from wakeport.light import socket
from wakeport.netlink.connection import Netfilter
from wakeport.netlink.messages import (
    ACK,
    DUMP,
    FOUR,
    SIX,
    U8,
    U16,
    U32,
    U64,
    Attributes,
    Malformed,
    attribute,
    attributes,
    family_body,
    message,
    nested,
    number,
)

SUBSYSTEM = 1  # NFNL_SUBSYS_CTNETLINK
GET, DELETE = SUBSYSTEM << 8 | 1, SUBSYSTEM << 8 | 2  # IPCTNL_MSG_CT_*

ORIGINAL, REPLY, STATUS, PROTOCOL_INFO, TIMEOUT = 1, 2, 3, 4, 7  # CTA_*
COUNTERS_ORIGINAL, COUNTERS_REPLY, ID, FILTER = 9, 10, 12, 25
TUPLE_IP, TUPLE_PROTOCOL = 1, 2  # CTA_TUPLE_*
SOURCE = {FOUR: 1, SIX: 3}  # CTA_IP_V4_SRC, CTA_IP_V6_SRC
PROTOCOL, SOURCE_PORT, DESTINATION_PORT = 1, 2, 3  # CTA_PROTO_*
TCP_INFO, TCP_STATE = 1, 1  # CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE
BYTES = 2  # CTA_COUNTERS_BYTES
FILTER_ORIGINAL, FILTER_REPLY = 1, 2  # CTA_FILTER_*_FLAGS

# By source address, protocol and source port: CTA_FILTER_F_*, net/netfilter/nf_conntrack_netlink.c. Of an
# address of IPv6 it picks all the others (6.18; ctnetlink_filter_match_tuple), so that is left to us.
BY_SOURCE = {FOUR: 1 << 0 | 1 << 3 | 1 << 4, SIX: 1 << 3 | 1 << 4}

ASSURED, DST_NAT = 1 << 2, 1 << 5  # IPS_ASSURED, IPS_DST_NAT

# From SYN_SENT to CLOSE_WAIT, linux/netfilter/nf_conntrack_tcp.h: one side may have closed already, and
# still read. TIME_WAIT and CLOSE are over, and stay for minutes.
LIVE = range(1, 6)
SYN_SENT, ESTABLISHED = 1, 3

MACHINE_U32 = struct.Struct("=I")


class Flow:
    """`client` has sent to `port`, and `source` is where the answers come from: address and port.

    `left` is how many seconds the kernel keeps it without a further packet, `passed` how many bytes it has
    counted both ways, None where it does not count.
    """

    __slots__ = (
        *("assured", "client", "family", "id", "key", "left", "original", "passed", "port"),
        *("sent_on", "source", "state"),
    )

    def __init__(self, family: int, said: Attributes) -> None:
        original, reply = attributes(said.get(ORIGINAL, b"")), attributes(said.get(REPLY, b""))
        asked, answers = (
            attributes(original.get(TUPLE_PROTOCOL, b"")),
            attributes(reply.get(TUPLE_PROTOCOL, b"")),
        )
        self.client = (
            _address(family, attributes(original.get(TUPLE_IP, b"")).get(SOURCE[family])),
            number(U16, asked.get(SOURCE_PORT)),
        )
        self.port = number(U16, asked.get(DESTINATION_PORT))
        self.source = (
            _address(family, attributes(reply.get(TUPLE_IP, b"")).get(SOURCE[family])),
            number(U16, answers.get(SOURCE_PORT)),
        )
        status = number(U32, said.get(STATUS))
        self.sent_on, self.assured = bool(status & DST_NAT), bool(status & ASSURED)
        info = attributes(attributes(said.get(PROTOCOL_INFO, b"")).get(TCP_INFO, b""))
        self.state = number(U8, info.get(TCP_STATE))
        self.left = number(U32, said.get(TIMEOUT))
        self.passed = _passed(said)
        self.family = family
        self.original = nested(ORIGINAL, said.get(ORIGINAL, b""))
        self.id = attribute(ID, said.get(ID, b""))
        self.key = self.id + self.original


def flows(kernel: Netfilter, address: str, port: int, protocol: int) -> list[Flow]:
    """Those that were sent on to a target (IPPROTO_TCP or _UDP), whatever their state. Raises OSError."""
    family, wanted = _wanted(address, port, protocol)
    found = []
    for body in kernel.ask(message(GET, DUMP, kernel.next(), family, *wanted)):
        flow = Flow(family, family_body(body))
        if flow.sent_on and flow.source == (address, port):
            found.append(flow)
    return found


def forget(kernel: Netfilter, gone: list[Flow]) -> None:
    """What comes next over them is new, and goes where something new goes. Raises OSError."""
    for flow in gone:
        sequence = kernel.next()
        try:
            kernel.do(message(DELETE, ACK, sequence, flow.family, flow.original, flow.id), sequence)
        except FileNotFoundError:
            continue  # the kernel has forgotten it by itself


def _wanted(address: str, port: int, protocol: int) -> tuple[int, list[bytes]]:
    family = SIX if ":" in address else FOUR
    packed = socket.inet_pton(socket.AF_INET6 if family == SIX else socket.AF_INET, address)
    answers = nested(
        REPLY,
        nested(TUPLE_IP, attribute(SOURCE[family], packed)),
        nested(
            TUPLE_PROTOCOL,
            attribute(PROTOCOL, U8.pack(protocol)),
            attribute(SOURCE_PORT, U16.pack(port)),
        ),
    )
    picked = nested(
        FILTER,
        attribute(FILTER_ORIGINAL, MACHINE_U32.pack(0)),
        attribute(FILTER_REPLY, MACHINE_U32.pack(BY_SOURCE[family])),
    )
    return family, [answers, picked]


def _address(family: int, packed: bytes | None) -> str:
    if packed is None:
        return ""
    if len(packed) != (16 if family == SIX else 4):
        raise Malformed(f"an address of {len(packed)} bytes")
    return socket.inet_ntop(socket.AF_INET6 if family == SIX else socket.AF_INET, packed)


def _passed(said: Attributes) -> int | None:
    if COUNTERS_ORIGINAL not in said:
        return None
    return sum(
        number(U64, attributes(said.get(counters, b"")).get(BYTES))
        for counters in (COUNTERS_ORIGINAL, COUNTERS_REPLY)
    )
