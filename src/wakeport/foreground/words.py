"""How the two programs of a wake are started here: with the very words that their units would have. Pure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import wakeport
from wakeport.foreground.directory import Folder
from wakeport.proxy_words import proxy_words
from wakeport.service import Service
from wakeport.targets import targets
from wakeport.units import DEFAULT_STOP_TIMEOUT, Facts, supervisor_command

# Behind all that the interpreter has itself: what lies beside the package must not take the place of that.
_ENTRY: Final = "import sys; sys.path.append(sys.argv.pop(1)); from {module} import main; main()"

_NO_FACTS: Final = Facts("", wakeport.__version__, None, DEFAULT_STOP_TIMEOUT, "")


def proxy(service: Service, folder: Folder) -> list[str]:
    words = proxy_words(
        service,
        targets(service, None),
        lease=str(folder.lease),
        state=str(folder.state),
        stop_timeout=DEFAULT_STOP_TIMEOUT,
        relay="",
    )
    return [*_python("wakeport.proxy.main"), *words]


def supervisor(service: Service, folder: Folder) -> list[str]:
    """Those of a unit, but for what is another's here."""
    ours = {
        "runtime": "process",
        "container": folder.words,
        "state": folder.state,
        "journal": folder.journal,
    }
    _interpreter, _isolated, _program, *as_in_a_unit = supervisor_command(service, _NO_FACTS)
    words = [word for word in as_in_a_unit if word.partition("=")[0] not in ours]
    return [*_python("wakeport.supervisor.main"), *words, *(f"{key}={value}" for key, value in ours.items())]


def _python(module: str) -> list[str]:
    """This interpreter, as isolated as in a unit, with this package."""
    beside = Path(wakeport.__file__).absolute().parent.parent
    return [sys.executable, "-ISc", _ENTRY.format(module=module), str(beside)]
