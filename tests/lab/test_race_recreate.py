"""A container that is made anew or restarted by other hands: a person's, Compose's, an updater's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab import Lab
from tests.lab.applications import web_server
from tests.lab.services import AddService, Service
from tests.lab.waiting import eventually

NEW_PAGE = "This is the new one.\n"


def _remove_and_create(lab: Lab) -> None:
    lab.docker("rm", "--force", "web")
    lab.create("web", image="python", command=web_server(page=NEW_PAGE))


def _recreate_and_start(lab: Lab) -> None:
    """As Compose and the updaters do it: the new one runs before anybody asks for it."""
    _remove_and_create(lab)
    lab.docker("start", "web")


def _create_beside_and_rename(lab: Lab) -> None:
    lab.docker("rename", "web", "web-old")
    lab.create("web", image="python", command=web_server(page=NEW_PAGE))
    lab.docker("stop", "web-old")
    lab.docker("rm", "web-old")


@pytest.mark.parametrize("recreate", [_remove_and_create, _recreate_and_start, _create_beside_and_rename])
@pytest.mark.parametrize("before", ["awake", "asleep"])
def test_container_recreated_under_its_name(
    service: AddService, before: str, recreate: Callable[[Lab], None]
) -> None:
    web = service()
    assert web.get().served
    if before == "asleep":
        web.falls_asleep()
    recreate(web.lab)
    # The new application may be on its way up where another hand has started it.
    eventually("the new one serves", lambda: web.get().body == NEW_PAGE)
    web.falls_asleep()
    assert web.get().body == NEW_PAGE


def test_first_client_after_a_recreation_is_served_by_the_new_one(service: AddService) -> None:
    web = service()
    assert web.get().served
    _remove_and_create(web.lab)
    following = web.get()
    assert (following.status, following.body) == (200, NEW_PAGE), following
    web.falls_asleep()


@pytest.mark.parametrize("before", ["awake", "asleep"])
def test_docker_restart_by_hand(service: AddService, before: str) -> None:
    web = service(idle="5s" if before == "awake" else "2s")
    assert web.get().served
    if before == "asleep":
        web.falls_asleep()
    web.lab.docker("restart", "web")
    following = web.get()
    assert following.served, following
    if before == "awake":
        web.falls_asleep()
    else:
        assert _stays_up(web)


def _stays_up(web: Service) -> bool:
    """Whether it is regarded as a person's: started by hand, it is no longer ours to stop."""
    eventually("it is known to be a person's", lambda: web.status["owned"] is False)
    return web.container_runs
