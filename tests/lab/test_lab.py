"""The lab itself: what the other tests stand on."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import Lab, LabError, machine
from lab.images import PAGE
from tests.lab.conftest import clean_up
from tests.lab.waiting import PATIENCE, eventually, listens

CHECKOUT = Path(__file__).resolve().parents[2]


def answer(lab: Lab, port: int, host: str = "127.0.0.1") -> str:
    """What an HTTP server in the lab answers to `GET /`."""
    with lab.network():
        client = socket.create_connection((host, port), timeout=10)
    with client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


def test_boots_with_every_unit_up(lab: Lab) -> None:
    assert lab.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert lab.run(["systemctl", "is-active", "docker.service"]).stdout == "active\n"
    assert lab.run(["hostname"]).stdout == "lab\n"


def test_starts_nothing_of_the_host(fresh_lab: Lab) -> None:
    units = fresh_lab.run(
        ["systemctl", "list-units", "--type=service,timer", "--state=active", "--plain", "--no-legend"]
    )
    names = {line.split()[0] for line in units.stdout.splitlines()}
    # Some are not wanted by anybody but required by others, and end as soon as they have run.
    expected = {"containerd.service", "dbus.service", "docker.service", "systemd-journald.service"}
    assert expected <= names
    assert all(name in expected or name.startswith("systemd-") for name in names)


def test_container_answers(lab: Lab) -> None:
    lab.create("web", "--publish=8080:80")
    lab.docker("start", "web")
    listens(lab, "web")
    address = lab.docker("inspect", "--format={{.NetworkSettings.IPAddress}}", "web")
    assert answer(lab, 80, address).endswith(PAGE)
    assert answer(lab, 8080).endswith(PAGE)
    assert lab.docker("logs", "web").count('"GET / HTTP/1.0" 200') == 2


def test_images_need_no_overlay_of_overlays(lab: Lab) -> None:
    assert lab.docker("info", "--format={{.Driver}}") == "overlay2"


def test_python_container_has_what_a_test_program_needs(lab: Lab) -> None:
    program = "import asyncio, http.server, json, socket, ssl, subprocess as s; print(s.getoutput('id'))"
    lab.create("program", image="python", command=["python3", "-W", "error", "-c", program])
    assert lab.docker("start", "--attach", "program").startswith("uid=0(root)")


def test_each_test_starts_from_nothing(lab: Lab) -> None:
    unit = lab.root / "etc/systemd/system/wakeport-left-container.service"
    for _ in range(2):
        unit.write_text(
            "[Service]\nExecStart=/bin/sh -c 'trap : TERM; sleep infinity & wait; wait'\nRestart=always\n"
        )
        lab.run(["systemctl", "start", unit.name])
        lab.create("left")
        lab.docker("start", "left")
        lab.docker("pause", "left")
        clean_up(lab)
        assert not unit.exists()


def test_wakeport_is_on_path(lab: Lab) -> None:
    link = lab.run(["readlink", "/usr/local/bin/wakeport"]).stdout.strip()
    assert link == str(Path(sys.prefix, "bin/wakeport"))


def test_sees_the_checkout_and_cannot_write_to_it(lab: Lab) -> None:
    assert lab.run(["cat", CHECKOUT / "pyproject.toml"]).stdout == (CHECKOUT / "pyproject.toml").read_text()
    with pytest.raises(LabError, match="Read-only file system"):
        lab.run(["touch", CHECKOUT / "new"])


def test_devices_are_its_own(lab: Lab) -> None:
    assert (lab.root / "dev").stat().st_dev != Path("/dev").stat().st_dev
    assert (lab.root / "dev/log").is_symlink()


def test_run_passes_input_environment_and_user(lab: Lab) -> None:
    script = "id -un; echo $USER $HOME; echo $GREETING; cat"
    result = lab.run(["sh", "-c", script], input="hello", env={"GREETING": "hi"}, user="nobody")
    assert result.stdout == "nobody\nnobody /nonexistent\nhi\nhello"


def test_run_says_what_failed(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"`ls /nowhere` failed \(2\): .*No such file"):
        lab.run(["ls", "/nowhere"])
    assert lab.run(["ls", "/nowhere"], check=False).returncode == 2


def test_a_command_that_takes_too_long_does_not_stay_behind(lab: Lab) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        lab.run(["sleep", "4711"], timeout=2)
    eventually("it has ended", lambda: "sleep 4711" not in lab.run(["ps", "-eo", "args"]).stdout)


def test_network_moves_the_calling_thread_only_for_the_block(lab: Lab) -> None:
    def where() -> Path:
        return Path("/proc/thread-self/ns/net").readlink()

    before = where()
    with ThreadPoolExecutor(1) as other:
        assert other.submit(where).result() == before
        with lab.network():
            assert where() == Path(f"/proc/{lab.pid}/ns/net").readlink() != before
            assert other.submit(where).result() == before
    assert where() == before


def test_a_thousand_clients_cost_no_process(lab: Lab) -> None:
    lab.create("web", "--publish=8080:80")
    lab.docker("start", "web")
    listens(lab, "web")
    address = lab.docker("inspect", "--format={{.NetworkSettings.IPAddress}}", "web")
    with lab.network():
        clients = [socket.create_connection((address, 80), timeout=10) for _ in range(1000)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answers = [client.recv(17) for client in clients]
    for client in clients:
        client.close()
    assert set(answers) == {b"HTTP/1.1 200 OK\r\n"}


def test_no_packet_leaves(lab: Lab) -> None:
    with lab.network(), pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("192.0.2.1", 80), timeout=10)


def test_two_at_once_with_the_same_ports(lab: Lab, fresh_lab: Lab) -> None:
    for each in (lab, fresh_lab):
        each.create("web", "--publish=80:80")
        each.docker("start", "web")
        listens(each, "web")
    fresh_lab.run(["systemctl", "stop", "docker.socket", "docker.service"])
    assert answer(lab, 80).endswith(PAGE)
    with pytest.raises(ConnectionRefusedError):
        answer(fresh_lab, 80)


def test_lab_on_a_host_whose_pid_1_is_systemd(lab: Lab) -> None:
    inner = ["systemctl", "is-system-running"]
    command = [sys.executable, "-m", "lab", *inner]
    assert lab.run(["env", f"--chdir={CHECKOUT}", *command]).stdout == "running\n"
    left = lab.run(["systemctl", "list-units", "--type=scope", "--plain", "--no-legend", "run-*"]).stdout
    assert left == ""


def test_reboot_keeps_the_disk_and_nothing_else(fresh_lab: Lab) -> None:
    fresh_lab.create("web")
    (fresh_lab.root / "etc/kept").write_text("kept")
    (fresh_lab.root / "run/lost").write_text("lost")
    pid = fresh_lab.pid
    fresh_lab.reboot()
    assert fresh_lab.pid != pid
    assert (fresh_lab.root / "etc/kept").read_text() == "kept"
    assert not (fresh_lab.root / "run/lost").exists()
    assert fresh_lab.docker("ps", "--all", "--format={{.Names}}") == "web"
    boots = fresh_lab.run(["journalctl", "--list-boots", "--no-pager"]).stdout
    assert re.findall(r"^ *(-?\d+) ", boots, re.MULTILINE) == ["-1", "0"]


def test_power_cut_and_boot(fresh_lab: Lab) -> None:
    fresh_lab.create("web", "--restart=always")
    fresh_lab.docker("start", "web")
    fresh_lab.kill()
    assert not fresh_lab.running
    fresh_lab.boot()
    assert fresh_lab.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert fresh_lab.docker("inspect", "--format={{.State.Running}}", "web") == "true"


def test_shutdown_is_clean(fresh_lab: Lab) -> None:
    assert fresh_lab.shutdown() < 30
    assert not fresh_lab.running
    with pytest.raises(LabError, match="does not run"):
        fresh_lab.run(["true"])
    fresh_lab.boot()
    end = fresh_lab.run(["journalctl", "--boot=-1", "--no-pager", "--lines=20"]).stdout
    assert "Journal stopped" in end


def test_shutdown_that_hangs_names_the_job(fresh_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = fresh_lab.root / "run/systemd/system/test-stubborn.service"
    unit.parent.mkdir(exist_ok=True)
    unit.write_text("[Service]\nExecStart=sleep infinity\nExecStop=sleep infinity\nTimeoutStopSec=infinity\n")
    fresh_lab.run(["systemctl", "start", unit.name])
    monkeypatch.setattr(machine, "SHUTDOWN_LIMIT", 1.0)
    with pytest.raises(LabError, match=r"(?s)nothing from the lab for 1 s.*test-stubborn"):
        fresh_lab.shutdown()


def test_boot_that_fails_shows_the_console(fresh_lab: Lab) -> None:
    systemd = Path("/lib/systemd/systemd").resolve().relative_to("/")
    (fresh_lab.root / systemd).unlink()
    fresh_lab.kill()
    with pytest.raises(LabError, match=r"(?s)went down while it booted.*console:.*systemd"):
        fresh_lab.boot()


OWNER = """
from lab import Lab
lab = Lab()
lab.boot()
lab.load("nginx")
lab.create("web")
lab.docker("start", "web")
print(lab.pid, lab._holder.pid, flush=True)
input()
{end}
"""

KILLED = "pass"  # by the test


@pytest.mark.parametrize("end", ["lab.close()", "lab.shutdown(); lab.close()", "lab.kill()", KILLED])
def test_leaves_nothing_behind(end: str) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER.format(end=end)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        systemd, holder = map(int, owner.stdout.readline().split())
        ends = [os.pidfd_open(pid) for pid in (systemd, holder)]
        assert cgroups_of(holder)
        if end == KILLED:
            owner.send_signal(signal.SIGKILL)
        else:
            owner.stdin.write("\n")
            owner.stdin.flush()
        for fd in ends:
            assert select.select([fd], [], [], PATIENCE)[0], "still runs"
            os.close(fd)
    assert cgroups_of(holder) == []
    assert Path("/proc/self/mountinfo").read_text() == mounts


def cgroups_of(holder: int) -> list[Path]:
    hierarchy = re.search(r"^(?:\S+ ){4}(\S+) .* - cgroup2 ", Path("/proc/self/mountinfo").read_text(), re.M)
    assert hierarchy is not None, "no unified cgroup hierarchy to look at"
    # Not rglob(), which minds that cgroups of other labs are gone before it has looked into them.
    return [Path(path) for path, *_ in os.walk(hierarchy[1]) if path.endswith(f"/wakeport-lab-{holder}")]


def test_command_line_runs_one_command_and_returns_its_exit_code() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "lab", "sh", "-c", "docker images; cat; exit 4"],
        cwd=CHECKOUT,
        input="from outside",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (4, "")
    assert re.search(r"(?s)nginx .*python .*from outside$|python .*nginx .*from outside$", result.stdout)
