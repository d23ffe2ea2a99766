"""From where clients may come at all: nobody else gets a byte or counts, whatever the container does."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fd import udp
from tests.fd.conftest import PATIENCE, House, eventually
from tests.fd.manager import Manager
from tests.fd.test_proxy_header import from_source
from tests.fd.test_threshold import nobody_asked
from wakeport.proxy.admission.proxy_header import encode
from wakeport.proxy.linger import RELEASE_AFTER

# Clients of loopback come from 127.0.0.1 unless they say otherwise, and so from an address that is allowed.
ALLOW = "allow=127.0.0.0/30"
ELSEWHERE = "127.0.0.5"

HEADER = encode("v1", ("203.0.113.7", 1), ("198.51.100.1", 80))
REQUEST = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
RESET = struct.pack("ii", 1, 0)

# Who says nothing after a failure, or gives no header where one is expected, is reset in the end as well.
WAITS = (
    "import wakeport.proxy.refusal as refusal; refusal.FIRST_BYTES_WITHIN = 600.0;"
    "import wakeport.proxy.admission.introductions as i; i.HEADER_WITHIN = 600.0;"
)


@pytest.fixture
def manager(house: House) -> Iterator[Manager]:
    manager = Manager(house)
    yield manager
    manager.close()


def is_turned_away(house: House, host: str = "", source: str = ELSEWHERE) -> bool:
    """Nobody waits for what it may say. The reset may come before it knows that it is connected."""
    own, port = house.listeners[0].getsockname()[:2]
    try:
        with socket.create_connection((host or own, port), PATIENCE, (source, 0)) as client:
            client.recv(1)
    except ConnectionResetError:
        return True
    return False


def knocks(house: House) -> None:
    """Come from elsewhere, and be gone before anybody may have looked."""
    with socket.socket() as client, contextlib.suppress(ConnectionResetError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.bind((ELSEWHERE, 0))
        client.connect(house.listeners[0].getsockname())


def test_in_every_state_who_comes_from_elsewhere_is_reset_and_no_client(house: House) -> None:
    target = house.target()
    house.proxy(ALLOW, "doze=yes", before=WAITS)
    assert is_turned_away(house)
    assert nobody_asked(house)
    client = house.client(say=REQUEST)
    lease = house.lease.accept()
    host, port = client.getsockname()
    lease.hear_until(lambda said: said.get("use") == [f"{host}:{port}"])
    lease.tell("waking")
    assert is_turned_away(house)
    lease.awake(target.port)
    assert client.recv(100) == REQUEST
    assert is_turned_away(house)
    client.close()
    # Whoever came from elsewhere would have been named on the lease beside it, or kept it busy.
    words = [lease.hear()]
    while words[-1] is not None and words[-1].get("busy") is not False:
        words.append(lease.hear())
    assert words[-1] is not None
    assert not [said for said in words if ELSEWHERE in str(said)]
    lease.tell("dozing")
    assert is_turned_away(house)
    client = house.client(say=REQUEST)
    lease.hear_until(lambda said: said.get("busy") is True)
    lease.tell("failed", reason="no such image", retry_after=60)
    assert client.recv(12) == b"HTTP/1.1 503"
    assert is_turned_away(house)
    assert target.served == 1
    assert nobody_asked(house)


def test_a_crowd_from_elsewhere_keeps_neither_a_lease_nor_the_proxy(house: House) -> None:
    target = house.target()
    proxy = house.proxy(ALLOW)
    client = house.client(say=b"x")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert client.recv(1) == b"x"
    descriptors = proxy.descriptors()
    for _ in range(200):
        knocks(house)
    assert is_turned_away(house)
    assert proxy.descriptors() <= descriptors
    client.close()

    def ends() -> bool:
        knocks(house)
        return proxy.has_ended()

    eventually(ends)
    assert proxy.wait() == 0
    lease.hear_until(lambda said: said.get("busy") is False)
    assert nobody_asked(house)


def test_an_ipv4_client_of_an_ipv6_port_is_an_ipv4_client(house: House) -> None:
    target = house.target()
    port = house.listen("::").getsockname()[1]
    house.proxy(ALLOW, "allow=::1")
    assert is_turned_away(house, "127.0.0.1")
    assert nobody_asked(house)
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE) as client,
        socket.create_connection(("::1", port), PATIENCE) as other,
    ):
        client.sendall(b"4")
        other.sendall(b"6")
        house.lease.accept().awake(target.port)
        assert (client.recv(1), other.recv(1)) == (b"4", b"6")


def test_who_connects_counts_and_not_whom_a_header_names(house: House) -> None:
    target = house.target()
    house.proxy(ALLOW, "accept_proxy=127.0.0.0/8", before=WAITS)
    assert is_turned_away(house)
    assert nobody_asked(house)
    balancer = house.client(say=HEADER + b"hello")
    house.lease.accept().awake(target.port)
    assert balancer.recv(5) == b"hello"


def test_a_unix_socket_beside_a_port_is_open_to_all(house: House, tmp_path: Path) -> None:
    target = house.target()
    house.listen()
    path = house.listen(str(tmp_path / "web.sock"))
    house.proxy("allow=192.0.2.1")
    assert is_turned_away(house, source="127.0.0.1")
    client = house.client(path, say=b"x")
    house.lease.accept().awake(target.port, target.port)
    assert client.recv(1) == b"x"


def test_a_datagram_from_elsewhere_is_ignored_asleep_and_awake(house: House) -> None:
    listener = udp.listen(house)
    house.proxy(ALLOW, targets=["target=80/udp"])
    with udp.target() as target, socket.socket(type=socket.SOCK_DGRAM) as stranger:
        stranger.bind((ELSEWHERE, 0))
        stranger.sendto(b"asleep", listener.getsockname())
        udp.taken(house)
        assert nobody_asked(house)
        client = udp.client(house)
        client.send(b"first")
        lease = house.lease.accept()
        lease.tell("waking")
        stranger.sendto(b"waking", listener.getsockname())
        target.awake(lease)
        assert client.recv(64) == b"first"
        stranger.sendto(b"awake", listener.getsockname())
        # Taken after that one, so whatever becomes of it has become of it.
        client.send(b"second")
        assert client.recv(64) == b"second"
        assert [word for word, _ in target.heard] == [b"first", b"second"]


def test_who_is_inside_is_not_judged_again_by_the_next_proxy(manager: Manager, house: House) -> None:
    """Half a header, a client who is held, and one who is relayed: all came while that was no matter."""
    words = ["accept_proxy=127.0.0.0/8"]
    target = house.target()
    proxy = manager.start(*words)
    arrived = from_source(house, ELSEWHERE, HEADER[:20])
    held = from_source(house, ELSEWHERE, HEADER + b"held")  # accepted after that one
    holder = house.lease.accept()
    holder.hear_until(lambda said: said.get("use") == ["203.0.113.7:1"])
    proxy = manager.restart(proxy, *words, ALLOW)
    assert is_turned_away(house)
    arrived.sendall(HEADER[20:] + b"arrived")
    holder.awake(target.port)
    assert held.recv(4) == b"held"
    assert arrived.recv(7) == b"arrived"
    manager.restart(proxy, *words, ALLOW)
    held.sendall(b"more")
    assert held.recv(4) == b"more"


def test_words_that_make_no_sense_end_the_proxy_at_once(house: House) -> None:
    proxy = house.proxy("allow=example.org")
    assert proxy.wait() == 1
    assert b"systemctl cat" in proxy.said


def test_whom_nobody_may_introduce_keeps_nothing_awake(house: House) -> None:
    """Each of them began the silence anew, in which the lease is given up."""
    target = house.target()
    house.proxy("accept_proxy=127.0.0.0/30", "doze=yes")
    client = house.client(say=HEADER + REQUEST)
    lease = house.lease.accept()
    lease.awake(target.port)
    assert client.recv(100) == REQUEST
    client.close()
    with knocking(house):
        lease.hear_until(lambda said: said.get("busy") is False)


@contextlib.contextmanager
def knocking(house: House) -> Iterator[None]:
    """They come and come, as long as the block runs, more often than any silence is long."""
    over = threading.Event()

    def knock() -> None:
        while not over.wait(RELEASE_AFTER / 10):
            knocks(house)

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
