"""Pushing memory out: what is asked of the kernel, when to stop asking, and why it is not asked at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.unit.test_cgroup import ID, Machine
from wakeport.runtimes import reclaim
from wakeport.runtimes.reclaim import STEP, CannotReclaim, memory_of, steps

GROUP = f"/sys/fs/cgroup/docker/{ID}"
MIB = 1024 * 1024


class Kernel(Machine):
    """A container with `memory` bytes, of which `stuck` cannot be pushed out."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.memory_now = 100 * MIB
        self.stuck = 0
        self.asked: list[int] = []
        self.unified()
        self.shows("/proc/swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 1 0 100\n")
        self.shows("/proc/7/cgroup", f"0::/docker/{ID}\n")
        self.shows(f"{GROUP}/memory.reclaim", "")
        self.show()

    def show(self) -> None:
        self.shows(f"{GROUP}/memory.current", f"{self.memory_now}\n")

    def write(self, path: str, size: int) -> None:
        assert path == f"{self.root}{GROUP}/memory.reclaim"
        self.asked.append(size)
        freed = min(size, self.memory_now - self.stuck)
        self.memory_now -= freed
        self.show()
        if freed < size:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    def push(self) -> int:
        return sum(1 for _ in steps(7, str(self.root)))


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(tmp_path)
    monkeypatch.setattr(reclaim, "_write", kernel.write)
    return kernel


def test_all_of_it_goes_piece_by_piece(kernel: Kernel) -> None:
    assert kernel.push() == len(kernel.asked) == 7
    assert max(kernel.asked) == STEP
    assert memory_of(7, str(kernel.root)) == 0


def test_what_cannot_go_is_asked_for_once(kernel: Kernel) -> None:
    kernel.stuck = 60 * MIB
    kernel.push()
    assert kernel.memory_now == kernel.stuck
    assert len(kernel.asked) == 4, kernel.asked


def test_next_to_nothing_is_left_alone(kernel: Kernel) -> None:
    kernel.memory_now = MIB
    kernel.show()
    assert kernel.push() == 0


def test_a_container_that_is_gone_is_no_error(kernel: Kernel) -> None:
    (kernel.root / f"{GROUP[1:]}/memory.current").unlink()
    assert kernel.push() == 0


@pytest.mark.parametrize(
    ("path", "text", "why"),
    [
        ("/proc/swaps", "Filename Type Size Used Priority\n", "no swap"),
        ("/proc/7/cgroup", "0::/\n", "no cgroup of its own"),
        (f"{GROUP}/memory.reclaim", None, "Linux 5.19"),
    ],
)
def test_where_it_stays_the_reason_is_told(kernel: Kernel, path: str, text: str | None, why: str) -> None:
    if text is None:
        (kernel.root / path[1:]).unlink()
    else:
        kernel.shows(path, text)
    with pytest.raises(CannotReclaim, match=why):
        kernel.push()


def test_a_kernel_that_forbids_it_is_the_reason(tmp_path: Path) -> None:
    """The real write, to a file that is none of the kernel's: a directory."""
    kernel = Kernel(tmp_path)
    (tmp_path / f"{GROUP[1:]}/memory.reclaim").unlink()
    (tmp_path / f"{GROUP[1:]}/memory.reclaim").mkdir()
    with pytest.raises(CannotReclaim, match="Is a directory"):
        kernel.push()
