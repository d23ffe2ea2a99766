"""`scripts/bench passed`: what a socket that was passed costs, beside the same server's own.

lighttpd runs twice with the same settings: by a unit that opens its port itself, and by one that gets it from
wakeport (`pass_fd`). Each is loaded in turn, each round beginning with the other one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from typing import Final

from rich.console import Console
from rich.table import Table

from bench import relay_load as load
from bench.ground import Ground
from bench.relay_target import BODY, BULK, BULK_PATH, DIRECTORY
from bench.visit import Address
from lab import Lab

ROUNDS: Final = 7
SECONDS: Final = 4  # of wrk
KEPT, SHORT = 32, 16  # connections of wrk's that are kept, and that are made anew for each request

PORTS: Final = {"own": 8081, "passed": 8082}
LABELS: Final = {"own": "lighttpd, its own port", "passed": "lighttpd, a port of wakeport's"}

# No timeout and no count of requests ends a connection that a measurement holds open.
LIGHTTPD: Final = f"""\
server.document-root = "{DIRECTORY}"
server.port = {{port}}
server.systemd-socket-activation = "{{passed}}"
server.max-keep-alive-requests = 1000000000
server.max-connections = 4096
server.max-fds = 16384
index-file.names = ("hello")
"""
UNIT: Final = "[Service]\nExecStart=/usr/sbin/lighttpd -D -f {directory}/{name}.conf\nLimitNOFILE=20000\n"

MEASURES: Final[dict[str, Callable[[Lab, Address], float]]] = {
    "keep-alive, requests/s": lambda lab, at: load.wrk(lab, at, KEPT, SECONDS, keep=True).rate,
    "connections/s": lambda lab, at: load.wrk(lab, at, SHORT, SECONDS, keep=False).rate,
    "bulk, MiB/s": lambda lab, at: BULK / load.fetch(lab, at, 1) / (1 << 20),
}

Rounds = dict[str, dict[str, list[float]]]  # by measure, then by whose port it is


def set_up(ground: Ground) -> None:
    lab = ground.lab
    lab.run(["mkdir", "-p", DIRECTORY])
    ground.write(f"{DIRECTORY}/hello", BODY)
    lab.run(["dd", "if=/dev/urandom", f"of={DIRECTORY}{BULK_PATH}", "bs=1M", f"count={BULK >> 20}"])
    for name, port in PORTS.items():
        passed = "enable" if name == "passed" else "disable"
        ground.write(f"{DIRECTORY}/{name}.conf", LIGHTTPD.format(port=port, passed=passed))
        ground.write(f"/etc/systemd/system/{name}.service", UNIT.format(directory=DIRECTORY, name=name))
    ground.systemctl("daemon-reload")
    ground.systemctl("start", "own.service")
    settings = ["--runtime=unit", "--pass-fd", f"--listen={PORTS['passed']}", "--idle=1h"]
    lab.run(["wakeport", "add", "passed", *settings])
    load.prepare(lab)


def measure(lab: Lab, rounds: int, tell: Callable[[int], None]) -> Rounds:
    found: Rounds = {name: {port: [] for port in PORTS} for name in MEASURES}
    for number in range(1, rounds + 1):
        tell(number)
        turn = [*PORTS] if number % 2 else [*reversed(PORTS)]
        for name, ask in MEASURES.items():
            for port in turn:
                found[name][port].append(ask(lab, ("127.0.0.1", PORTS[port])))
    return found


def table(found: Rounds) -> Table:
    made = Table("", *LABELS.values(), "ratio")
    for name, rates in found.items():
        own, passed = (median(rates[port]) for port in PORTS)
        ratios = [p / o for o, p in zip(rates["own"], rates["passed"], strict=True)]
        made.add_row(name, f"{own:,.0f}", f"{passed:,.0f}", f"{median(ratios):.3f}")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench passed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    console, progress = Console(width=120), Console(stderr=True, highlight=False)
    with Lab() as lab:
        set_up(Ground(lab))
        found = measure(lab, rounds, lambda number: progress.print(f"passed: round {number} of {rounds}"))
    console.print(table(found))


if __name__ == "__main__":
    main()
