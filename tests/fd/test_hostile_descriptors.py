"""A crowd that takes every descriptor: flows and streams together have more than either may."""

from __future__ import annotations

import contextlib

import pytest

from tests.fd import udp
from tests.fd.conftest import House, echo, eventually
from tests.fd.hostile import STAYS, descriptors, reset, rests, supervisor

LIMIT = 600
POOR = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}));"


@pytest.mark.parametrize("words", [[], ["send_proxy=v2"], ["page=0"]])
def test_flows_that_take_the_descriptors_of_streams(house: House, words: list[str]) -> None:
    """Bulk goes on without pipes, whoever comes waits outside, and nothing spins."""
    house.listen()
    udp.listen(house)
    target = house.target(echo)
    words = ["target=80/tcp", *words, "target=80/udp", "answer_within=600"]
    proxy = house.proxy(targets=words, before=STAYS + POOR)
    with supervisor(house.lease) as played, udp.target() as flows_target:
        played.awake({"80/tcp": ["127.0.0.1", target.port], "80/udp": ["127.0.0.1", flows_target.port]})
        sources = [udp.client(house, listener=house.listeners[1]) for _ in range(230)]
        for source in sources:
            source.send(b"x")
        eventually(lambda: descriptors(proxy)[0] > 230)
        crowd = [house.client() for _ in range(230)]
        eventually(lambda: sum(descriptors(proxy)) >= LIMIT - 2)
        for client in crowd:
            client.settimeout(0.02)
            with contextlib.suppress(OSError):
                client.sendall(bytes(1_000_000))
        eventually(lambda: rests(proxy))
        assert not proxy.has_ended(), proxy.said.decode()
        for client in crowd:
            reset(client)

        def is_served() -> bool:
            with house.client() as client, contextlib.suppress(OSError):
                client.settimeout(2)
                client.sendall(b"good")
                return b"good" in client.recv(100)
            return False

        eventually(is_served)
