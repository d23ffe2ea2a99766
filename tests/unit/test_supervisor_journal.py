from __future__ import annotations

import socket
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from wakeport.supervisor.journal import datagram, write

KEYS = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True)


def parsed(data: bytes) -> dict[str, str]:
    """As journald reads it, https://systemd.io/JOURNAL_NATIVE_PROTOCOL."""
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        if b"=" in line:
            key, _, value = line.partition(b"=")
            data = rest
        else:
            key, size = line, int.from_bytes(rest[:8], "little")
            value = rest[8 : 8 + size]
            assert rest[8 + size : 9 + size] == b"\n"
            data = rest[9 + size :]
        fields[key.decode()] = value.decode()
    return fields


@given(st.dictionaries(KEYS, st.text(st.characters(exclude_categories=["Cs"]))))
def test_journald_reads_what_was_written_whatever_is_in_it(fields: dict[str, str]) -> None:
    assert parsed(datagram(fields)) == fields


def test_a_value_that_is_no_text_is_written_all_the_same() -> None:
    assert parsed(datagram({"A": "x\ud800y"})) == {"A": "x?y"}


def test_one_datagram_an_entry(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(path)
        journald.settimeout(30)
        write({"MESSAGE": "one"}, path)
        write({"MESSAGE": "two\nlines"}, path)
        assert parsed(journald.recv(1000)) == {"MESSAGE": "one"}
        assert parsed(journald.recv(1000)) == {"MESSAGE": "two\nlines"}


def test_a_journal_that_is_away_full_or_overwhelmed_is_no_reason_to_die(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    write({"MESSAGE": "nobody is there"}, path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(path)
        write({"MESSAGE": "x" * 10_000_000}, path)
        for _ in range(10_000):  # nobody reads: it would block for ever
            write({"MESSAGE": "x" * 1000}, path)
