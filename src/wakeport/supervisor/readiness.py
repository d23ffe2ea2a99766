"""When a container is ready: its target answers, and whatever else the service asks for."""

from __future__ import annotations

import errno
import os

from wakeport.light import socket
from wakeport.loop import Future, Loop
from wakeport.runtimes.problems import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from wakeport.runtimes.container import Container, Target
    from wakeport.runtimes.interface import Runtime

TRY_EVERY = 0.002  # seconds; a refused connect costs 0.05 ms (measured), so a few hundred a second are cheap
TRY_EVERY_AT_MOST = 0.02  # seconds, for applications that take long
ASK_EVERY = 0.1  # seconds between questions that cost the application or the runtime something
ANSWER_WITHIN = 2.0  # seconds for one connect or one HTTP answer


class Readiness:
    """Waits until `how` (connect, health, http:/path, exec:COMMAND) holds. The deadline is the caller's.

    `waits_for` says at any moment what is still missing, and `on_wait` hears of it.
    """

    def __init__(self, loop: Loop, runtime: Runtime, how: str, on_wait: Callable[[str], None]) -> None:
        self.loop = loop
        self.runtime = runtime
        self.kind, _, self.argument = how.partition(":")
        self.on_wait = on_wait
        self.waits_for = ""
        self.changed: Future[None] = Future()

    async def reached(
        self, container: Container, targets: dict[str, Target], was_frozen: bool = False
    ) -> None:
        """Raises Refused where it can never be reached.

        One that was frozen has been ready before, and its health says otherwise for a while: of it nothing
        is asked but that its targets are there.
        """
        self.waits_for = ""
        if self.kind == "exec" and was_frozen:
            return
        if self.kind == "exec":
            # The command alone decides: there are servers to which a connect is a client, and the only one
            # that they take (iperf3, `nc -l`). One that came behind ours has been reset (measured).
            await self._command(self.argument)
            return
        for key, target in targets.items():
            await self._until(self._sign_of(container, key, target))
        if was_frozen:
            return
        if self.kind == "health":
            await self._healthy(container)
        elif self.kind == "http":
            await self._http(*first_tcp(targets), self.argument)

    def _sign_of(
        self, container: Container, key: str, target: Target
    ) -> Callable[[], Coroutine[Any, Any, bool]]:
        """The attempt that succeeds once the target is there."""
        if len(target) == 1:
            return lambda: self._listens_on(target[0])
        behind = self.runtime.behind(container, key, target)
        if key.endswith("/udp"):
            return lambda: self._listens_on_udp(container, *behind)
        if len(behind) == 2 and behind != target:
            return lambda: self._answers_behind(container, *behind, target)
        return lambda: self._answers(*target)

    def look_again(self) -> None:
        """Something about the container has changed."""
        self.changed.set(None)

    def _wait_for(self, what: str) -> None:
        if what != self.waits_for:
            self.waits_for = what
            self.on_wait(what)

    async def _until(self, attempt: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        """Try again and again, a few milliseconds apart; for what costs next to nothing."""
        pause = TRY_EVERY
        while not await attempt():
            await self.loop.sleep(pause)
            pause = min(pause * 1.1, TRY_EVERY_AT_MOST)

    async def _answers(self, address: str, port: int) -> bool:
        self._wait_for(f"the container to answer on {_text(address, port)}")
        try:
            (await self._opened(address, port)).close()
        except OSError:
            return False
        return True

    async def _answers_behind(self, container: Container, address: str, port: int, target: Target) -> bool:
        """Where somebody in between takes every connection, a connect proves nothing."""
        from wakeport.supervisor.bound import is_listening  # most containers have nobody in between

        self._wait_for(f"the container to listen on {_text(address, port)}")
        try:
            if not is_listening(container.pid, address, port):
                return False
        except OSError:
            return False
        return await self._answers(*target)

    async def _listens_on_udp(self, container: Container, address: str, port: int) -> bool:
        """UDP has no handshake to try: it is ready when somebody is bound to the port."""
        from wakeport.supervisor.bound import is_bound  # most containers have no UDP

        try:
            bound = is_bound(container.pid, address, port)
        except OSError as error:
            self._wait_for(f"a look at who listens on UDP port {port} of the container: {error}")
            return False
        self._wait_for(f"the container to listen on UDP {_text(address, port)}")
        return bound

    async def _listens_on(self, path: str) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as connection:
            error = connection.connect_ex(path)
        if error in (0, errno.EAGAIN):  # EAGAIN: its backlog is full, so somebody listens; unix(7)
            return True
        if error == errno.ENOENT:
            self._wait_for(f"the container to make the socket {path}")
        elif error == errno.ECONNREFUSED:
            self._wait_for(f"the container to listen on {path}, which exists, but nobody listens there")
        else:
            self._wait_for(f"leave to connect to {path}: {os.strerror(error)}")
        return False

    async def _opened(self, address: str, port: int) -> socket.socket:
        """A connection to the target. Raises OSError."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            error = connection.connect_ex((address, port))
            if error == errno.EINPROGRESS:
                await self.loop.within(ANSWER_WITHIN, self.loop.writable(connection.fileno()))
                error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
        except BaseException:
            connection.close()
            raise
        return connection

    async def _healthy(self, container: Container) -> None:
        if not container.has_healthcheck:
            raise Refused(
                f'container "{container.name}" has no HEALTHCHECK, so ready = "health" never comes; '
                'use ready = "connect", or give the image a HEALTHCHECK'
            )
        self._wait_for("HEALTHCHECK to say healthy")
        while True:
            # Taken before the look, so that no change between the two is missed.
            changed: Future[None] = Future()
            self.changed = changed
            if (await self.runtime.look()).health == "healthy":
                return
            await changed

    async def _http(self, address: str, port: int, path: str) -> None:
        self._wait_for(f"http://{_text(address, port)}{path} to answer below 400")
        while True:
            try:
                status = await self.loop.within(ANSWER_WITHIN, self.status_of(address, port, path))
            except OSError:
                status = 0
            if 100 <= status < 400:
                return
            await self.loop.sleep(ASK_EVERY)

    async def status_of(self, address: str, port: int, path: str) -> int:
        """The status of GET `path`; 0 where the answer is not HTTP. Raises OSError."""
        connection = await self._opened(address, port)
        try:
            connection.send(
                f"GET {path} HTTP/1.1\r\nHost: {_text(address, port)}\r\nUser-Agent: wakeport\r\n"
                "Connection: close\r\n\r\n".encode()
            )
            answer = b""
            while b"\n" not in answer and len(answer) < 1024:
                await self.loop.readable(connection.fileno())
                data = connection.recv(1024)
                if not data:
                    break
                answer += data
        finally:
            connection.close()
        words = answer.split(None, 2)
        return int(words[1]) if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit() else 0

    async def _command(self, command: str) -> None:
        self._wait_for(f'"{command}" to succeed in the container')
        while await self.runtime.execute(command) != 0:
            await self.loop.sleep(ASK_EVERY)


def first_tcp(targets: dict[str, Target]) -> tuple[str, int]:
    """Raises Refused where there is none."""
    for key, target in targets.items():
        if len(target) == 2 and key.endswith("/tcp"):
            return target
    raise Refused('ready = "http:..." asks a TCP port of the container, and no listener leads to one')


def _text(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
