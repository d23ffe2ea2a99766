"""The scripts that a person types, as a person would type them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import Lab

ROOT = Path(__file__).resolve().parents[2]

# The script writes to /opt and /usr/local/bin; in here both are empty, and gone with the namespace.
APART = """
set -eu
mount -t tmpfs none /opt
mount -t tmpfs none /usr/local/bin
mount -t tmpfs none /etc/wakeport 2>/dev/null || true
PATH=/usr/sbin:/usr/bin:/sbin:/bin
"""

# An ordinary user, but one who can read the checkout wherever it lies.
NOBODY = ["setpriv", "--reuid=65534", "--clear-groups"]
NOBODY += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]


def apart(commands: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", APART + commands],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def test_install_and_uninstall_leave_nothing() -> None:
    done = apart(
        "scripts/install; /usr/local/bin/wakeport --version; scripts/install >/dev/null; scripts/uninstall;"
        " ls -A /opt /usr/local/bin"
    )
    assert done.returncode == 0, done.stderr
    assert "is installed: /usr/local/bin/wakeport" in done.stdout
    assert done.stdout.endswith("wakeport is uninstalled\n/opt:\n\n/usr/local/bin:\n")


def test_install_does_not_replace_another_program() -> None:
    done = apart("echo mine >/usr/local/bin/wakeport; scripts/install || cat /usr/local/bin/wakeport")
    assert done.stdout == "mine\n"
    assert "not from this script" in done.stderr


@pytest.mark.parametrize("script", ["install", "uninstall", "demo"])
def test_who_is_not_root_is_told_what_to_type(script: str) -> None:
    done = subprocess.run(
        [*NOBODY, f"scripts/{script}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode != 0
    assert f"sudo scripts/{script}" in done.stderr
    assert "Traceback" not in done.stderr


TRACES = "docker ps -aq; docker images -q | sort; ls -d /etc/wakeport /run/wakeport /etc/systemd/system/wake*"
SEEN = ("processes: none", "start call", "port open", "first byte", "dozing", "asleep", "is removed")


def test_the_demo_shows_the_main_job_and_undoes_itself() -> None:
    done = subprocess.run(
        ["scripts/demo"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert [seen for seen in SEEN if seen not in done.stdout] == []


def test_the_demo_uses_the_machines_own_systemd_and_docker_where_they_run(lab: Lab) -> None:
    def traces() -> str:
        return lab.run(["sh", "-c", TRACES], check=False).stdout

    before = traces()
    done = lab.run([ROOT / "scripts" / "demo"], timeout=600)
    assert "On this machine's own systemd and Docker Engine" in done.stdout
    assert [seen for seen in SEEN if seen not in done.stdout] == []
    assert traces() == before
