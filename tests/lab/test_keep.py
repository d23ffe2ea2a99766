"""A service that is kept awake, by hand and by the clock: to the second, and through whatever happens."""

from __future__ import annotations

import json
import os
import signal
import time
from functools import partial

import pytest

from lab import Lab
from tests.lab.clients import get
from tests.lab.rounds import promised
from tests.lab.runtimes.docker import Docker
from tests.lab.services import AddService, Service
from tests.lab.traces import files_and_accounts
from tests.lab.waiting import eventually
from wakeport.supervisor.record import FORGIVEN_AFTER

# Seconds. A decision may come late on a busy machine; what comes too early is never excused.
LATE = promised(3.0)


def wakeport(service: Service, *words: str) -> str:
    return service.lab.run(["wakeport", *words]).stdout


def keep(service: Service, *words: str) -> float:
    """Keep it, and the end of that by what the supervisor says; infinity for ever."""
    said = wakeport(service, "keep", service.name, *words)
    assert said.startswith(f"{service.name} is kept awake until ")
    [entry] = [entry for entry in kept(service) if entry["by"] == "hand"]
    return float("inf") if entry["until"] is None else float(entry["until"])


def kept(service: Service) -> list[dict[str, float | str | None]]:
    [report] = json.loads(wakeport(service, "status", "--json", service.name))
    return list(report["kept"])


def shown(service: Service) -> str:
    return wakeport(service, "status", service.name)


def clock(moment: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(moment))


def set_keep(service: Service, written: str) -> None:
    """As a person does with an editor and `wakeport apply`; nothing takes the key away."""
    settings = service.lab.root / f"etc/wakeport/{service.name}.toml"
    lines = [line for line in settings.read_text().splitlines() if not line.startswith("keep = ")]
    settings.write_text("\n".join([f'keep = "{written}"'] * bool(written) + lines) + "\n")
    wakeport(service, "apply", service.name)


def open_window(service: Service, begins_in: float, lasts: float) -> tuple[float, float]:
    """Let a window begin then; when it begins and ends."""
    begins = int(time.time() + begins_in) + 1
    set_keep(service, f"{clock(begins)}-{clock(begins + lasts)}")
    return begins, begins + lasts


def stop_decided(service: Service) -> float:
    """When it was put to sleep by its own decision, once it has been."""
    eventually("it stops", lambda: service.status["state"] in ("stopping", "asleep"))
    since = float(service.status["since"])
    service.falls_asleep()
    return since


def assert_on_time(moment: float, wanted: float) -> None:
    assert wanted - 0.05 < moment < wanted + LATE, moment - wanted


def test_keep_for_a_while_wakes_and_the_idle_time_begins_at_its_end(service: AddService) -> None:
    web = service(idle="2s")
    asked = time.time()
    until = keep(web, "--for", "8s")
    assert asked + 8 <= until < asked + 8 + LATE
    web.reaches("awake")
    assert "kept by hand until " in shown(web)
    assert web.status["sleeps_at"] is None
    assert_on_time(stop_decided(web), until + 2)
    assert kept(web) == []


def test_keep_until_a_time_of_day(service: AddService) -> None:
    web = service(idle="1s")
    wanted = int(time.time()) + 6
    assert keep(web, "--until", clock(wanted)) == wanted
    assert get(web.lab).served
    assert_on_time(stop_decided(web), wanted + 1)


def test_keep_until_released(service: AddService) -> None:
    web = service(idle="1s")
    assert keep(web) == float("inf")
    web.reaches("awake")
    assert "kept by hand\n" in shown(web)
    web.stays_awake(3)
    assert get(web.lab).served
    released = time.time()
    assert wakeport(web, "release", "web") == "web is released\n"
    assert_on_time(stop_decided(web), released + 1)
    assert wakeport(web, "release", "web") == "web is not kept\n"
    assert web.is_asleep


def test_the_group_may_keep_and_others_may_not(service: AddService) -> None:
    web = service()
    assert keep(web, "--for", "1h")
    kept_by_group = web.lab.run(["wakeport", "release", "web"], user="wakeport")
    assert kept_by_group.stdout == "web is released\n"
    refused = web.lab.run(["wakeport", "keep", "web"], user="nobody", check=False)
    assert refused.returncode == 4
    assert kept(web) == []


