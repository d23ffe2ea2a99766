"""What is known of a machine, also while Docker is away."""

from __future__ import annotations

from pathlib import Path

import pytest

from wakeport import facts
from wakeport import service as services
from wakeport.layout import Layout
from wakeport.units import DEFAULT_STOP_TIMEOUT, STOP_MARGIN

WEB = services.build("web", {"listener": [{"on": "80", "to": 80}]})


@pytest.mark.parametrize(
    ("on_disk", "expected"),
    [
        (None, DEFAULT_STOP_TIMEOUT),
        ("[Service]\nType=notify\n", DEFAULT_STOP_TIMEOUT),
        (f"[Service]\nTimeoutStopSec={120 + STOP_MARGIN}\n", 120),
    ],
)
def test_a_stop_timeout_is_not_forgotten_while_docker_is_away(
    tmp_path: Path, on_disk: str | None, expected: int
) -> None:
    """`apply` without Docker wrote units for 10 s; a longer stop was then killed half-way."""
    layout = Layout(tmp_path)
    unit = layout.unit("wakeport-web-container.service")
    if on_disk is not None:
        unit.parent.mkdir(parents=True)
        unit.write_text(on_disk)
    assert facts.machine(layout, WEB, None).stop_timeout == expected
