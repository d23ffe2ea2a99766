"""`pass_fd` with what takes a socket in the field: a server, a machine of nspawn, a unit of Quadlet's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Lab
from lab.images import PAGE
from tests.lab.applications import web_server
from tests.lab.runtimes import DIES_AT_ONCE, Containers
from tests.lab.runtimes.nspawn import Nspawn
from tests.lab.runtimes.podman import Podman
from tests.lab.runtimes.unit import Unit
from tests.lab.services import Service
from tests.lab.test_pass_fd import TAKES_SOCKETS

LIGHTTPD = """
server.document-root = "/srv/www"
server.port = 80
server.systemd-socket-activation = "enable"
index-file.names = ("index.html")
"""

# What Quadlet (Podman 4.4) makes of a file NAME.container. The Podman of Debian 12 has none, and runs this
# all the same, but for ExecStartPre=: it leaves the file with the container's id behind.
QUADLET = """
[Unit]
SourcePath=/etc/containers/systemd/web.container
RequiresMountsFor=%t/containers

[Service]
Environment=PODMAN_SYSTEMD_UNIT=%n
KillMode=mixed
ExecStartPre=/bin/rm --force %t/%N.cid
ExecStop=/usr/bin/podman rm --force --ignore --cidfile=%t/%N.cid
ExecStopPost=-/usr/bin/podman rm --force --ignore --cidfile=%t/%N.cid
Delegate=yes
Type=notify
NotifyAccess=all
SyslogIdentifier=%N
ExecStart=/usr/bin/podman run --name=systemd-%N --cidfile=%t/%N.cid --replace --rm \
    --log-driver=passthrough --cgroups=split --sdnotify=conmon --detach {what}
"""


@pytest.fixture
def cleaned(lab: Lab) -> Iterator[Lab]:
    """Our units go before what they start."""
    yield lab
    lab.run(["sh", "-c", "systemctl stop 'wakeport-*'; systemctl stop web.service"], check=False)
    lab.run(["sh", "-c", "rm -rf /etc/systemd/system/web.service /srv/*"])
    lab.run(["sh", "-c", "rm -rf /etc/systemd/system/*.d/wakeport-*; systemctl daemon-reload"])


def wakes_and_sleeps(containers: Containers, *options: str, listen: str = "80") -> None:
    lab = containers.lab
    settings = [f"--runtime={containers.runtime}", f"--listen={listen}", "--idle=1s", *options]
    lab.run(["wakeport", "add", "web", *settings])
    web = Service(containers, "web", "web", 80)
    for _ in range(2):
        answer = web.get()
        assert answer.served, answer
        if "--doze=300ms" in options:
            web.reaches("dozing")
            answer = web.get()
            assert answer.served, answer
        web.falls_asleep()


def unit(lab: Lab, text: str) -> Unit:
    (lab.root / "etc/systemd/system/web.service").write_text(text)
    lab.run(["systemctl", "daemon-reload"])
    units = Unit(lab)
    units.made["web"] = ""
    return units


def test_lighttpd(cleaned: Lab) -> None:
    (cleaned.root / "srv/www").mkdir()
    (cleaned.root / "srv/www/index.html").write_text(PAGE)
    (cleaned.root / "srv/lighttpd.conf").write_text(LIGHTTPD)
    text = "[Service]\nExecStart=/usr/sbin/lighttpd -D -f /srv/lighttpd.conf\n"
    wakes_and_sleeps(unit(cleaned, text), "--pass-fd", "--doze=300ms")


def test_a_machine_of_nspawn(cleaned: Lab) -> None:
    """Not beside a stub: the socket is passed to the first process, and names it."""
    machines = Nspawn(cleaned)
    machines.create("web", DIES_AT_ONCE, image="python", command=["python3", "-c", TAKES_SOCKETS])
    settings = cleaned.root / "etc/systemd/nspawn/web.nspawn"
    refused = cleaned.run(
        ["wakeport", "add", "web", "--runtime=nspawn", "--listen=80", "--pass-fd"], check=False
    )
    assert refused.returncode == 2, refused
    assert "ProcessTwo=" in refused.stderr
    settings.write_text(settings.read_text().replace("ProcessTwo=yes\n", ""))
    wakes_and_sleeps(machines, "--pass-fd", "--doze=300ms")
    cleaned.run(["sh", "-c", "systemctl stop 'wakeport-*'"])
    machines.clean_up()


def test_a_unit_of_quadlet_s_without_a_network(cleaned: Lab) -> None:
    podman = Podman(cleaned)
    (cleaned.root / "srv/web.py").write_text(TAKES_SOCKETS)
    what = f"--network=none {DIES_AT_ONCE} --volume=/srv/web.py:/web.py:ro python python3 /web.py"
    wakes_and_sleeps(unit(cleaned, QUADLET.format(what=what)), "--pass-fd", "--doze=300ms")
    podman.clean_up()


def test_a_unit_of_quadlet_s_behind_the_proxy(cleaned: Lab) -> None:
    """Its main process is conmon, on the host: what is published is reached there."""
    podman = Podman(cleaned)
    *_, program = web_server()
    (cleaned.root / "srv/web.py").write_text(program)
    what = "--publish=127.0.0.1:8081:80 --volume=/srv/web.py:/web.py:ro python python3 /web.py"
    wakes_and_sleeps(unit(cleaned, QUADLET.format(what=what)), "--doze=300ms", listen="80=8081")
    podman.clean_up()
