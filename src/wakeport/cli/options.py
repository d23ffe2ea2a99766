"""Options and arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Verb = TypeVar("Verb", bound=Callable[..., Any])


def dry_run(verb: Verb) -> Verb:
    return click.option("--dry-run", is_flag=True, help="Print what would change, and change nothing.")(verb)


def one_service(verb: Verb) -> Verb:
    return click.argument("name")(verb)


def some_services(verb: Verb) -> Verb:
    return click.argument("name", nargs=-1)(verb)
