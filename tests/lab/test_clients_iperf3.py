"""iperf3: each way and both ways at once, over connections at full speed and over UDP beside one."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from lab import Lab
from tests.lab.rounds import rounds
from tests.lab.services import AddService, Service
from tests.lab.waiting import PATIENCE

SECONDS = rounds(1, full=30)  # of each direction

# One client at a time: after each, also after one that only connects, iperf3 closes its listening socket
# and opens a new one. Whoever waits in the backlog then is reset, so it must not be asked by connecting.
# Port 5201 is 1451 in the kernel's list, proc_pid_net(5).
READY = "exec:grep -q :1451 /proc/net/tcp6"

BUSY = "the server is busy running a test"

# What the client is told, and for which streams it is the receiver.
DIRECTIONS = {
    "to the container": ([], {False}),
    "from it": (["--reverse"], {True}),
    "both ways, four streams": (["--bidir", "--parallel=4"], {False, True}),
}


@pytest.fixture(scope="module")
def image(shared_lab: Lab) -> str:
    shared_lab.load("iperf3")
    return "iperf3"


@pytest.fixture
def meter(lab: Lab, service: AddService, image: str) -> Service:
    """With TCP and UDP on one port, as a DNS server has it."""
    udp = "--listen=5201/udp=5201"
    meter = service("meter", udp, f"--ready={READY}", listen=5201, to=5201, image=image, idle="1s")
    settings = lab.root / "etc/wakeport/meter.toml"
    settings.write_text(settings.read_text().replace('on = "5201/udp"', 'on = "5201/udp"\nflow_idle = "1s"'))
    lab.run(["wakeport", "apply", "meter"])
    return meter


def measure(meter: Service, *words: str) -> list[dict[str, Any]]:
    """The client's own account of each stream, after it has compared notes with the server.

    Asked again where that is busy: with the client before, whom it outlives by a moment.
    """
    command = ["iperf3", "--client", "127.0.0.1", "--json", f"--time={SECONDS}", *words]
    until = time.monotonic() + PATIENCE
    while True:
        report = json.loads(meter.lab.run(command, timeout=SECONDS + 60, check=False).stdout)
        if BUSY not in report.get("error", "") or time.monotonic() > until:
            break
    assert "error" not in report, report["error"]
    return list(report["end"]["streams"])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_connections_at_full_speed(meter: Service, direction: str) -> None:
    """A control connection wakes it and carries a few bytes; the streams come once it is there."""
    options, expected = DIRECTIONS[direction]
    assert meter.is_asleep
    for _ in ("cold", "warm"):
        streams = measure(meter, *options)
        assert {not stream["sender"]["sender"] for stream in streams} == expected
        for stream in streams:
            assert 0 < stream["receiver"]["bytes"] <= stream["sender"]["bytes"]
    meter.falls_asleep()


def test_datagrams_beside_a_connection(meter: Service) -> None:
    """At a quarter of the default 1 Mbit/s of each stream nothing is lost, also where its receiver gets no
    processor for a while; each stream is a flow of its own.
    """
    options, expected = DIRECTIONS["both ways, four streams"]
    assert meter.is_asleep
    for _ in ("cold", "warm"):
        streams = [stream["udp"] for stream in measure(meter, "--udp", "--bitrate=250K", *options)]
        assert {not stream["sender"] for stream in streams} == expected
        for stream in streams:
            assert stream["packets"] > 0
            assert stream["lost_packets"] == stream["out_of_order"] == 0
    meter.falls_asleep()
