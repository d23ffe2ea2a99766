"""The main job: a port with nothing behind it, the first client, and a crowd of first clients."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.images import PAGE
from tests.lab.clients import ask, connect
from tests.lab.services import CLASSIC, RELAY, AddService

# Bytes, resident, of proxy and supervisor together while the container is awake.
MEMORY_MAX = 24 * 1024 * 1024


@pytest.mark.every_runtime(users="soak")
def test_the_first_client_is_served_and_the_last_one_lets_it_sleep(service: AddService, shape: str) -> None:
    web = service(shape=shape)
    assert web.is_asleep
    with connect(web.lab, web.port) as first:
        assert ask(first) == PAGE
        assert web.container_runs
    assert web.get().served
    web.falls_asleep()
    assert web.get().served


CROWDS = [*((RELAY, count) for count in (200, 500, 2000)), (CLASSIC, 200)]


@pytest.mark.every_runtime(users="soak")
@pytest.mark.parametrize(("shape", "count"), CROWDS)
def test_simultaneous_first_clients_are_all_served(service: AddService, shape: str, count: int) -> None:
    web = service(idle="10s", shape=shape)
    answers = web.crowd(count)
    assert len(answers) == count
    unserved = [answer for answer in answers if not answer.served]
    assert not unserved, f"{len(unserved)} of {count}: {unserved[0]}"


def test_both_processes_together_stay_small(service: AddService) -> None:
    """Measured with one client, and again with the same client after 500 others came and went."""
    web = service(idle="10s")

    def resident() -> int:
        pids = [*web.pids(web.units.proxy), *web.pids(web.units.supervisor)]
        assert len(pids) == 2
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)  # proc(5)
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    with connect(web.lab, web.port) as client:
        ask(client)
        alone = resident()
        assert all(answer.served for answer in web.crowd(500))
        ask(client)
        after = resident()
    print(f"resident bytes: {alone:,} with one client, {after:,} after 500 more")  # shown by pytest -rP
    assert max(alone, after) <= MEMORY_MAX
