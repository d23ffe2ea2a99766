"""Many services whose last clients leave in the same moment: each is put to sleep in its time."""

from __future__ import annotations

import json
import time

from lab import Lab
from tests.lab import clients
from tests.lab.rounds import promised, rounds
from tests.lab.runtimes.docker import Docker
from tests.lab.services import Service
from tests.lab.waiting import eventually

MANY = rounds(12, full=200)
IDLE = 4.0  # seconds
LATE, EARLY = promised(2.0), 0.1  # seconds


def test_each_of_many_is_stopped_in_its_time(lab: Lab) -> None:
    services = [
        Service(Docker(lab), f"many{number}", f"many{number}", 8000 + number) for number in range(MANY)
    ]
    (lab.root / "etc/wakeport").mkdir()
    for web in services:
        lab.create(web.name)
        settings = f'idle = "{IDLE:g}s"\n[[listener]]\non = "{web.port}"\nto = 80\n'
        (lab.root / f"etc/wakeport/{web.name}.toml").write_text(settings)
    lab.run(["wakeport", "apply"], timeout=1200)

    # Not all at once: what is measured is how they end, and a crowd of starts takes minutes.
    held = []
    for web in services:
        held.append(clients.connect(lab, web.port, within=120))
        assert clients.ask(held[-1])
    left = time.time()
    for client in held:
        client.close()
    took = time.time() - left

    eventually("all asleep", lambda: not lab.docker("ps", "--quiet"), within=600)
    decided = {entry["WAKEPORT_SERVICE"]: float(entry["WAKEPORT_AT"]) - left for entry in _stops(lab, left)}
    print(f"{MANY} services, decided after {min(decided.values()):.2f} to {max(decided.values()):.2f} s")
    assert decided.keys() == {web.name for web in services}
    wrong = {name: at for name, at in decided.items() if not IDLE - EARLY < at < IDLE + LATE + took}
    assert not wrong


def _stops(lab: Lab, since: float) -> list[dict[str, str]]:
    """What the supervisors wrote when they decided."""
    lab.run(["journalctl", "--sync"])
    journal = ["journalctl", "--output=json", f"--since=@{since:.0f}", "WAKEPORT_STATE=stopping"]
    return [json.loads(line) for line in lab.run(journal).stdout.splitlines()]
