"""What a lab takes over from its host, on a made-up host."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import disk

WAKEPORT = Path("/checkout/.venv/bin/wakeport")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with a database, a wakeport of its own, and another Docker client."""
    files = {
        "etc/docker/daemon.json": '{"data-root": "/elsewhere"}',
        "etc/fstab": "/dev/sda1 /data ext4 defaults 0 2\n",
        "etc/group": "root:x:0:\nwakeport:x:990:\n",
        "etc/hostname": "somewhere\n",
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nwakeport:x:990:990::/:/usr/sbin/nologin\n",
        "etc/systemd/system/local.service": "[Service]\nExecStart=true\n",
        "etc/systemd/system/wakeport-web.socket": "[Socket]\nListenStream=80\n",
        "etc/wakeport/web.toml": "",
        "lib/systemd/system-generators/postgresql-generator": "",
        "lib/systemd/system/docker.service": "",
        "usr/local/bin/docker": "",
        "usr/local/bin/kept": "",
        "usr/local/lib/wakeport/1.0/main.py": "",
        "var/log/journal/0123/system.journal": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for link in (
        "etc/systemd/system/multi-user.target.wants/docker.service",
        "etc/systemd/system/multi-user.target.wants/local.service",
        "etc/systemd/system/sockets.target.wants/wakeport-web.socket",
        "lib/systemd/system/sysinit.target.wants/cryptsetup.target",
        "lib/systemd/system/timers.target.wants/apt-daily.timer",
    ):
        (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / link).symlink_to(f"/lib/systemd/system/{Path(link).name}")
    disk.prepare(tmp_path, WAKEPORT)
    return tmp_path


def masked(root: Path, unit: str) -> bool:
    path = root / "etc/systemd/system" / unit
    return path.is_symlink() and path.readlink() == Path("/dev/null")


@pytest.mark.parametrize("unit", ["apt-daily.timer", "local.service"])
def test_masks_what_the_host_would_start(root: Path, unit: str) -> None:
    assert masked(root, unit)


@pytest.mark.parametrize("unit", ["docker.service", "cryptsetup.target"])
def test_leaves_docker_and_targets_alone(root: Path, unit: str) -> None:
    assert not masked(root, unit)


def test_masks_generators(root: Path) -> None:
    generator = root / "etc/systemd/system-generators/postgresql-generator"
    assert generator.readlink() == Path("/dev/null")


def test_the_hosts_own_wakeport_stays_on_the_host(root: Path) -> None:
    left = {str(path.relative_to(root)) for path in root.rglob("*wakeport*")}
    assert left == {"usr/local/bin/wakeport"}
    assert (root / "usr/local/bin/wakeport").readlink() == WAKEPORT
    assert "wakeport" not in (root / "etc/passwd").read_text() + (root / "etc/group").read_text()


def test_only_the_distributions_docker_is_on_path(root: Path) -> None:
    assert {path.name for path in (root / "usr/local/bin").iterdir()} == {"kept", "wakeport"}
    assert not (root / "etc/docker").exists()


def test_mounts_and_logs_of_the_host_are_gone(root: Path) -> None:
    assert (root / "etc/fstab").read_text() == ""
    assert list((root / "var/log/journal").iterdir()) == []


def test_each_disk_is_a_machine_of_its_own(root: Path) -> None:
    first = (root / "etc/machine-id").read_text()
    disk.prepare(root, WAKEPORT)
    assert (root / "etc/machine-id").read_text() != first
    assert (root / "etc/hostname").read_text() == "lab\n"
