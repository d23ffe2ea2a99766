from __future__ import annotations

import math
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.span import Span, decimal, roughly, spell


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("1min 30s", 90),
        ("1min30s", 90),
        ("2 h", 7200),
        ("2hours", 7200),
        ("48hr", 172800),
        ("55s500ms", 55.5),
        ("300ms20s 5day", 432020.3),
        ("1.5h", 5400),
        ("1M", 2629800),
        ("1m", 60),
        ("0", 0),
        ("infinity", math.inf),
    ],
)
def test_a_span_means_what_systemd_takes_it_for(text: str, seconds: float) -> None:
    assert Span.parse(text).seconds == pytest.approx(seconds)
    if shutil.which("systemd-analyze") and math.isfinite(seconds):
        answer = subprocess.run(
            ["systemd-analyze", "timespan", text], capture_output=True, text=True, check=True
        )
        microseconds = re.search(r"[uμ]s: ([0-9]+)", answer.stdout)
        assert microseconds is not None
        assert int(microseconds[1]) == round(seconds * 1e6)


@pytest.mark.parametrize("text", ["", " ", "ten", "-5s", "5 parsecs", "1:30", "5s\n", "1e3", "٣s"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time span"):
        Span.parse(text)


@pytest.mark.parametrize("text", ["101y", "71517171655491899393", "9" * 400])
def test_a_span_of_which_a_float_loses_the_seconds_is_refused(text: str) -> None:
    """`ready_within = 71517171655491899393` was written down as another span than it was read as."""
    with pytest.raises(ValueError, match="longer than 100 years"):
        Span.parse(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_span_is_read_back_as_it_was_written(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert Span.parse(spell(seconds)).seconds == pytest.approx(seconds)
    assert Span.parse(spell(seconds, gap=" ")).seconds == pytest.approx(seconds)


@given(st.text(max_size=20))
def test_any_text_is_a_span_or_a_value_error(text: str) -> None:
    try:
        assert Span.parse(text).seconds >= 0
    except ValueError:
        return


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2314, "231 ms"),
        (1.2, "1.2 s"),
        (598, "9 min 58 s"),
        (90061, "1 d 1 h"),
        (math.inf, "never"),
        (59.7, "1 min"),
    ],
)
def test_a_glance_shows_two_units_at_most(seconds: float, text: str) -> None:
    assert roughly(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(600, "600"), (0.25, "0.25"), (1e-3, "0.001"), (math.inf, "infinity")]
)
def test_programs_get_plain_numbers(seconds: float, text: str) -> None:
    assert decimal(seconds) == text
    assert float(text) == seconds
