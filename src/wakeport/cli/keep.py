"""wakeport keep: wake a service, and keep it awake."""

from __future__ import annotations

import time

import click

from wakeport import moment
from wakeport.cli import keeping, options
from wakeport.cli.settled import load_shared
from wakeport.errors import BadInput, Problem
from wakeport.layout import Layout
from wakeport.lease import FAILED, FOR_EVER, KEPT_UNTIL
from wakeport.span import Span, roughly

HELP = "wakeport keep --help"


@click.command("keep")
@options.one_service
@click.option("--for", "span", metavar="SPAN", help="For how long, from now on.")
@click.option(
    "--until", "clock", metavar="TIME", help='Until when: HH:MM[:SS], or "YYYY-MM-DD HH:MM[:SS]", local time.'
)
@click.pass_obj
def verb(layout: Layout, name: str, span: str | None, clock: str | None) -> None:
    """Wake NAME and keep it awake until then; without an option, until `wakeport release`.

    Returns as soon as that is understood. Said again, the last word counts.
    """
    load_shared(layout, name)
    now = time.time()
    until = _until(span, clock, now)
    answer = keeping.said(layout, name, until)
    kept = answer[KEPT_UNTIL]
    if kept is None:
        raise Problem(f"the time had passed before the supervisor of {name} heard of it", HELP)
    end = "it is released" if kept == FOR_EVER else moment.spelled(float(kept), now)
    click.echo(f"{name} is kept awake until {end}")
    if answer.get("state") == FAILED:
        after = roughly(float(answer.get("retry_after") or 0))
        click.echo(f"but it failed to wake: {answer.get('reason')}; next attempt in {after}", err=True)


def _until(span: str | None, clock: str | None, now: float) -> float:
    """The moment that was typed; infinity where none was."""
    if span is not None and clock is not None:
        raise BadInput("--for and --until say the same in two ways", "use one of them")
    try:
        if span is not None:
            return now + _some_time(span)
        return moment.parse(clock, now) if clock is not None else float("inf")
    except ValueError as error:
        raise BadInput(f"{'--until' if span is None else '--for'}: {error}", HELP) from None


def _some_time(span: str) -> float:
    seconds = Span.parse(span).seconds
    if seconds <= 0:
        raise ValueError(f"{span!r} leaves no time at all")
    return seconds
