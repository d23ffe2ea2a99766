"""A supervisor or a proxy that systemd cannot start, and then can again."""

from __future__ import annotations

import pytest

from tests.lab import clients
from tests.lab.services import AddService
from tests.lab.waiting import eventually

USUAL_LIMIT = 5  # starts, after which systemd gives up on a unit: systemd-system.conf(5)

BROKEN = {
    "interpreter": "[Service]\nExecStart=\nExecStart=/there/is/none\n",
    "sandbox": "[Service]\nBindReadOnlyPaths=/there/is/none\n",
    "environment": "[Service]\nEnvironmentFile=/there/is/none\n",
    "account": "[Service]\nUser=nobody-of-this-name\n",
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("half", ["proxy", "supervisor"])
def test_unit_that_cannot_start_and_is_mended(service: AddService, half: str, broken: str) -> None:
    web = service()
    unit = web.units.proxy if half == "proxy" else web.units.supervisor
    web.drop_in(unit, BROKEN[broken])
    with clients.trickle(web.lab, every=0.1) as answers:
        # Several starts on end, which is what the usual limits count.
        eventually(f"{unit} tried again", lambda: web.restarts(unit) > USUAL_LIMIT)
        assert clients.accepts(web.lab)
        web.drop_in(unit, "")
        mended = web.get()
    assert mended.served, mended
    # Whoever waited in the meantime was held, and is served too.
    assert [str(answer) for answer in answers if not answer.served] == []
    web.falls_asleep()


def test_clients_hear_of_a_supervisor_that_never_answers(service: AddService) -> None:
    web = service()
    web.drop_in(web.units.supervisor, BROKEN["interpreter"])
    held = web.get()
    assert held.told_no, held
    assert "no supervisor answered" in held.body
    web.drop_in(web.units.supervisor, "")
    eventually("the next client is served", lambda: web.get().served)
    web.falls_asleep()
