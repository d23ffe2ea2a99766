from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.runtimes.cgroup import cpu_seconds, usage

ID = "3b" * 32
PAGE = os.sysconf("SC_PAGE_SIZE")


class Machine:
    """What the kernel shows of a machine, as files below a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def shows(self, path: str, text: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def unified(self) -> None:
        self.shows("/sys/fs/cgroup/cgroup.procs", "")

    def cpu(self, pid: int = 7) -> float | None:
        return cpu_seconds(pid, str(self.root))

    def memory(self, pid: int = 7) -> int | None:
        found = usage(pid, str(self.root))
        return None if found is None else found.memory


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("path", [f"/system.slice/docker-{ID}.scope", f"/docker/{ID}"])
def test_cgroup2_tells_processor_time_and_memory(machine: Machine, path: str) -> None:
    machine.unified()
    machine.shows("/proc/7/cgroup", f"0::{path}\n")
    machine.shows(f"/sys/fs/cgroup{path}/cpu.stat", "usage_usec 1250000\nuser_usec 1\nsystem_usec 2\n")
    machine.shows(f"/sys/fs/cgroup{path}/memory.current", "50000\n")
    machine.shows(f"/sys/fs/cgroup{path}/memory.stat", "anon 1\ninactive_file 8000\nactive_file 3\n")
    assert machine.cpu() == 1.25
    assert machine.memory() == 42000


def test_version_1_tells_them_too(machine: Machine) -> None:
    own = f"/docker/{ID}"
    machine.shows("/proc/7/cgroup", f"9:memory:{own}\n4:cpu,cpuacct:{own}\n1:name=systemd:{own}\n0::/\n")
    machine.shows(f"/sys/fs/cgroup/cpuacct{own}/cpuacct.usage", "2500000000\n")
    machine.shows(f"/sys/fs/cgroup/memory{own}/memory.usage_in_bytes", "50000\n")
    machine.shows(f"/sys/fs/cgroup/memory{own}/memory.stat", "inactive_file 1\ntotal_inactive_file 8000\n")
    assert machine.cpu() == 2.5
    assert machine.memory() == 42000


def test_a_group_shared_with_the_runtime_or_the_machine_does_not_count(machine: Machine) -> None:
    """Engine 20.10 on a hybrid machine: on cgroup2 the container stays in the group of the Engine itself."""
    own = f"/docker/{ID}"
    machine.shows("/proc/7/cgroup", f"4:cpuacct:{own}\n3:memory:/\n0::/system.slice/docker.service\n")
    machine.shows("/sys/fs/cgroup/unified/system.slice/docker.service/cpu.stat", "usage_usec 99000000\n")
    machine.shows("/sys/fs/cgroup/memory/memory.usage_in_bytes", "99000000\n")
    machine.shows(f"/sys/fs/cgroup/cpuacct{own}/cpuacct.usage", "2500000000\n")
    assert machine.cpu() == 2.5
    assert machine.memory() is None


def test_beside_version_1_cgroup2_is_in_a_directory_of_its_own(machine: Machine) -> None:
    own = f"/system.slice/docker-{ID}.scope"
    machine.shows("/proc/7/cgroup", f"4:cpuacct:/\n0::{own}\n")
    machine.shows(f"/sys/fs/cgroup/unified{own}/cpu.stat", "usage_usec 1250000\n")
    assert machine.cpu() == 1.25


def test_groups_made_inside_the_container_are_a_part_of_it(machine: Machine) -> None:
    """A systemd in the container moves itself to init.scope, and everything else elsewhere."""
    machine.unified()
    machine.shows("/proc/7/cgroup", f"0::/docker/{ID}/init.scope\n")
    machine.shows(f"/sys/fs/cgroup/docker/{ID}/cpu.stat", "usage_usec 3000000\n")
    machine.shows(f"/sys/fs/cgroup/docker/{ID}/init.scope/cpu.stat", "usage_usec 1000000\n")
    machine.shows(f"/sys/fs/cgroup/docker/{ID}/init.scope/cgroup.procs", "7\n")
    machine.shows(f"/sys/fs/cgroup/docker/{ID}/system.slice/web.service/cgroup.procs", "8\n")
    machine.shows("/proc/7/statm", "900 10 2 1 0 9 0\n")
    machine.shows("/proc/8/statm", "900 20 5 1 0 9 0\n")
    assert machine.cpu() == 3
    assert machine.memory() == (8 + 15 + 5) * PAGE


def test_without_the_memory_controller_pages_are_counted(machine: Machine) -> None:
    machine.unified()
    own = f"/sys/fs/cgroup/docker/{ID}"
    machine.shows("/proc/7/cgroup", f"0::/docker/{ID}\n")
    machine.shows(f"{own}/cpu.stat", "usage_usec 3000000\n")
    machine.shows(f"{own}/cgroup.procs", "7\n8\n9\n")
    machine.shows("/proc/7/statm", "900 100 40 1 0 9 0\n")
    machine.shows("/proc/8/statm", "900 70 50 1 0 9 0\n")  # 9 has ended meanwhile
    assert machine.memory() == (60 + 20 + 50) * PAGE


@pytest.mark.parametrize(
    "lines",
    ["", "0::/\n", f"0::/../../docker/{ID}\n", "0::/docker/3b3b\n", "nonsense\n", "\udcff::\n"],
    ids=["gone", "none", "outside", "no-id", "garbled", "bytes"],
)
def test_where_there_is_no_group_nothing_is_known(machine: Machine, lines: str) -> None:
    machine.unified()
    if lines:
        machine.shows("/proc/7/cgroup", "")
        (machine.root / "proc/7/cgroup").write_bytes(lines.encode(errors="surrogateescape"))
    assert machine.cpu() is None
    assert usage(7, str(machine.root)) is None


@given(text=st.text(max_size=60))
def test_no_content_of_a_file_raises(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    machine = Machine(tmp_path_factory.mktemp("machine"))
    machine.unified()
    machine.shows("/proc/7/cgroup", f"0::/docker/{ID}\n")
    machine.shows(f"/sys/fs/cgroup/docker/{ID}/cpu.stat", f"usage_usec {text}")
    machine.shows(f"/sys/fs/cgroup/docker/{ID}/memory.current", text)
    assert (machine.cpu() or 0) >= 0
    assert (machine.memory() or 0) >= 0


def test_what_this_machine_shows_of_us_can_be_read() -> None:
    usage(os.getpid())
