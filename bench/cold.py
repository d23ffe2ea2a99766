"""The first byte of a cold start: from a client's connect, with everything asleep, to the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.contenders import Contender
from bench.visit import Unserved

Round = dict[str, Any]  # by contender: {"seconds": ..., "stages": {...}}, or {"failed": why}


def cold(contenders: Sequence[Contender], rounds: int, on_round: Callable[[int], None]) -> list[Round]:
    """Every contender once a round, each time another one first. One round before does not count."""
    measured = []
    for number in range(rounds + 1):
        on_round(number)
        turn = number % len(contenders)
        measured.append({each.name: _wake(each) for each in [*contenders[turn:], *contenders[:turn]]})
    # The first one pays for what is read from the disk once.
    return measured[1:]


def _wake(contender: Contender) -> dict[str, Any]:
    try:
        seconds, stages = contender.wake()
    except Unserved as failure:
        return {"failed": str(failure)}
    else:
        return {"seconds": seconds, "stages": stages}
    finally:
        contender.sleep()
