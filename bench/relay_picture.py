"""The relay's figures as a picture: an SVG of bars that reads in light and in dark, with no help. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from bench.relay_figures import Outcome, Summary

OURS = "wakeport"

# As short as a bar's label has to be.
LABELS = {
    "direct": "direct",
    "published": "Docker's iptables",
    "docker-proxy": "docker-proxy",
    "socket-proxyd": "socket-proxyd",
    "nodelay": "  with NoDelay",
    "haproxy": "HAProxy",
    "haproxy-splice": "  always splices",
    "wakeport": "wakeport",
}

# All in pixels.
WIDTH, MARGIN, GAP = 860, 20, 40
COLUMNS = 2
ROW, BAR = 20, 12
HEAD, FOOT = 44, 18  # above and below the bars of one panel
NAMES, VALUES = 112, 92  # left and right of them

STYLE = """\
svg { --ground: #ffffff; --ink: #1f2328; --muted: #59636e; --bar: #afb8c1; --ours: #0969da; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #0d1117; --ink: #e6edf3; --muted: #9198a1; --bar: #4d5661; --ours: #4493f8; }
}
.ground { fill: var(--ground); }
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--ink); white-space: pre; }
.title { font-size: 14px; font-weight: 600; }
.note { fill: var(--muted); }
.bar { fill: var(--bar); }
.ours { fill: var(--ours); }
"""


class Bar(NamedTuple):
    """`value` is None where there is none to draw; `text` says what stands beside the bar."""

    name: str
    value: float | None
    text: str


class Panel(NamedTuple):
    title: str
    note: str
    bars: list[Bar]


class View(NamedTuple):
    """One figure of a measure: what it is called, its unit's size, and how it is written."""

    measure: str
    figure: str
    title: str
    note: str
    unit: float
    form: str


MORE, LESS = "more is better", "less is better"
VIEWS = (
    View("keep-alive", "rate", "Requests on 32 kept connections", f"per second; {MORE}", 1, "{:,.0f}"),
    View("connections", "rate", "Requests, each on a new connection", f"per second; {MORE}", 1, "{:,.0f}"),
    View("keep-alive", "p99", "p99 on kept connections", f"milliseconds; {LESS}", 1e-3, "{:.1f}"),
    View("connections", "p99", "p99 on new connections", f"milliseconds; {LESS}", 1e-3, "{:.1f}"),
    View("bulk", "rate", "A file of 256 MiB", f"GiB per second; {MORE}", 1 << 30, "{:.2f}"),
    View("bulk", "cpu", "Processor time for bulk", f"seconds per GiB; {LESS}", 1, "{:.2f}"),
)


def panels(
    summaries: Mapping[str, Mapping[str, Summary]], idle: Mapping[str, Sequence[Outcome]]
) -> list[Panel]:
    """Those that there are figures for; the memory of most idle connections last."""
    found = [_panel(view, summaries[view.measure]) for view in VIEWS if view.measure in summaries]
    if idle:
        most = max(step["connections"] for steps in idle.values() for step in steps)
        bars = [_memory(name, steps[-1], most) for name, steps in idle.items()]
        found.append(Panel(f"Memory with {most:,} idle connections", f"MB, RSS; {LESS}", bars))
    return found


def draw(shown: Sequence[Panel]) -> str:
    """The picture, complete."""
    width = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
    parts, top = [], float(MARGIN)
    for first in range(0, len(shown), COLUMNS):
        row = shown[first : first + COLUMNS]
        for column, panel in enumerate(row):
            parts += _drawn(panel, MARGIN + column * (width + GAP), top, width)
        top += HEAD + FOOT + ROW * max(len(panel.bars) for panel in row)
    height = round(top)
    told = "; ".join(f"{panel.title}: {_told(panel)}" for panel in shown)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img">',
            "<title>wakeport's relay beside others, in front of the same container</title>",
            f"<desc>{escape(told)}</desc>",
            f"<style>\n{STYLE}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _panel(view: View, rows: Mapping[str, Summary]) -> Panel:
    bars = []
    for name, row in rows.items():
        value = row.medians.get(view.figure)
        # Who has no process of its own has no time of its own either.
        if value is None or (view.figure == "cpu" and not value):
            bars.append(Bar(name, None, "-"))
        else:
            bars.append(Bar(name, value / view.unit, view.form.format(value / view.unit)))
    return Panel(view.title, view.note, bars)


def _memory(name: str, step: Outcome, most: int) -> Bar:
    if step["rss"] is None:
        return Bar(name, None, f"ended at {step['held']:,}")
    text = f"{step['rss'] / 1e6:.1f}"
    return Bar(name, step["rss"] / 1e6, text if step["held"] == most else f"{text} at {step['held']:,}")


def _drawn(panel: Panel, left: float, top: float, width: float) -> list[str]:
    longest = max((bar.value for bar in panel.bars if bar.value is not None), default=0) or 1
    parts = [
        f'<text class="title" x="{left:.0f}" y="{top + 14:.0f}">{escape(panel.title)}</text>',
        f'<text class="note" x="{left:.0f}" y="{top + 32:.0f}">{escape(panel.note)}</text>',
    ]
    for number, bar in enumerate(panel.bars):
        y = top + HEAD + number * ROW
        start = left + NAMES
        length = (bar.value or 0) / longest * (width - NAMES - VALUES)
        kind = "ours" if bar.name == OURS else "bar"
        parts += [
            f'<text x="{left:.0f}" y="{y + BAR - 2:.0f}">{escape(LABELS.get(bar.name, bar.name))}</text>',
            f'<rect class="{kind}" x="{start:.0f}" y="{y:.0f}" width="{length:.1f}" height="{BAR}" rx="2"/>',
            f'<text x="{start + length + 6:.1f}" y="{y + BAR - 2:.0f}">{escape(bar.text)}</text>',
        ]
    return parts


def _told(panel: Panel) -> str:
    bars = (f"{LABELS.get(bar.name, bar.name).strip()} {bar.text}" for bar in panel.bars)
    return f"{', '.join(bars)} ({panel.note})"
