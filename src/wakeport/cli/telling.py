"""How an error is told to a person: what is, then what to do, one line each, and an exit code."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from wakeport.errors import BadInput, NoRights, Problem
from wakeport.scope import spoken

INTERRUPTED = 130  # 128 + SIGINT, as shells say it


def run(command: click.Command, arguments: list[str]) -> int:
    """Run `command`, tell what went wrong, and return the exit code."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as under nohup(1)
            signal.signal(signum, _as_interrupt)
    debug, to_user = "--debug" in arguments, "--user" in arguments
    try:
        code = command.main(arguments, prog_name="wakeport", standalone_mode=False)
    except click.UsageError as error:
        verb = error.ctx.command_path if error.ctx else "wakeport"
        return _tell(BadInput(error.format_message(), f"{verb} --help"), error, debug, to_user)
    except Problem as problem:
        return _tell(problem, problem, debug, to_user)
    except PermissionError as error:
        fact = f"{error.filename or 'that'}: {error.strerror}"
        return _tell(NoRights(fact, "run it as root, with sudo"), error, debug, to_user)
    except BrokenPipeError:
        # `wakeport logs | head`: the reader has gone, and that is no error of ours.
        sys.stderr.close()
        return 0
    except OSError as error:
        fact = f"{error.filename or 'the system'}: {error.strerror or error}"
        return _tell(Problem(fact, "wakeport --debug shows where"), error, debug, to_user)
    except (click.Abort, KeyboardInterrupt) as error:
        _tell(
            Problem("interrupted", "each service is as it was, or done: wakeport diff"),
            error.__cause__ or error,
            debug,
            to_user,
        )
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def tell(
    problem: Problem, about: str | None = None, notes: Sequence[str] = (), *, to_user: bool = False
) -> None:
    """Print `problem` on standard error; `about` names the service, where a verb takes several.

    `to_user` says whose commands the hint is to have: a user's, for services of their own.
    """
    subject = f"wakeport: {about}" if about else "wakeport"
    click.echo(f"{subject}: {problem.fact}", err=True)
    for line in (*notes, *getattr(problem, "__notes__", ()), problem.hint):
        if line:
            click.echo(f"  {spoken(line, to_user=to_user)}", err=True)


def _tell(problem: Problem, error: BaseException, debug: bool, to_user: bool) -> int:
    if debug:
        traceback.print_exception(error)
    tell(problem, notes=[] if error is problem else getattr(error, "__notes__", []), to_user=to_user)
    return problem.code


def _as_interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    # A half-done change is put back on the way out.
    raise KeyboardInterrupt
