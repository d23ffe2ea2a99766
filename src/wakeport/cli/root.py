"""The command `wakeport` itself: which verbs there are, and where each is found when it is asked for."""

from __future__ import annotations

import importlib
import keyword
from typing import Final

import click

from wakeport import __version__
from wakeport.layout import Layout
from wakeport.scope import SYSTEM, callers_own

VERBS: Final = (
    "try",
    "add",
    "compose",
    "apply",
    "diff",
    "remove",
    "status",
    "history",
    "wake",
    "sleep",
    "keep",
    "release",
    "logs",
    "units",
    "check",
    "doctor",
)


class Verbs(click.Group):
    """Imports a verb's file only when that verb is used: `status` need not wait for `add`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's interface
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        # What is a word of Python's own, as `try`, cannot be a module's name.
        module = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        verb: click.Command = importlib.import_module(f"wakeport.cli.{module}").verb
        return verb


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="%(prog)s %(version)s", help="Print the version and exit.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("--user", is_flag=True, help="Services of your own, under your own systemd, without root.")
@click.pass_context
def wakeport(context: click.Context, /, user: bool, **_debug: bool) -> None:  # run() looks at --debug
    """A port that wakes a container.

    systemd holds the port; the first connection starts the container behind it;
    when nobody needs the container any more it sleeps again.
    """
    context.obj = Layout(scope=callers_own() if user else SYSTEM)
