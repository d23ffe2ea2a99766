"""How the proxy remembers what has passed over a connection."""

from __future__ import annotations

from typing import Any

from wakeport.proxy.traffic import Meter


class Passed:
    """Of a relay, what a meter looks at."""

    def __init__(self) -> None:
        self.client: Any = self
        self.target: Any = Silent()
        self.passed = 0


class Silent:
    passed = 0


def test_a_trickle_over_a_day_is_remembered_in_few_marks() -> None:
    """Each second one would be 10 MB a connection."""
    least, day = 1 << 30, 86_400.0
    meter, relay = Meter(), Passed()
    for second in range(2 * 86_400):
        relay.passed += 100
        meter.look(relay, least, float(second), day)  # type: ignore[arg-type]
        meter.is_used(least, second - day)
    assert len(meter.marks) < 100
    assert 86_400 * 100 <= meter.total < 1.05 * 86_400 * 100
