"""Loads: wrk for many small answers, an own reader for few large ones, and clients that only stay.

Everything here runs in the lab's network, or a client's beside it, on the same processors as what it loads.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from subprocess import CompletedProcess
from typing import NamedTuple, Protocol

from bench.crowd import DESCRIPTORS_RESERVED, descriptors
from bench.relay_target import BODY, BULK, BULK_PATH, DIRECTORY
from bench.visit import ASK_AND_STAY, Address, Unserved
from lab import Lab

PATIENCE = 30.0  # seconds for a connect, an answer, or the next bytes of a large one
ANSWER_WITHIN = 5.0  # seconds, for one of many idle clients: the first that is not served ends the count

RECEIVE = 1 << 20  # bytes

# wrk's own report has no p99.9: https://github.com/wg/wrk/blob/master/SCRIPTING. Latencies are in
# microseconds there, from the request, not from the connect.
SCRIPT = """\
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\\nRESULT {"requests": %d, "microseconds": %d, "latency": [%d, %d, %d], "errors": %d}\\n',
        summary.requests, summary.duration,
        latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
"""


class Origin(Protocol):
    """Where a load comes from: a Lab itself, or a Client of it that has an address of its own."""

    def run(self, argv: Sequence[str]) -> CompletedProcess[str]: ...

    def network(self) -> AbstractContextManager[None]: ...


class Answers(NamedTuple):
    """`p50`, `p99` and `p999` are seconds from a request to its answer; `rate` is answers a second."""

    requests: int
    rate: float
    p50: float
    p99: float
    p999: float
    errors: int


def prepare(lab: Lab) -> None:
    """Put down what `wrk` needs; the target has made the directory."""
    (lab.root / DIRECTORY.lstrip("/") / "report.lua").write_text(SCRIPT)


def wrk(origin: Origin, address: Address, connections: int, seconds: int, *, keep: bool) -> Answers:
    """One thread. Raises Unserved where nothing is answered."""
    host, port = address
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
    command += ["--script", f"{DIRECTORY}/report.lua"]
    if not keep:
        command += ["--header", "Connection: close"]
    told = origin.run([*command, f"http://{host}:{port}/"]).stdout
    return answers(told)


def answers(told: str) -> Answers:
    """What wrk's script has written."""
    result = json.loads(told.rpartition("RESULT")[2])
    if not result["requests"]:
        raise Unserved(f"wrk had no answer, and {result['errors']} errors")
    p50, p99, p999 = (microseconds / 1e6 for microseconds in result["latency"])
    rate = result["requests"] / (result["microseconds"] / 1e6)
    return Answers(result["requests"], rate, p50, p99, p999, result["errors"])


def fetch(origin: Origin, address: Address, streams: int) -> float:
    """Read the large file on so many connections at once. Returns the seconds; raises Unserved."""
    ask = f"GET {BULK_PATH} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode()
    buffer = bytearray(RECEIVE)
    readers: dict[int, socket.socket] = {}
    received = 0
    with origin.network(), select.epoll() as epoll:
        began = time.monotonic()
        try:
            for _ in range(streams):
                client = socket.create_connection(address, PATIENCE)
                readers[client.fileno()] = client
                client.sendall(ask)
                client.setblocking(False)
                epoll.register(client, select.EPOLLIN)
            while readers:
                ready = epoll.poll(PATIENCE)
                if not ready:
                    raise Unserved(f"no byte for {PATIENCE:.0f} s")
                for fd, _ in ready:
                    try:
                        count = readers[fd].recv_into(buffer)
                    except BlockingIOError:
                        continue
                    received += count
                    if not count:
                        readers.pop(fd).close()
            seconds = time.monotonic() - began
        except OSError as error:
            raise Unserved(str(error)) from error
        finally:
            for client in readers.values():
                client.close()
    # The answers' heads come on top: a few hundred bytes each.
    if not 0 < received - streams * BULK < streams * 1000:
        raise Unserved(f"{received} bytes came of {streams} times {BULK}")
    return seconds


class Stay:
    """Clients that were served once and stay connected, silent."""

    def __init__(self, lab: Lab, address: Address) -> None:
        self.lab = lab
        self.address = address
        self.clients: list[socket.socket] = []

    def grow(self, count: int) -> int:
        """Have so many, or fewer where one is not served. Returns how many there are."""
        with descriptors(count + DESCRIPTORS_RESERVED), self.lab.network():
            while len(self.clients) < count:
                client = socket.socket()
                client.settimeout(ANSWER_WITHIN)
                if not self._is_served(client):
                    client.close()
                    break
                self.clients.append(client)
        return len(self.clients)

    def _is_served(self, client: socket.socket) -> bool:
        answer = b""
        try:
            client.connect(self.address)
            client.sendall(ASK_AND_STAY)
            # nginx sends the head and the file apart.
            while not answer.endswith(BODY.encode()) and (data := client.recv(4096)):
                answer += data
        except OSError:
            return False
        return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(BODY.encode())

    def close(self) -> None:
        for client in self.clients:
            client.close()


@contextmanager
def company(lab: Lab, address: Address) -> Iterator[None]:
    """One client that stays: what would go to sleep without clients is awake in this block."""
    stay = Stay(lab, address)
    try:
        if not stay.grow(1):
            raise Unserved("not even one client was served")
        yield
    finally:
        stay.close()
