"""The words of the command line, right and wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.proxy.options import OptionError, Options

GOOD = ["name=web", "lease=/run/wakeport/web.lease", "ready_within=90", "target=80/tcp", "target=443/tcp"]


def test_a_unit_s_words() -> None:
    options = Options(GOOD)
    assert (options.name, options.lease, options.ready_within) == ("web", "/run/wakeport/web.lease", 90)
    assert [listener.target for listener in options.listeners] == ["80/tcp", "443/tcp"]


@pytest.mark.parametrize("key", ["name", "lease", "ready_within", "target"])
def test_what_is_missing_is_named(key: str) -> None:
    with pytest.raises(OptionError, match=f"{key}= is missing"):
        Options([word for word in GOOD if not word.startswith(key)])


@pytest.mark.parametrize(
    "word", ["name=other", "colour=red", "name", "target=", "--help", "answer_within=soon"]
)
def test_what_makes_no_sense_is_refused(word: str) -> None:
    with pytest.raises(OptionError):
        Options([*GOOD, word])


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "infinity", "", "1e999"])
def test_a_wait_is_a_finite_time(seconds: str) -> None:
    with pytest.raises(OptionError):
        Options([*GOOD[:2], f"ready_within={seconds}", *GOOD[3:]])


@given(st.lists(st.text(max_size=40)))
def test_any_words_are_options_or_an_option_error(words: list[str]) -> None:
    with pytest.raises(OptionError):
        Options(words)