def test_sleep_asks_before_it_ends_a_keep(service: AddService) -> None:
    web = service(idle="1s")
    keep(web, "--for", "1h")
    web.reaches("awake")
    refused = web.lab.run(["wakeport", "sleep", "web"], check=False)
    assert refused.returncode == 5
    assert "wakeport release web" in refused.stderr
    assert web.status["state"] == "awake"
    wakeport(web, "sleep", "--force", "web")
    web.falls_asleep()
    assert get(web.lab).served
    assert kept(web) == []
    web.falls_asleep()


def test_a_keep_outlives_a_supervisor_that_is_killed(service: AddService) -> None:
    web = service(idle="1s")
    until = keep(web, "--for", "14s")
    web.reaches("awake")
    started = web.lab.docker("inspect", "--format={{.State.StartedAt}}", "web")
    assert web.kill(web.units.supervisor)
    eventually("its successor", lambda: web.restarts(web.units.supervisor) and web.pids(web.units.supervisor))
    eventually("is awake", lambda: web.active(web.units.supervisor) == "active")
    assert [entry["until"] for entry in kept(web)] == [until]
    assert web.lab.docker("inspect", "--format={{.State.StartedAt}}", "web") == started
    assert_on_time(stop_decided(web), until + 1)


def test_a_keep_outlives_an_upgrade(service: AddService) -> None:
    web = service(idle="1s")
    until = keep(web, "--for", "6s")
    web.reaches("awake")
    [before] = web.pids(web.units.supervisor)
    status = web.lab.root / web.units.state[1:] / "status.json"
    published = status.stat().st_ino
    os.kill(before, signal.SIGHUP)
    eventually("the newer one has published", lambda: status.stat().st_ino != published)
    assert web.pids(web.units.supervisor) == [before]
    assert_on_time(stop_decided(web), until + 1)


def test_a_failed_wake_is_tried_again_without_any_client(service: AddService) -> None:
    web = service(idle="1s", to=81)
    settings = web.lab.root / "etc/wakeport/web.toml"
    settings.write_text('ready_within = "1s"\n' + settings.read_text())
    wakeport(web, "apply")
    keep(web, "--for", "1h")
    eventually("it failed twice", lambda: (web.status.get("failure") or {}).get("attempts", 0) >= 2)
    settings.write_text(settings.read_text().replace("to = 81", "to = 80"))
    wakeport(web, "apply")
    web.reaches("awake")
    assert kept(web)
    wakeport(web, "release", "web")
    web.falls_asleep()


@pytest.mark.parametrize("age", [0.0, FORGIVEN_AFTER + 0.5], ids=["soon", "later"])
def test_a_container_that_dies_is_woken_again(service: AddService, age: float) -> None:
    """Soon after its wake that counts as a failure, later it does not."""
    web = service(idle="1s")
    keep(web, "--for", "1h")
    web.reaches("awake")
    for _ in range(2):
        woken = web.status["last_wake"]["at"]
        eventually("it is that old", partial(is_over, woken + age))
        web.lab.run(["kill", "-9", web.lab.docker("inspect", "--format={{.State.Pid}}", "web")])
        eventually("woken again", partial(wakes_after, web, woken))
    assert kept(web)


def is_over(moment: float) -> bool:
    return time.time() > moment


def wakes_after(service: Service, moment: float) -> bool:
    """Whether it is awake again, by another wake than that one."""
    return bool(service.status["state"] == "awake" and service.status["last_wake"]["at"] > moment)


def test_a_docker_that_restarts_is_no_end_of_it(service: AddService) -> None:
    web = service(idle="1s")
    keep(web, "--for", "1h")
    web.reaches("awake")
    woken = web.status["last_wake"]["at"]
    web.systemctl("restart", "docker.service")
    eventually("woken again", lambda: wakes_after(web, woken))
    assert kept(web)


def test_a_container_that_a_person_stops_stays_stopped(service: AddService) -> None:
    web = service(idle="1s")
    keep(web, "--for", "1h")
    web.reaches("awake")
    web.lab.docker("stop", "web")
    web.falls_asleep()
    assert kept(web) == []
    assert get(web.lab).served
    web.falls_asleep()


# --- by the clock ---


