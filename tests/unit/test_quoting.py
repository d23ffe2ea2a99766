"""What is written into a unit is what systemd reads from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.command_line import systemd_reads
from wakeport import quoting


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_any_argument_arrives_as_it_was(arguments: list[str]) -> None:
    written = quoting.command(*arguments)
    assert "\n" not in written
    assert systemd_reads(written) == arguments


@given(st.text(st.characters(codec="utf-8")))
def test_a_value_stays_in_its_line(text: str) -> None:
    try:
        written = quoting.value(text)
    except ValueError:
        return
    assert written.splitlines() in ([], [written])
    assert written == written.strip()
    assert not written.endswith("\\")
    assert written.replace("%%", "%") == text


def test_a_nul_is_no_argument() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quoting.argument("a\0b")
