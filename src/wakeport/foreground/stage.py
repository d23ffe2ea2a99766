"""The part of systemd, and of its journal, that a wake needs: two sockets, and who is started by them.

The units of a service say the same: a client starts the proxy and the supervisor, a lease the supervisor.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Final

from wakeport.foreground import directory, entries, family, words
from wakeport.foreground.directory import Folder
from wakeport.foreground.lines import Lines, for_program
from wakeport.foreground.minder import AT_ONCE, ENDING
from wakeport.foreground.unit import DATAGRAM, Unit
from wakeport.lease import ASLEEP, WAKING
from wakeport.loop import READ, Loop, Timer
from wakeport.place import Place
from wakeport.service import Service
from wakeport.socket_unit import BACKLOG
from wakeport.units import DEFAULT_STOP_TIMEOUT

PATIENCE: Final = 3.0  # seconds of a wake, after which it is said what it waits for
STOP_MARGIN: Final = 5.0  # seconds beyond the program's own, until all is killed

Tell = Callable[[str], None]


class Stage:
    """`tell` hears a line of text at each change."""

    def __init__(
        self,
        service: Service,
        folder: Folder,
        client: socket.socket,
        environment: Mapping[str, str],
        tell: Tell,
    ) -> None:
        self.service = service
        self.place: Place = service.listener[0].on
        self.folder = folder
        self.tell = tell
        self.loop = Loop()
        self.client = client
        self.lease = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.lease.bind(str(folder.lease))
        self.lease.listen(BACKLOG)
        self.journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.journal.bind(str(folder.journal))
        self.loop.watch(self.journal.fileno(), READ, self._note)
        said = [Lines(self.loop, self._say) for _ in range(2)]
        self.said = dict(zip(("proxy", "supervisor"), said, strict=True))
        self.proxy = self._unit("proxy", client, words.proxy(service, folder), environment)
        self.supervisor = self._unit("supervisor", self.lease, words.supervisor(service, folder), environment)
        self.waits_for = ""
        self.patience: Timer | None = None
        self.falls_asleep = False
        self.stopping = False

    def _unit(
        self, name: str, listener: socket.socket, command: list[str], environment: Mapping[str, str]
    ) -> Unit:
        return Unit(
            self.loop,
            name,
            listener,
            command,
            self.folder.notify(name),
            self.said[name].write_end,
            environment,
            self._hear,
            lambda code: self._ended(name, code),
        )

    def run(self) -> int:
        """Until somebody says that it is enough; the exit code. The signals are blocked when it is called."""
        for signum in ENDING:
            self.loop.on_signal(signum, self._stop)
        self.loop.on_signal(AT_ONCE, self._kill)
        self.loop.on_signal(signal.SIGCHLD, lambda: family.bury(self._ours))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        self.supervisor.wait(self.supervisor.start)
        self.proxy.wait(self._client_came)
        try:
            self.loop.run_forever()
        finally:
            family.end_strays()
            directory.remove(self.folder)  # where the minder was killed, nobody else does
        self.client.close()
        self.tell(f"port {self.place.port} is closed, and nothing is left")
        return 0

    @property
    def _ours(self) -> set[int]:
        return {self.proxy.pid, self.supervisor.pid}

    def _client_came(self) -> None:
        # As the proxy's unit, which wants the supervisor: both at once, and first the one that starts more.
        self.falls_asleep = False
        self.supervisor.start()
        self.proxy.start()

    def _ended(self, name: str, code: int) -> None:
        if name == "supervisor":
            family.end_strays(self._ours)  # its program, if it was killed; and whoever has hidden from it
        if code < 0 and not self.stopping:
            self.tell(f"the {name} was ended by signal {-code}; it is started again")
        if self.proxy.pid or self.supervisor.pid:
            return
        if self.stopping:
            self.loop.stop()
        elif self.falls_asleep:
            self.falls_asleep = False
            self.tell(f"asleep: port {self.place.port} is open, and no process is behind it")

    def _hear(self, line: str) -> None:
        """A line of sd_notify(3); most of them are for nobody here."""
        status, _, waits_for = line.removeprefix("STATUS=").partition(", waits for ")
        if line.startswith("STATUS=") and status == WAKING:
            self.waits_for = for_program(waits_for)

    def _note(self, _events: int) -> None:
        try:
            fields = entries.parsed(self.journal.recv(DATAGRAM * 4))
        except BlockingIOError:
            return
        if "WAKEPORT_STATE" not in fields:
            return
        self._be_patient(fields["WAKEPORT_STATE"] == WAKING)
        if fields["WAKEPORT_STATE"] == ASLEEP:
            self.falls_asleep = True
        elif (line := entries.said(fields, self.service.idle, self.service.doze)) is not None:
            self.tell(line)

    def _be_patient(self, waking: bool) -> None:
        if self.patience is not None:
            self.patience.cancel()
        self.patience = self.loop.call_in(PATIENCE, self._still_waking) if waking else None

    def _still_waking(self) -> None:
        if self.waits_for:
            self.tell(f"still waking: it waits for {self.waits_for}")

    def _say(self, line: str) -> None:
        """What the programs have to say. At the end, that the clients are cut off is no news."""
        if line.startswith("wakeport: "):
            self.tell(for_program(line.removeprefix("wakeport: ")))
        elif not self.stopping:
            self.tell(line)

    def _stop(self) -> None:
        if self.stopping:
            return
        self.stopping = True
        self.loop.call_in(DEFAULT_STOP_TIMEOUT + STOP_MARGIN, self._kill)
        self.proxy.stop()
        self.supervisor.stop()
        if not (self.proxy.pid or self.supervisor.pid):
            self.loop.stop()

    def _kill(self) -> None:
        self._stop()
        self.proxy.signal(signal.SIGKILL)
        self.supervisor.signal(signal.SIGKILL)


def teller(fd: int) -> Tell:
    """Writes lines to `fd`; a terminal that has gone is no reason to leave anything behind."""

    def tell(line: str) -> None:
        try:
            os.write(fd, f"wakeport: {line}\n".encode(errors="replace"))
        except OSError:
            return

    return tell
