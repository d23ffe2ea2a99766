"""What changes between recv and splice: every byte in its place, and no pipe kept that is not used."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import threading
from pathlib import Path

from tests.fd.conftest import PATIENCE, House, Program, echo, eventually, everything
from wakeport.proxy import pipe

MEBIBYTE = 1_048_576

SIGNALS = 2  # ends of the pipe by which the loop hears of signals


def pipes_of(proxy: Program) -> int:
    """The ends of pipes that a process has open."""
    ends = 0
    for fd in Path(f"/proc/{proxy.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            ends += str(fd.readlink()).startswith("pipe:")
    return ends


def bulk_talk(sock: socket.socket, seed: int) -> None:
    """Send pieces of all sizes, from one byte to megabytes, and hear them again in order."""
    rng = random.Random(seed)
    sizes = [rng.choice((1, 100, 65_535, 65_536, 65_537, 300_000, 3 * MEBIBYTE)) for _ in range(40)]
    words = [rng.randbytes(size) for size in sizes]

    def speak() -> None:
        for piece in words:
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)

    speaker = threading.Thread(target=speak)
    speaker.start()
    heard = hashlib.sha256()
    while data := sock.recv(rng.choice((1000, 100_000, MEBIBYTE))):
        heard.update(data)
    speaker.join(PATIENCE)
    assert heard.digest() == hashlib.sha256(b"".join(words)).digest()


def test_small_and_large_pieces_stay_in_order(house: House) -> None:
    target = house.target(echo)
    house.proxy()
    client = house.client()
    house.lease.accept().awake(target.port)
    bulk_talk(client, seed=3)


def test_a_unix_client_is_spliced_too(house: House) -> None:
    target = house.target(echo)
    house.listen(str(house.folder / "front.sock"))
    house.proxy()
    client = house.client()
    house.lease.accept().awake(target.port)
    bulk_talk(client, seed=4)


def test_more_bulk_than_there_are_pipes(house: House) -> None:
    """Whoever gets no pipe is served by recv and send."""
    payload = random.Random(5).randbytes(8 * MEBIBYTE)
    started = threading.Event()

    def serve(sock: socket.socket) -> None:
        started.wait(PATIENCE)
        sock.sendall(payload)

    target = house.target(serve)
    proxy = house.proxy(before="import wakeport.proxy.pipe; wakeport.proxy.pipe.LENT_AT_MOST = 2")
    clients = [house.client() for _ in range(12)]
    house.lease.accept().awake(target.port)
    started.set()
    # Nobody reads: every download fills its buffers, and those who have a pipe keep it.
    eventually(lambda: pipes_of(proxy) == SIGNALS + 2 * 2)
    for client in clients:
        assert everything(client) == payload
    eventually(lambda: pipes_of(proxy) <= SIGNALS + 2 * pipe.KEPT_AT_MOST)


def test_a_connection_that_has_quieted_down_gives_its_pipe_back(house: House) -> None:
    target = house.target(echo)
    proxy = house.proxy()
    client = house.client()
    house.lease.accept().awake(target.port)
    speaker = threading.Thread(target=client.sendall, args=(bytes(8 * MEBIBYTE),))
    speaker.start()
    size = 0
    while size < 8 * MEBIBYTE:
        size += len(client.recv(MEBIBYTE))
    speaker.join(PATIENCE)
    for _ in range(3 * 8):
        client.sendall(b"small")
        assert client.recv(64) == b"small"
    # Both directions had one; what is left is kept for the next, and that is all.
    eventually(lambda: pipes_of(proxy) <= SIGNALS + 2 * pipe.KEPT_AT_MOST)


def test_a_reader_who_leaves_in_the_middle_of_bulk_takes_the_pipe_along(house: House) -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(bytes(16 * MEBIBYTE))

    target = house.target(serve)
    proxy = house.proxy()
    before = 0
    for turn in range(6):
        client = house.client()
        if turn == 0:
            house.lease.accept().awake(target.port)
        client.recv(300_000)
        client.close()
        house.clients.remove(client)
        if turn == 2:
            eventually(lambda: len(target.threads) == 3 and not any(t.is_alive() for t in target.threads))
            before = proxy.descriptors()
    eventually(lambda: not any(thread.is_alive() for thread in target.threads))
    eventually(lambda: proxy.descriptors() <= before)
