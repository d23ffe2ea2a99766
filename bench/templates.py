"""`python -m bench.templates [ROUNDS]`: the first byte of a cold start of a machine, and of LXC's.

Each machine or container is started bare, by systemctl, and by a client of wakeport's, in turns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

from bench.visit import insist, visit
from lab import Lab
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.runtimes.lxc import Lxc
from tests.lab.runtimes.nspawn import Nspawn
from tests.lab.services import Service
from tests.lab.waiting import eventually
from wakeport.runtimes import network

ROUNDS = 15
LOOK_EVERY = 0.001  # seconds
NAME, PORT = "web", 80
KINDS: tuple[Callable[[Lab], Nspawn | Lxc], ...] = (Nspawn, Lxc)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with Lab() as lab:
        for kind in KINDS:
            _measure(lab, kind(lab), rounds)


def _measure(lab: Lab, containers: Nspawn | Lxc, rounds: int) -> None:
    containers.create(NAME, DIES_AT_ONCE)
    address = (containers.addresses[NAME], PORT)
    runtime = f"--runtime={containers.runtime}"
    lab.run(["wakeport", "add", NAME, runtime, f"--listen={PORT}={PORT}", "--idle=1h"])
    service = Service(containers, NAME, NAME, PORT)
    bare: list[float] = []
    woken: list[float] = []
    for number in range(rounds + 1):
        if number % 2:
            woken.append(_woken(lab, service))
        bare.append(_bare(lab, containers, address))
        if not number % 2:
            woken.append(_woken(lab, service))
    # The first one pays for what is read from the disk once.
    started, served = median(bare[1:]) * 1000, median(woken[1:]) * 1000
    print(
        f"{containers.runtime}: bare {started:.0f} ms, woken {served:.0f} ms, "
        f"{served / started:.2f} times, medians of {rounds}",
        flush=True,
    )
    lab.run(["wakeport", "remove", NAME])
    containers.remove(NAME)


def _bare(lab: Lab, containers: Nspawn | Lxc, address: tuple[str, int]) -> float:
    began = time.monotonic()
    starting = lab.popen(["systemctl", "start", containers.unit(NAME)])
    # Who knocks before it has its address is answered a second later: the kernel asks for it so often only.
    while not _has_address(containers, address[0]):
        time.sleep(LOOK_EVERY)
    insist(lab, address)
    seconds = time.monotonic() - began
    _, errors = starting.communicate(timeout=60)
    assert starting.returncode == 0, errors
    containers.stop(NAME)
    eventually("it is down", lambda: not containers.running())
    return seconds


def _has_address(containers: Nspawn | Lxc, wanted: str) -> bool:
    try:
        processes = (containers.group(NAME) / "cgroup.procs").read_text().split()
    except OSError:
        return False
    return any(network.address(int(pid)) == wanted for pid in processes[:1])


def _woken(lab: Lab, service: Service) -> float:
    seconds = visit(lab, ("127.0.0.1", PORT)).seconds
    lab.run(["wakeport", "sleep", NAME])
    service.falls_asleep()
    return seconds


if __name__ == "__main__":
    main()
