"""Who is loaded by a client from elsewhere, and the proof that its packets go the way that it stands for."""

from __future__ import annotations

import socket
import time
from collections.abc import Collection
from typing import Final

from bench import relay_load as load
from bench.bypass_tables import LABELS
from bench.ground import Ground
from bench.relay_target import PORT, SETTINGS, WHO_PATH, create, lay_out
from bench.visit import Address
from lab.client import Client

PORTS: Final = {"published": 8081, "relay": 8082, "bypass": 8083}

# Nobody falls asleep between two of its turns.
SERVICE: Final = """\
{first}idle = "1h"

[[listener]]
on = "{port}"
to = 80
"""

PATIENCE: Final = 30.0  # seconds for one answer, and for the first after a wake that goes the right way
LOOK_EVERY: Final = 0.05  # seconds

# These are the client's own; what conntrack forgets is a matter of the lab's.
CLIENT_SETTINGS: Final = {key: value for key, value in SETTINGS.items() if key.startswith("net.ipv4.")}


class NotAsNamed(Exception):
    """Its packets go another way than its name says; `str()` of it is a line for people."""


class Contender:
    """`address` is where the client connects."""

    def __init__(self, ground: Ground, client: Client, name: str, address: Address) -> None:
        self.ground = ground
        self.client = client
        self.name = name
        self.address = address

    def prove(self) -> None:
        """Raises NotAsNamed unless nginx sees whom it has to see on a new connection.

        That is the client itself where only the kernel is between, and the host where a process is.
        """
        own, seen = self.client.own4, self._seen()
        if (seen == own) != (self.name != "relay"):
            raise NotAsNamed(
                f"{LABELS[self.name]}: nginx was asked by {seen}, and the client is {own}\n"
                "nothing was measured: it would have been another's figure"
            )

    def come_up(self) -> None:
        """Ask, and again until the answers come the right way. Raises NotAsNamed."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self.prove()
            except NotAsNamed:
                if time.monotonic() > deadline:
                    raise
            time.sleep(LOOK_EVERY)

    def _seen(self) -> str:
        """By whom nginx was asked on a connection made just now."""
        ask = f"GET {WHO_PATH} HTTP/1.0\r\n\r\n".encode()
        answer = b""
        try:
            with self.client.network():
                asking = socket.create_connection(self.address, PATIENCE)
            with asking:
                asking.sendall(ask)
                while data := asking.recv(4096):
                    answer += data
        except OSError as error:
            return f"nobody ({error})"
        head, _, body = answer.partition(b"\r\n\r\n")
        return body.decode() if head.startswith(b"HTTP/1.1 200 ") else "nobody"


def set_up(ground: Ground, client: Client, names: Collection[str]) -> list[Contender]:
    """Those of these names, each awake. Raises NotAsNamed."""
    lab = ground.lab
    lay_out(ground)
    load.prepare(lab)
    for key, value in CLIENT_SETTINGS.items():
        client.run(["sysctl", "--quiet", "--write", f"{key}={value}"])
    lab.run(["mkdir", "-p", "/etc/wakeport"])
    made = []
    for name in (each for each in LABELS if each in names):
        create(lab, name, *([f"--publish={PORTS[name]}:{PORT}"] if name == "published" else []))
        if name in ("relay", "bypass"):
            first = "bypass = true\n" if name == "bypass" else ""
            ground.write(f"/etc/wakeport/{name}.toml", SERVICE.format(first=first, port=PORTS[name]))
            lab.run(["wakeport", "apply", name])
        else:
            lab.docker("start", name)
        address = (ground.engine.address(name), PORT) if name == "direct" else (client.host4, PORTS[name])
        made.append(Contender(ground, client, name, address))
        open_way(ground, made[-1])
        made[-1].come_up()
    return made


def open_way(ground: Ground, contender: Contender) -> None:
    """Where Docker drops what goes to ports that it has not published: what people have to allow there."""
    if "-P FORWARD DROP" not in ground.lab.run(["iptables", "-S", "FORWARD"]).stdout:
        return
    host, port = contender.address
    allowed = {
        "bypass": ["-m", "conntrack", "--ctstate", "DNAT", "--ctorigdstport", str(port)],
        "direct": ["-d", host, "--dport", str(port)],
    }
    if contender.name in allowed:
        rule = ["-p", "tcp", *allowed[contender.name], "-j", "ACCEPT"]
        ground.lab.run(["iptables", "-I", "DOCKER-USER", *rule])
