"""The PROXY protocol's header: what a proxy says of its client before the client's own first byte.

Both versions, both ways: https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt
"""

from __future__ import annotations

import struct

from wakeport.light import socket
from wakeport.proxy.admission.networks import pack, unpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wakeport.proxy.door import Client

LINE_MAX = 107  # bytes of version 1, its CRLF included; section 2.1
HEADER_MAX = 4096  # bytes of version 2 that we wait for; addresses take 52, the rest is for TLVs, and skipped

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"  # section 2.2
_START = struct.Struct("!12sBBH")  # signature, version and command, family and protocol, bytes that follow
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _TCP4, _TCP6 = 0x00, 0x11, 0x21
# Family above, protocol below; what is valid and not TCP has addresses that say nothing about our client.
_FAMILIES, _PROTOCOLS = range(4), range(3)

Endpoint = tuple[str, int]  # host, as inet_ntop(3) writes it, and port


class Malformed(ValueError):
    """What came is no header; the connection must be dropped (section 2)."""


class Header:
    """`length` is in bytes. `source` and `destination` are None where the sender speaks for itself (a health
    check), or has no address to tell: then those of the connection hold.
    """

    __slots__ = ("destination", "length", "source")

    def __init__(
        self, length: int, source: Endpoint | None = None, destination: Endpoint | None = None
    ) -> None:
        self.length = length
        self.source = source
        self.destination = destination


def introduce(client: Client, target: socket.socket, version: str) -> None:
    """Tell the target who comes, before the client's first byte."""
    try:
        target.send(header_for(client, version))  # a hundred bytes fit into an empty buffer
    except OSError:
        return  # the target has gone again, and the relay finds that too


def header_for(client: Client, version: str) -> bytes:
    """What the target is told of `client` before anything else; `version` is `v1` or `v2`."""
    if not isinstance(client.address, tuple):
        return encode(version, None, None)
    source = (str(client.address[0]), int(client.address[1]))
    return encode(version, source, client.destination or client.sock.getsockname()[:2])


def encode(version: str, source: Endpoint | None, destination: Endpoint | None) -> bytes:
    """The header. Without both addresses, or with two of different families, it says that none is known."""
    if source is not None and destination is not None:
        ends = pack(source[0]), pack(destination[0])
        if len(ends[0]) == len(ends[1]):
            write = _version_1 if version == "v1" else _version_2
            return write(*ends, source[1], destination[1])
    return b"PROXY UNKNOWN\r\n" if version == "v1" else _START.pack(SIGNATURE, _LOCAL, _UNSPECIFIED, 0)


def _version_1(source: bytes, destination: bytes, source_port: int, destination_port: int) -> bytes:
    family = "TCP4" if len(source) == 4 else "TCP6"
    hosts = f"{unpack(source)} {unpack(destination)}"
    return f"PROXY {family} {hosts} {source_port} {destination_port}\r\n".encode()


def _version_2(source: bytes, destination: bytes, source_port: int, destination_port: int) -> bytes:
    addresses = source + destination + struct.pack("!HH", source_port, destination_port)
    family = _TCP4 if len(source) == 4 else _TCP6
    return _START.pack(SIGNATURE, _PROXY, family, len(addresses)) + addresses


def parse(first: bytes) -> Header | None:
    """The header with which these bytes begin, None while it is not whole. Raises Malformed."""
    if first.startswith(SIGNATURE[:1]):
        return _parse_version_2(first)
    return _parse_version_1(first)


def _parse_version_1(first: bytes) -> Header | None:
    start = b"PROXY "
    if not first.startswith(start[: len(first)]):
        raise Malformed("no PROXY header")
    line, ended, _rest = first[:LINE_MAX].partition(b"\r\n")
    if not ended:
        if len(first) >= LINE_MAX or b"\n" in line:
            raise Malformed("a PROXY line without its end")
        return None
    length = len(line) + len(ended)
    family, *words = line[len(start) :].split(b" ")
    if family == b"UNKNOWN":
        return Header(length)
    if family not in (b"TCP4", b"TCP6") or len(words) != 4:
        raise Malformed("a PROXY line of other words")
    hosts = [_host(word, six=family == b"TCP6") for word in words[:2]]
    ports = [_port(word) for word in words[2:]]
    return Header(length, (hosts[0], ports[0]), (hosts[1], ports[1]))


def _host(word: bytes, six: bool) -> str:
    if (b":" in word) != six or b"%" in word:
        raise Malformed("an address of another family")
    try:
        return unpack(pack(word.decode("ascii")))
    except ValueError as error:
        raise Malformed(str(error)) from None


def _port(word: bytes) -> int:
    # No sign, no blank, no leading zero; int() takes all of them.
    if not word.isdigit() or (word[:1] == b"0" and word != b"0") or len(word) > 5 or int(word) > 0xFFFF:
        raise Malformed("no port")
    return int(word)


def _parse_version_2(first: bytes) -> Header | None:
    if not first.startswith(SIGNATURE[: len(first)]):
        raise Malformed("no PROXY header")
    if len(first) < _START.size:
        return None
    _signature, command, family, follows = _START.unpack_from(first)
    if command not in (_LOCAL, _PROXY):
        raise Malformed("another version, or an unknown command")
    if family >> 4 not in _FAMILIES or family & 0xF not in _PROTOCOLS:
        raise Malformed("an unknown family or protocol")
    length = _START.size + follows
    if length > HEADER_MAX:
        raise Malformed(f"a header of {length} bytes")
    if len(first) < length:
        return None
    size = {_TCP4: 4, _TCP6: 16}.get(family, 0) if command == _PROXY else 0
    if not size:
        return Header(length)
    if follows < 2 * size + 4:
        raise Malformed("no room for the addresses of that family")
    addresses = first[_START.size : _START.size + 2 * size + 4]
    ports = struct.unpack_from("!HH", addresses, 2 * size)
    return Header(
        length,
        (unpack(addresses[:size]), ports[0]),
        (unpack(addresses[size : 2 * size]), ports[1]),
    )
