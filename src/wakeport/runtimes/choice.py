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


def remove(runtime: str, container: str) -> bool:
    """Remove it, running or not; False where there is none. Raises OSError."""
    removed: bool = _module(runtime, "removal").remove(container)
    return removed


def _module(runtime: str, part: str) -> ModuleType:
    return __import__(f"wakeport.runtimes.{runtime}.{part}", fromlist=[part])
