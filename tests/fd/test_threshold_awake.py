"""Rules while the container is awake: they count no more, and who was being judged passes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fd import udp
from tests.fd.conftest import House, everything
from tests.fd.test_threshold import ASLEEP, PROBE, VISIT, judging, nobody_asked, wakes


def publish(house: House, state: str) -> str:
    path = Path(house.folder, "status.json")
    path.write_text(json.dumps({"state": state}))
    return f"status={path}"


def test_while_it_is_awake_a_probe_passes_also_through_a_fresh_proxy(house: House) -> None:
    target = house.target()
    judging(house, ASLEEP, more=(publish(house, "awake"),))
    probe = house.client(say=PROBE)
    wakes(house, target)
    assert probe.recv(1024) == PROBE
    # And through a proxy that knows it from its lease, whatever the file says.
    publish(house, "asleep")
    second = house.client(say=PROBE)
    assert second.recv(1024) == PROBE


@pytest.mark.parametrize("state", ["asleep", "waking", "dozing", "stopping", "failed"])
def test_in_any_other_state_it_does_not(house: House, state: str) -> None:
    judging(house, ASLEEP, more=(publish(house, state),))
    assert everything(house.client(say=PROBE)).endswith(b"asleep")
    assert nobody_asked(house)


def test_who_is_at_the_threshold_when_it_wakes_passes(house: House) -> None:
    target = house.target()
    judging(house, ASLEEP, {"then": "close", "path": ["/x"]})
    begun = house.client(say=b"GET /heal")
    house.client(say=VISIT)
    lease = house.lease.accept()
    # Others wake it; probes that come meanwhile are told that it sleeps.
    assert everything(house.client(say=PROBE)).endswith(b"asleep")
    lease.awake(target.port)
    assert begun.recv(100) == b"GET /heal"


def test_who_has_begun_when_somebody_else_wakes_it_passes(house: House) -> None:
    """The proxy holds no lease, so it hears of that only by looking."""
    target = house.target()
    judging(house, ASLEEP, more=(publish(house, "asleep"),))
    begun = house.client(say=PROBE[:10])
    assert house.lease.nobody_asks(0.2)
    publish(house, "awake")
    begun.sendall(PROBE[10:])
    wakes(house, target)
    assert begun.recv(1024) == PROBE


def test_while_it_dozes_a_probe_has_its_answer_and_only_who_may_thaws_it(house: House) -> None:
    """Through the proxy that stays there, which holds a lease, and knows it from that."""
    target = house.target()
    judging(house, ASLEEP, more=("doze=yes",))
    first = house.client(say=VISIT)
    lease = house.lease.accept()
    lease.awake(target.port)
    assert first.recv(100) == VISIT
    first.close()
    lease.hear_until(lambda message: message.get("busy") is False)
    lease.tell("dozing")
    for _ in range(3):
        assert everything(house.client(say=PROBE)).endswith(b"asleep")
    visit = house.client(say=VISIT)
    word = lease.hear_until(lambda message: message.get("busy") is True or "stir" in message)
    assert word["use"] == [f"127.0.0.1:{visit.getsockname()[1]}"]
    assert everything(house.client(say=PROBE)).endswith(b"asleep")
    lease.awake(target.port)
    assert visit.recv(100) == VISIT


@pytest.mark.parametrize("state", ["asleep", "dozing", "awake"])
def test_a_datagram_that_may_not_wake_passes_while_it_is_awake(house: House, state: str) -> None:
    udp.listen(house)
    with udp.target(lambda data: [data.upper()]) as target:
        words = ["target=80/udp", f"rule={json.dumps({'then': 'close'})}", publish(house, state)]
        proxy = house.proxy(targets=words)
        client = udp.client(house)
        client.send(b"hello")
        if state == "awake":
            target.awake(house.lease.accept())
            assert client.recv(100) == b"HELLO"
        else:
            assert proxy.wait() == 0
            assert nobody_asked(house)
