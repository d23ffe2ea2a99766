"""What `wakeport history` tells, against what was seen from outside while it happened."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from tests.lab import clients
from tests.lab.programs import python
from tests.lab.rounds import IN_FULL, rounds
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually
from wakeport.errors import NoRights
from wakeport.history import GIB, HOUR
from wakeport.span import roughly

# By which part a figure may be off, and by how many seconds of it: beside other tests, whoever holds the
# stopwatch looks at it late.
OFF: Final = 0.05 if IN_FULL else 0.25
LATE: Final = 0.0 if IN_FULL else 2.0
SLEEP: Final = 2.0  # seconds between two visits, so that there is a sleep to measure

# Answers after a second and a half, keeps 100 MB, and is at work for a fifth of its time, needed or not.
APPLICATION: Final = """
import http.server, threading, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"here")

kept = b"x" * 100_000_000
time.sleep(1.5)
server = http.server.HTTPServer(("", 80), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
tick = time.monotonic()
while True:
    until = time.thread_time() + 0.004
    while time.thread_time() < until:
        pass
    tick += 0.020
    time.sleep(max(0, tick - time.monotonic()))
"""


class Stopwatch:
    """What somebody outside notes of a service: its clients' waits, its states, its container's use."""

    def __init__(self, web: Service) -> None:
        self.web = web
        self.clients: list[str] = []
        self.waits: list[float] = []
        self.awake: list[float] = []
        self.asleep: list[float] = []
        self.memory: list[int] = []  # bytes before each sleep
        self.work: list[float] = []  # the part of its time that it was on a processor
        self.fell_asleep = 0.0  # seconds since 1970

    def visit(self) -> None:
        """Wake it as a client, and watch it until it sleeps."""
        if self.fell_asleep:
            self.asleep.append(time.time() - self.fell_asleep)
        came = time.monotonic()
        with clients.connect(self.web.lab, within=30) as client:
            host, port = client.getsockname()
            client.sendall(clients.REQUEST)
            assert client.recv(1)
            served = time.monotonic()
            first = Process(self._first_process())
            self.web.reaches("awake")  # the client may know before status.json does
            began, used = time.monotonic(), first.used()
        while self.web.status["state"] == "awake":
            with contextlib.suppress(OSError):  # it has ended since the status was read
                seen, work, memory = time.monotonic(), first.used(), first.resident()
            time.sleep(0.01)
        self.clients.append(f"{host}:{port}")
        self.waits.append(served - came)
        self.awake.append(time.monotonic() - served)
        self.memory.append(memory)
        self.work.append((work - used) / (seen - began))
        eventually("asleep", lambda: self.web.status["state"] == "asleep")
        self.fell_asleep = time.time()

    def _first_process(self) -> int:
        """Of the container, as the host numbers it."""
        container = self.web.lab.docker("inspect", "--format={{.Id}}", self.web.container).strip()
        [group] = (self.web.lab.root / "sys/fs/cgroup").glob(f"*/*{container}*/cgroup.procs")
        return int(group.read_text().split()[0])


class Process:
    """Seen through proc(5)."""

    def __init__(self, pid: int) -> None:
        self.path = Path(f"/proc/{pid}")

    def used(self) -> float:
        """Seconds on a processor, its first thread's."""
        return int((self.path / "schedstat").read_text().split()[0]) / 1e9

    def resident(self) -> int:
        """Bytes."""
        return int((self.path / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def told(web: Service) -> Any:
    """Each test has a service of its own name: the journal remembers those of other tests, too."""
    [report] = json.loads(web.lab.run(["wakeport", "history", web.name, "--json"]).stdout)
    return report


def near(told: float, seen: float, a_second: float = 1.0) -> bool:
    """`a_second` is what a second adds to such a figure."""
    return abs(told - seen) <= OFF * seen + LATE * a_second


def test_what_history_tells_is_what_a_stopwatch_shows(service: AddService) -> None:
    web = service("watched", idle="2s", command=python(APPLICATION), create=[DIES_AT_ONCE])
    watch = Stopwatch(web)
    for _ in range(rounds(3, full=20)):
        watch.visit()
        time.sleep(SLEEP)
    found = told(web)
    watch.asleep.append(found["until"] - watch.fell_asleep)
    print(f"told {found['seconds']} {found['saved']}; seen {vars(watch)}")  # shown by pytest -rP

    assert [wake["who"] for wake in found["wakes"]] == [[client] for client in watch.clients]
    for wake, wait in zip(found["wakes"], watch.waits, strict=True):
        assert wake["from"] == "asleep"
        assert near(wake["seconds"], wait), (wake, wait)
        assert 1.5 < wake["seconds"] < wait, "the application takes so long, and the client waits for more"
        assert 0 < wake["stages"]["called"] < wake["stages"]["running"] < wake["stages"]["ready"]
    assert near(found["seconds"]["awake"], sum(watch.awake)), (found["seconds"], watch.awake)
    assert near(found["seconds"]["asleep"], sum(watch.asleep)), (found["seconds"], watch.asleep)
    memory = sum(watch.asleep) * fmean(watch.memory)
    assert near(found["saved"]["memory_gib_hours"] * GIB * HOUR, memory, fmean(watch.memory)), (
        found["saved"],
        watch.memory,
    )
    work = sum(watch.asleep) * fmean(watch.work)
    assert near(found["saved"]["cpu_hours"] * HOUR, work, fmean(watch.work)), (found["saved"], watch.work)


def test_dozes_are_told_as_a_stopwatch_shows_them(service: AddService) -> None:
    web = service("dozes", "--doze=500ms", idle="1h")
    assert web.get().served
    visitors: list[str] = []
    dozed: list[float] = []
    for _ in range(rounds(3, full=20)):
        web.reaches("dozing")
        began = time.monotonic()
        time.sleep(SLEEP)
        with clients.connect(web.lab) as client:
            dozed.append(time.monotonic() - began)
            assert clients.ask(client)
            host, port = client.getsockname()
            visitors.append(f"{host}:{port}")
            web.reaches("awake")  # the client may know before status.json does
    web.systemctl("stop", web.units.supervisor)
    web.falls_asleep()
    found = told(web)
    print(f"told {found['seconds']} {found['saved']}; seen {dozed}")  # shown by pytest -rP
    wakes = found["wakes"][1:]
    assert [(wake["from"], wake["who"]) for wake in wakes] == [("dozing", [each]) for each in visitors]
    assert near(found["seconds"]["dozing"], sum(dozed)), (found["seconds"], dozed)


def test_people_and_programs_are_told_the_same(service: AddService) -> None:
    web = service("told", idle="1s", command=python(APPLICATION), create=[DIES_AT_ONCE])
    for _ in range(2):
        assert web.get().status == 200
        web.falls_asleep()
    eventually("it has slept long enough to tell", lambda: told(web)["saved"]["memory_gib_hours"] > 0.0002)
    before = told(web)
    text = web.lab.run(["wakeport", "history"]).stdout
    after = told(web)

    lines = text.splitlines()
    for line, wake in zip(lines, before["wakes"], strict=False):
        for word in (f"woke in {roughly(wake['seconds'])}", f"for {wake['who'][0]}"):
            assert word in line
    assert len(lines) == len(before["wakes"]) + 2
    assert (
        f", awake {roughly(before['seconds']['awake'])}, waking {roughly(before['seconds']['waking'])}"
        in text
    )
    saved = re.search(r"saved: ([0-9.]+) MiB h of memory", text)
    assert saved
    print(text)  # shown by pytest -rP
    least, most = (report["saved"]["memory_gib_hours"] * 1024 for report in (before, after))
    assert round(least, 1) <= float(saved[1]) <= round(most, 1)


def test_a_wake_by_hand_names_the_hand_and_a_failure_its_reason(service: AddService) -> None:
    web = service("called", idle="1s")
    web.lab.run(["wakeport", "wake", web.name])
    web.falls_asleep()
    web.lab.docker("rm", web.container)
    assert web.get().told_no
    web.reaches("failed")
    eventually("it is told", lambda: told(web)["failures"])
    found = told(web)
    assert [wake["who"] for wake in found["wakes"]] == [["wakeport wake"]]
    # There are two where the client's proxy still asked when the back-off was over.
    assert {failure["reason"] for failure in found["failures"]} == {web.status["failure"]["reason"]}


def test_a_supervisor_that_is_killed_and_comes_back_is_no_wake(service: AddService) -> None:
    web = service("crashes", idle="2s")
    with clients.connect(web.lab) as client:
        clients.ask(client)
        eventually("it is told", lambda: web.moments(web.units.supervisor, "is awake"))
        began = time.monotonic()
        assert web.kill(web.units.supervisor)
        eventually("it is back", lambda: len(web.moments(web.units.supervisor, "is awake")) == 2)
        assert clients.ask(client)
        awake = time.monotonic() - began
    web.falls_asleep()
    found = told(web)
    assert len(found["wakes"]) == 1
    assert found["seconds"]["awake"] + found["seconds"]["waking"] >= awake


def test_a_container_that_was_started_by_hand_has_not_slept(service: AddService) -> None:
    web = service("started", idle="1s")
    assert web.get().served
    web.falls_asleep()
    web.lab.docker("start", web.container)
    assert web.get().served
    eventually("it is told", lambda: len(web.moments(web.units.supervisor, "is awake")) == 2)
    found = told(web)
    assert len(found["wakes"]) == 1
    assert found["saved"] == {"memory_gib_hours": 0, "cpu_hours": 0}


def test_who_may_not_read_the_journal_is_told_so(service: AddService) -> None:
    web = service("closed", idle="1s")
    done = web.lab.run(["setpriv", "--reuid=nobody", "--clear-groups", "wakeport", "history"], check=False)
    assert done.returncode == NoRights.code, done
    assert "the journal is closed to you" in done.stderr
