"""Which runtime a service has: the one place where its name becomes a module.

Imported before the start call: built-in modules only.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

    from wakeport.loop import Loop
    from wakeport.runtimes.interface import Begun, Runtime


def begin(runtime: str, container: str) -> Begun:
    """Make the start call. Never raises, never waits long."""
    begun: Begun = _module(runtime, "begin").begin(container)
    return begun


def open_runtime(runtime: str, loop: Loop, container: str, begun: Begun | None = None) -> Runtime:
    """The runtime of one container; `begun` is what came of `begin`."""
    found: Runtime = _module(runtime, "runtime").Runtime(loop, container, begun)
    return found


def host(runtime: str) -> ModuleType:
    """What the command line has to know of a runtime; as docker/host.py has it."""
    return _module(runtime, "host")


def per_connection(runtime: str) -> ModuleType | None:
    """How it gives each connection a container (runtimes/per_connection.py); None where it cannot."""
    try:
        return _module(runtime, "per_connection")
    except ModuleNotFoundError as error:
        if error.name != f"wakeport.runtimes.{runtime}.per_connection":
            raise
        return None


def removal(runtime: str) -> ModuleType:
    """Who removes the container of a connection, by the same."""
    return _module(runtime, "removal")


def _module(runtime: str, part: str) -> ModuleType:
    return __import__(f"wakeport.runtimes.{runtime}.{part}", fromlist=[part])
