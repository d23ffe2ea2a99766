"""The boots of a machine, as journalctl of several versions lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wakeport import journal
from wakeport.errors import NoRights, OutOfReach

OLD, OLDER, HERE = "1" * 32, "2" * 32, "3" * 32

LISTS = {
    "252": f"""\
-3 {"0" * 32} Mon 2026-11-02 10:00:00 UTC—Mon 2026-11-02 11:00:00 UTC
-2 {OLDER} Mon 2026-11-09 10:00:00 UTC—Mon 2026-11-09 11:00:00 UTC
-1 {OLD} Mon 2026-11-16 10:00:00 UTC—Mon 2026-11-16 11:00:00 UTC
 0 {HERE} Mon 2026-11-23 10:00:00 UTC—Mon 2026-11-23 11:00:00 UTC
""",
    "255": f"""\
IDX BOOT ID                          FIRST ENTRY                 LAST ENTRY
 -3 {"0" * 32} Mon 2026-11-02 10:00:00 UTC Mon 2026-11-02 11:00:00 UTC
 -2 {OLDER} Mon 2026-11-09 10:00:00 UTC Mon 2026-11-09 11:00:00 UTC
 -1 {OLD} Mon 2026-11-16 10:00:00 UTC Mon 2026-11-16 11:00:00 UTC
  0 {HERE} Mon 2026-11-23 10:00:00 UTC Mon 2026-11-23 11:00:00 UTC
""",
}


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a journalctl of another machine says; what it is asked for is in `asked` beside it."""
    (tmp_path / "boot_id").write_text(f"{HERE}\n")
    monkeypatch.setattr(journal, "BOOT_ID", tmp_path / "boot_id")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def journalctl(says: Path, script: str) -> None:
    program = says / "journalctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {says}/asked\n{script}')
    program.chmod(0o755)


@pytest.mark.parametrize("version", LISTS)
def test_boots_from_the_oldest_on_that_counts(says: Path, version: str) -> None:
    (says / "list").write_text(LISTS[version])
    last = '{"__REALTIME_TIMESTAMP":"5000000000","__MONOTONIC_TIMESTAMP":"3000000000"}'
    journalctl(says, f"case $* in *--list-boots*) cat {says}/list;; *) echo '{last}';; esac")
    *earlier, now = journal.boots([OLD, OLDER, HERE])
    assert [boot.id for boot in earlier] == [OLDER, OLD]
    assert {(boot.began, boot.seconds) for boot in earlier} == {(2000, 3000)}
    assert now.id == HERE
    assert now.seconds > 0


def test_where_everything_was_in_this_boot_nobody_is_asked_for_others(says: Path) -> None:
    journalctl(says, "exit 1")
    assert [boot.id for boot in journal.boots([HERE])] == [HERE]
    assert not (says / "asked").exists()


def test_a_journal_that_is_closed_is_not_an_empty_one(says: Path) -> None:
    journalctl(
        says, "echo 'Hint: You are currently not seeing messages from other users and the system.' >&2"
    )
    with pytest.raises(NoRights):
        journal.entries(["_UID=0"], ["MESSAGE_ID"])


def test_a_machine_without_a_journal(says: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(says))
    with pytest.raises(OutOfReach):
        journal.entries(["_UID=0"], ["MESSAGE_ID"])
