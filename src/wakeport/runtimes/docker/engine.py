"""One conversation with the Docker Engine, or with whoever speaks as it does: HTTP/1.1 over a Unix socket.

A connection a call. No version is sent: the Engine then speaks its newest. Versions from 20.10 (API
1.41) to 29 (which refuses anything below 1.44) answer all calls used here alike.
"""

from __future__ import annotations

from wakeport.light import json, socket
from wakeport.loop import Loop
from wakeport.runtimes.docker.begin import SOCKET
from wakeport.runtimes.problems import Missing, Refused, RuntimeProblem, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

TITLE = "Docker"  # what people call it

ANSWER_WITHIN = 10.0  # seconds for calls that should answer at once; an Engine that starts takes one or two
HEAD_MAX = 65536
READ_SIZE = 65536


class Exchange:
    """A request that was sent and the answer that comes: its head, then its body piece by piece."""

    def __init__(
        self, loop: Loop, connection: socket.socket, received: bytes = b"", title: str = TITLE
    ) -> None:
        connection.setblocking(False)
        self.loop = loop
        self.title = title
        self.connection = connection
        self.received = received
        self.status = 0
        self.headers: dict[str, str] = {}
        self.left: int | None = None
        self.chunked = False

    async def head(self) -> int:
        """Read status and headers, once; returns the status. Raises Unreachable where the Engine hangs up."""
        if self.status:
            return self.status
        while b"\r\n\r\n" not in self.received:
            data = await self._receive()
            if not data or len(self.received) > HEAD_MAX:
                raise Unreachable(f"{self.title} hung up before it answered")
            self.received += data
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status_line.split(" ", 2)[1])
        for line in lines:
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        if "content-length" in self.headers:
            self.left = int(self.headers["content-length"])
        elif self.status in (204, 304):
            self.left = 0
        return self.status

    def answered(self, received: bytes, chunked: bool) -> None:
        """Go on with a stream whose head was read by an older self."""
        self.status, self.received, self.chunked = 200, received, chunked

    async def read(self) -> bytes:
        """The next piece of the body; b"" at its end."""
        if self.chunked:
            return await self._read_chunk()
        if self.left == 0:
            return b""
        data, self.received = self.received, b""
        if not data:
            data = await self._receive()
        if self.left is not None:
            if not data:
                raise Unreachable(f"{self.title} hung up in the middle of an answer")
            self.left -= len(data)
        return data

    async def body(self) -> bytes:
        pieces = []
        while piece := await self.read():
            pieces.append(piece)
        return b"".join(pieces)

    async def _read_chunk(self) -> bytes:
        """Nothing is taken out of what was received before the whole of it is there."""
        while b"\r\n" not in self.received:
            await self._more()
        begins = self.received.index(b"\r\n") + 2
        ends = begins + int(self.received[: begins - 2].split(b";")[0], 16)
        while len(self.received) < ends + 2:
            await self._more()
        chunk, self.received = self.received[begins:ends], self.received[ends + 2 :]
        return chunk

    async def _more(self) -> None:
        data = await self._receive()
        if not data:
            raise Unreachable(f"{self.title} hung up in the middle of an answer")
        self.received += data

    async def _receive(self) -> bytes:
        while True:
            try:
                return self.connection.recv(READ_SIZE)
            except BlockingIOError:
                await self.loop.readable(self.connection.fileno())
            except OSError as error:
                raise Unreachable(f"{self.title} hung up: {error.strerror}") from error

    def close(self) -> None:
        self.connection.close()


class Engine:
    """The Engine behind `path`. Raises Unreachable, Missing (404) or Refused (other statuses from 400 on)."""

    def __init__(self, loop: Loop, path: str = SOCKET, title: str = TITLE) -> None:
        self.loop = loop
        self.path = path
        self.title = title

    async def open(self, method: str, path: str, body: object = None) -> Exchange:
        """Send a request and read the answer's head; the caller reads on, and closes."""
        exchange = await self.send(method, path, body)
        try:
            await exchange.head()
            if exchange.status >= 400:
                raise await self.refusal(exchange)
        except BaseException:
            exchange.close()
            raise
        return exchange

    async def call(self, method: str, path: str, body: object = None, within: float = ANSWER_WITHIN) -> Any:
        """The answer's JSON, None where it has no body. Unreachable after `within` seconds without it."""
        try:
            return await self.loop.within(within, self._call(method, path, body))
        except TimeoutError as error:
            raise Unreachable(f"{self.title} did not answer {method} {path} within {within:.0f} s") from error

    async def _call(self, method: str, path: str, body: object) -> Any:
        exchange = await self.open(method, path, body)
        try:
            data = await exchange.body()
        finally:
            exchange.close()
        return json.loads(data) if data.strip() else None

    async def inspect(self, container: str) -> dict[str, Any]:
        """GET /containers/NAME/json, as the Engine answers it."""
        facts: dict[str, Any] = await self.call("GET", f"/containers/{container}/json")
        return facts

    async def drivers(self, networks: Iterable[str]) -> dict[str, str]:
        """The driver of each of `networks`; a network that is not there has none."""
        found = {}
        for name in networks:
            try:
                found[name] = str((await self.call("GET", f"/networks/{quoted(name)}"))["Driver"])
            except (Missing, Refused):
                continue
        return found

    async def send(self, method: str, path: str, body: object = None) -> Exchange:
        """Send a request; nothing of its answer is read yet."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: docker\r\nContent-Length: {len(content)}\r\n"
        if content:
            head += "Content-Type: application/json\r\n"
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # A blocking connect: it waits only where the Engine's backlog is full.
            connection.connect(self.path)
            connection.sendall(head.encode() + b"\r\n" + content)
        except OSError as error:
            connection.close()
            raise self.unreachable(error) from error
        return self.exchange(connection)

    def exchange(self, connection: socket.socket, received: bytes = b"") -> Exchange:
        """The exchange of a request that was sent already, as far as it has come."""
        return Exchange(self.loop, connection, received, self.title)

    async def refusal(self, exchange: Exchange) -> RuntimeProblem:
        return problem(exchange.status, await exchange.body(), self.title)

    def unreachable(self, error: OSError) -> Unreachable:
        return Unreachable(f"{self.title} does not answer on {self.path}: {error.strerror or error}")


def problem(status: int, body: bytes, title: str = TITLE) -> RuntimeProblem:
    """The Engine's refusal as an exception: its own words, on one line."""
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace")
    message = " ".join(message.split()) or f"{title} answered {status}"
    return Missing(message) if status == 404 and "container" in message.lower() else Refused(message, status)


def quoted(text: str) -> str:
    """Percent-encode for a query (RFC 3986); urllib.parse would cost the supervisor half a megabyte."""
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else f"%{byte:02X}" for byte in text.encode()
    )
