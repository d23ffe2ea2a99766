from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from wakeport import ports
from wakeport.place import Place

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue retrnsmt uid timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12
   2: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 13
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 14
"""
UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01    15 /run/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03    16 /run/connected.sock
0000000000000000: 00000002 00000000 00010000 0001 01    17 @abstract
0000000000000000: 00000002 00000000 00000000 0002 01    18
"""


UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer
   1: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 19 2 0 0
   2: 0100007F:D431 0100007F:0035 01 00000000:00000000 00:00000000 00000000     0        0 20 2 0 0
"""


@pytest.mark.skipif(sys.byteorder != "little", reason="the samples are of a little-endian machine")
def test_the_kernel_s_tables() -> None:
    assert ports.parse_ports(TCP) == [(Place(8080, "127.0.0.1"), 11), (Place(80, "0.0.0.0"), 12)]
    assert ports.parse_ports(TCP6) == [(Place(81, "::1"), 14)]
    assert ports.parse_ports(UDP, udp=True) == [(Place(53, "127.0.0.1", udp=True), 19)]
    assert ports.parse_unix(UNIX) == [(Place(path="/run/a b.sock"), 15)]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_udp_port_is_held_by_whoever_takes_from_anybody(family: socket.AddressFamily) -> None:
    here = "127.0.0.1" if family == socket.AF_INET else "::1"
    with (
        socket.socket(family, socket.SOCK_DGRAM) as server,
        socket.socket(family, socket.SOCK_DGRAM) as client,
    ):
        server.bind((here, 0))
        port = server.getsockname()[1]
        client.connect((here, port))
        held = {held.place: held.inode for held in ports.listening()}
        assert ports.holder(held[Place(port, here, udp=True)]).startswith(("python", "pytest"))
        assert Place(port, here) not in held
        assert Place(client.getsockname()[1], here, udp=True) not in held


def test_who_holds_a_port_that_we_hold(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "x y.sock"))
        unix.listen()
        held = {held.place: held.inode for held in ports.listening()}
        assert ports.holder(held[Place(tcp.getsockname()[1], "127.0.0.1")]).startswith(("python", "pytest"))
        assert Place(path=str(tmp_path / "x y.sock")) in held
    assert ports.holder(2**40) == "another process"
