"""Medians and ratios of the benchmark's rounds."""

from __future__ import annotations

import pytest

from bench.figures import summary


def test_the_yardstick_is_one() -> None:
    figures = summary({"bare": [0.2, 0.1, 0.3]}, "bare")["bare"]
    assert (figures.median, figures.ratio, figures.ratio_by_round) == (0.2, 1.0, 1.0)
    assert (figures.fastest, figures.slowest) == (0.1, 0.3)


def test_a_noisy_round_spoils_the_ratio_of_that_round_alone() -> None:
    figures = summary({"bare": [0.1, 0.2, 0.2], "web": [0.11, 0.22, 0.22]}, "bare")["web"]
    assert figures.ratio_by_round == pytest.approx(1.1)


def test_a_round_that_was_not_served_counts_as_failed_and_as_no_time() -> None:
    figures = summary({"bare": [0.2, 0.4, 0.2], "recipe": [1.0, None, 2.0]}, "bare")["recipe"]
    assert (figures.rounds, figures.failed) == (3, 1)
    assert figures.median == 1.5
    assert figures.ratio_by_round == 7.5


def test_nobody_served_gives_no_figure() -> None:
    figures = summary({"bare": [0.2, 0.2], "recipe": [None, None]}, "bare")["recipe"]
    assert figures[:5] == (None, None, None, None, None)
    assert figures.failed == 2
