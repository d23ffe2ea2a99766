"""Labs for tests: one that all of a process share, and fresh ones for tests that shut down or break theirs.

A lab that cannot boot fails the tests that asked for it, with its reason; it never skips them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence

import pytest

from lab import Lab
from lab.client import Client
from tests.lab.bypassing import Bypassed, client_from_outside
from tests.lab.programs import python
from tests.lab.rounds import IN_FULL
from tests.lab.runtimes import Containers
from tests.lab.runtimes.docker import Docker
from tests.lab.runtimes.lxc import Lxc
from tests.lab.runtimes.nspawn import Nspawn
from tests.lab.runtimes.podman import Podman
from tests.lab.runtimes.rootless import Rootless
from tests.lab.runtimes.unit import Unit
from tests.lab.runtimes.user_unit import UserUnit
from tests.lab.services import CLASSIC, SHAPES, AddService, Service
from tests.lab.visits import TELLS

RUNTIMES: dict[str, Callable[[Lab], Containers]] = {
    "docker": Docker,
    "podman": Podman,
    "nspawn": Nspawn,
    "lxc": Lxc,
    "unit": Unit,
}

# `every_runtime(daily="docker")` is for a long row about what is the same for all: the others have it in the
# soak.
#
# Those that have no root, for the rows that are also for them: `every_runtime(users=DAILY)`, or IN_SOAK.
USERS: dict[str, Callable[[Lab], Containers]] = {"user": UserUnit, "rootless": Rootless}
DAILY, IN_SOAK = "daily", "soak"

# What a test may have left in the shared lab. Killed first, since a test may have taught them not to stop.
LINES = 150  # of the journal, behind a failure

CLEAN_UP = """
systemctl stop --no-block 'wakeport-*' 'test-*'
systemctl kill --signal=KILL 'wakeport-*' 'test-*' 2>/dev/null
systemctl stop 'wakeport-*' 'test-*'
rm -rf /etc/wakeport /run/wakeport /var/lib/wakeport /usr/local/lib/wakeport
rm -rf /etc/*/wakeport* /etc/systemd/system/*wakeport-* /etc/systemd/system/*/*wakeport-*
rm -rf /etc/systemd/system/test-* /run/systemd/transient/test-*
systemctl daemon-reload
systemctl reset-failed
systemctl start docker.service || exit
containers=$(docker ps --all --quiet)
[ -z "$containers" ] || docker rm --force --volumes $containers >/dev/null || exit
docker network prune --force >/dev/null
nft delete table inet wakeport 2>/dev/null
userdel wakeport 2>/dev/null
groupdel wakeport 2>/dev/null
exit 0
"""


def _booted() -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.fail("a lab needs root, for its namespaces; run the tests as root", pytrace=False)
    with Lab() as lab:
        lab.load("nginx")
        lab.load("python")
        yield lab


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    """The one lab of this process. Tests ask for `lab`, which cleans up behind them."""
    yield from _booted()


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """A running lab with the images `nginx` and `python`; no service, no container."""
    yield shared_lab
    clean_up(shared_lab)


def clean_up(lab: Lab) -> None:
    lab.run(["sh", "-c", CLEAN_UP])


@pytest.fixture
def live_restore(lab: Lab) -> Iterator[None]:
    """A Docker whose containers outlive it."""
    settings = lab.root / "etc/docker/daemon.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text('{"live-restore": true}')
    lab.run(["systemctl", "restart", "docker.service"])
    yield
    settings.unlink()
    lab.run(["systemctl", "restart", "docker.socket", "docker.service"])


@pytest.fixture
def fresh_lab() -> Iterator[Lab]:
    """A lab for one test alone, which may shut it down, reboot it, or break it."""
    yield from _booted()


@pytest.fixture
def visitor(lab: Lab) -> Iterator[Client]:
    """A client from outside, at 10.99.0.2 and fd99::2."""
    with Client(lab) as client:
        yield client


@pytest.fixture
def runtime(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "docker"))


@pytest.fixture
def containers(lab: Lab, runtime: str) -> Iterator[Containers]:
    """The containers of the test's runtime."""
    made = (RUNTIMES | USERS)[runtime](lab)
    yield made
    if runtime != "docker":
        clean_up(lab)  # first, or somebody would still start what is about to go
        made.clean_up()


@pytest.fixture
def service(containers: Containers) -> AddService:
    """Makes a container and `wakeport add`s it. Options are `wakeport add`'s, `create` is docker's.

    The port is open on return.
    """

    def add(
        name: str = "web",
        *options: str,
        listen: int = 80,
        idle: str = "2s",
        shape: str = "wakeport",
        image: str = "",
        command: Sequence[str] = (),
        to: int = 80,
        create: Sequence[str] = (),
    ) -> Service:
        containers.create(name, *create, image=image or ("python" if command else "nginx"), command=command)
        settings = [f"--listen={listen}={containers.target(name, to)}", f"--idle={idle}", f"--proxy={shape}"]
        if containers.runtime != "docker":
            settings.append(f"--runtime={containers.runtime}")
        containers.home.run(["wakeport", "add", name, *settings, *options])
        return Service(containers, name, name, listen)

    return add


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    """For rows that hold with either proxy."""
    return str(request.param)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if (marker := metafunc.definition.get_closest_marker("every_runtime")) is not None:
        users = USERS if marker.kwargs.get("users") else {}
        metafunc.parametrize("runtime", [*RUNTIMES, *users], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not IN_FULL:
        left_out = [item for item in items if item.get_closest_marker("full") or _repeats(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _repeats(item: pytest.Item) -> bool:
    """The classic shape is another proxy, to which all runtimes are the same: one of them is enough.

    And what has no root differs in its places and its ways in, which a few rows go through.
    """
    given, marker = getattr(item, "callspec", None), item.get_closest_marker("every_runtime")
    if given is None or marker is None:
        return False
    runtime = given.params["runtime"]
    if runtime in USERS and marker.kwargs["users"] != DAILY:
        return True
    if runtime != marker.kwargs.get("daily", runtime):
        return True
    return bool(runtime != "docker" and given.params.get("shape") == CLASSIC)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the lab's journal says of the time of the test."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    lab = arguments.get("fresh_lab") or arguments.get("lab")
    if report.failed and isinstance(lab, Lab) and lab.running:
        journal = ["journalctl", "--no-pager", "--output=short-precise", f"--since=@{call.start:.0f}"]
        # Not --lines: with --since it means the first ones.
        lines = lab.run(journal, check=False).stdout.splitlines()[-LINES:]
        report.sections.append(("journal of the lab", "\n".join(lines)))
    return report


@pytest.fixture
def outside(lab: Lab) -> Iterator[Client]:
    """A client from outside, whose traffic FORWARD lets through to the ports from 80 to 99."""
    with client_from_outside(lab) as client:
        yield client


@pytest.fixture
def bypassed(service: AddService) -> Bypassed:
    """Makes a service with bypass, whose program tells who it is; `settings` are lines of its file."""

    def add(
        *settings: str,
        name: str = "web",
        listen: int = 80,
        idle: str = "1min",
        create: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> Service:
        web = service(name, *options, listen=listen, idle=idle, command=python(TELLS), create=create)
        path = web.home.configuration / f"{name}.toml"
        path.write_text("\n".join(["bypass = true", *settings, path.read_text()]))
        web.home.run(["wakeport", "apply", name])
        return web

    return add