def test_a_window_wakes_when_it_begins_and_ends_when_it_ends(service: AddService) -> None:
    web = service(idle="1s")
    begins, ends = open_window(web, begins_in=5, lasts=10)
    web.reaches("awake")
    assert_on_time(float(web.status["last_wake"]["at"]), begins)
    assert f"kept by calendar until {time.strftime('%H:%M', time.localtime(ends))}" in shown(web)
    assert kept(web) == [{"by": "calendar", "until": ends}]
    assert_on_time(stop_decided(web), ends + 1)
    assert len(web.moments(web.units.supervisor, "web is awake")) == 1


def test_apply_within_a_window_wakes(service: AddService) -> None:
    web = service(idle="1s")
    _, ends = open_window(web, begins_in=-60, lasts=70)
    web.reaches("awake")
    assert_on_time(stop_decided(web), ends + 1)


def test_a_window_that_is_released_stays_so_until_the_next(service: AddService) -> None:
    """OnActiveSec= came again with each daemon-reload, and woke it."""
    web = service(idle="1s")
    open_window(web, begins_in=6, lasts=3600)
    web.reaches("awake")
    wakeport(web, "release", "web")
    web.falls_asleep()
    web.systemctl("daemon-reload")
    assert "nothing to change" in wakeport(web, "apply")
    fired = web.moments(web.units.keeper, "Finished")
    assert len(fired) == 2  # by `apply`, before it was open, and when it began
    assert web.is_asleep


def test_a_window_that_the_settings_no_longer_have_ends(service: AddService) -> None:
    web = service(idle="1s")
    for settings in ("", clock(time.time() + 7200) + "-" + clock(time.time() + 7300)):
        open_window(web, begins_in=-60, lasts=3600)
        web.reaches("awake")
        eventually("kept", lambda: kept(web))
        set_keep(web, settings)
        web.falls_asleep()
        assert kept(web) == []
    set_keep(web, "")
    assert [path.name for path in (web.lab.root / "etc/systemd/system").glob("*/wakeport-*-keep*")] == []
    assert [path.name for path in (web.lab.root / "etc/systemd/system").glob("wakeport-*-keep*")] == []
    assert web.active(web.units.keep_timer) == "inactive"


def test_another_container_within_a_window_is_kept_instead(service: AddService) -> None:
    web = service(idle="1s")
    open_window(web, begins_in=-60, lasts=3600)
    web.reaches("awake")
    web.lab.create("web2")
    settings = web.lab.root / "etc/wakeport/web.toml"
    settings.write_text('container = "web2"\n' + settings.read_text())
    wakeport(web, "apply")
    eventually("web2", lambda: web.lab.docker("ps", "--format={{.Names}}") == "web2")
    eventually("kept", lambda: kept(web))


@pytest.mark.parametrize("power_cut", [False, True], ids=["reboot", "power cut"])
def test_a_boot_within_a_window_wakes(fresh_lab: Lab, power_cut: bool) -> None:
    fresh_lab.create("web")
    fresh_lab.run(["wakeport", "add", "web", "--listen=80=80", "--idle=1s"])
    web = Service(Docker(fresh_lab), "web", "web", 80)
    _, ends = open_window(web, begins_in=-60, lasts=3600)
    web.reaches("awake")
    keep(web)
    if power_cut:
        fresh_lab.kill()
        fresh_lab.boot()
    else:
        fresh_lab.reboot()
    web.reaches("awake")
    eventually("it is kept", lambda: kept(web) == [{"by": "calendar", "until": ends}])  # by hand no longer


def test_doctor_has_nothing_to_say_of_it(service: AddService) -> None:
    web = service()
    open_window(web, begins_in=-60, lasts=3600)
    assert "nothing wrong" in wakeport(web, "doctor", "web")
    web.systemctl("stop", web.units.keep_timer)
    web.systemctl("disable", web.units.keeper)
    ill = web.lab.run(["wakeport", "doctor", "web"], check=False)
    assert ill.returncode == 1
    assert f"{web.units.keep_timer} does not run" in ill.stdout
    assert f"{web.units.keeper} will not run after a reboot" in ill.stdout


def test_removal_leaves_nothing(lab: Lab) -> None:
    lab.create("web")
    before = files_and_accounts(lab)
    lab.run(["wakeport", "add", "web", "--listen=80=80"])
    web = Service(Docker(lab), "web", "web", 80)
    open_window(web, begins_in=-60, lasts=3600)
    web.reaches("awake")
    wakeport(web, "remove", "web")
    assert files_and_accounts(lab) == before
    units = lab.run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "wakeport-*"]).stdout
    assert units == ""
