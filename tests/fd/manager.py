"""The part of systemd that restarts a proxy: it keeps what it is given, and starts the next one with it."""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Sequence

from tests.fd.conftest import LINGERS, PATIENCE, PATIENT, House, Program

DUE = "import wakeport.proxy.restart.job as job; job.successor_is_due = lambda: {due};"


class Manager:
    """Systemd's side of sd_notify(3), with room for one descriptor."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.path = str(house.folder / "notify")
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.channel.settimeout(PATIENCE)
        self.channel.bind(self.path)
        self.stored: int | None = None
        self.takes = True

    def start(self, *words: str, due: bool = True, targets: Sequence[str] = (), before: str = "") -> Program:
        """A proxy for the house's listeners, ready; with the box, where there is one; see House."""
        house = self.house
        if not house.listeners:
            house.listen()
        passed = list(house.listeners)
        names = ["wakeport-web.socket"] * len(passed)
        if self.stored is not None:
            passed.append(socket.socket(fileno=self.stored))
            names.append("handover")
        environment = {"NOTIFY_SOCKET": self.path, "LISTEN_FDNAMES": ":".join(names)}
        before = (
            f"import os; os.environ.update({environment!r});"
            + LINGERS
            + DUE.format(due=due)
            + PATIENT
            + before
        )
        kinds = ["udp" if sock.type == socket.SOCK_DGRAM else "tcp" for sock in house.listeners]
        served = targets or [f"target={80 + index}/{kind}" for index, kind in enumerate(kinds)]
        given = ["name=web", f"lease={house.lease.path}", "ready_within=60", *served, *words]
        program = Program("wakeport.proxy.main", given, passed, before)
        house.programs.append(program)
        if self.stored is not None:
            self.hear_until(b"FDSTOREREMOVE=1\nFDNAME=handover")
            passed[-1].close()
            self.stored = None
        self.hear_until(b"READY=1")
        return program

    def hear_until(self, wanted: bytes) -> list[int]:
        """The descriptors that come with a message which begins like this."""
        while True:
            text, ancillary, _, _ = self.channel.recvmsg(4096, socket.CMSG_SPACE(16))
            descriptors = array.array("i")
            for _, _, data in ancillary:
                descriptors.frombytes(data)
            if text.startswith(wanted):
                return descriptors.tolist()
            assert not descriptors, text

    def stop(self, program: Program) -> None:
        """SIGTERM, and what the proxy says until it waits for no answer any more."""
        program.terminate()
        [stored] = self.hear_until(b"FDSTORE=1\nFDNAME=handover\nFDPOLL=0")
        if self.takes:
            self.stored = stored
        else:
            os.close(stored)
        [barrier] = self.hear_until(b"BARRIER=1")
        os.close(barrier)

    def restart(self, program: Program, *words: str) -> Program:
        self.stop(program)
        assert program.wait() == 0
        return self.start(*words)

    def close(self) -> None:
        self.channel.close()
        if self.stored is not None:
            os.close(self.stored)
