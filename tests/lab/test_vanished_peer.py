"""A client that is gone without a word (a pulled cable, a dead phone) does not keep a container awake."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import Lab
from tests.lab.clients import ask, connect
from tests.lab.programs import POURS, python
from tests.lab.runtimes import DIES_AT_ONCE
from tests.lab.services import AddService
from tests.lab.waiting import eventually

GONE_WITHIN = 300  # seconds


@contextmanager
def cut(lab: Lab, port: int) -> Iterator[None]:
    """No packet to or from the client's port arrives any more, as when its cable is pulled."""
    ends = ("--sport", "--dport")
    rules = [["INPUT", "--protocol", "tcp", end, str(port), "--jump", "DROP"] for end in ends]
    for rule in rules:
        lab.run(["iptables", "--insert", *rule])
    try:
        yield
    finally:
        for rule in rules:
            lab.run(["iptables", "--delete", *rule])


def test_the_kernel_asks_a_silent_client_whether_it_is_there(service: AddService) -> None:
    """What the five minutes below rest on; the row itself runs in full only. The target is asked from the
    first sweep on, see test_proxy_parts.py."""
    web = service(idle="1s")
    with connect(web.lab) as client:
        ask(client)
        port = client.getsockname()[1]
        shown = web.lab.run(["ss", "--tcp", "--numeric", "--options", "state", "established"]).stdout
    [leg] = [line for line in shown.splitlines() if re.search(rf":80\s+\S+:{port}\b", line)]
    assert re.search(r"timer:\(keepalive,(1min\d+(\.\d+)?|\d+)sec", leg), leg


@pytest.mark.full  # takes five minutes
@pytest.mark.parametrize("owed", [False, True], ids=["silent", "while much was on its way to it"])
def test_a_vanished_peer_is_gone_within_five_minutes(service: AddService, owed: bool) -> None:
    web = service(idle="1s", image="python", command=python(POURS), create=[DIES_AT_ONCE])
    with connect(web.lab) as client:
        if owed:
            client.sendall(b"64\n")
            assert client.recv(1)
        else:
            web.reaches("awake")
        with cut(web.lab, client.getsockname()[1]):
            seconds = eventually("the client is given up", lambda: web.is_asleep, GONE_WITHIN + 5)
    print(f"gone and asleep after {seconds:.0f} s")  # shown by pytest -rP
    assert seconds < GONE_WITHIN
