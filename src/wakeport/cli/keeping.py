"""How a keep by hand is said to a supervisor."""

from __future__ import annotations

from typing import Final

from wakeport.errors import NoRights, OutOfReach
from wakeport.keep.word import say
from wakeport.layout import Layout
from wakeport.lease import Message

WHO: Final = "wakeport keep"

# Seconds. A supervisor that is stopping its container leaves the answer to its successor.
ANSWER_WITHIN: Final = 60.0


def said(layout: Layout, name: str, until: float | None) -> Message:
    """Keep `name` until then (infinity: until released; None: no longer); the supervisor's answer."""
    path = str(layout.lease(name))
    try:
        return say(path, WHO, until, ANSWER_WITHIN)
    except PermissionError:
        raise NoRights(f"{path} is closed to you", "root and the group wakeport may: try sudo") from None
    except (FileNotFoundError, ConnectionRefusedError):
        hint = f"systemctl start wakeport-{name}-container.socket"
        raise OutOfReach(f"nobody listens on {path}", hint) from None
    except TimeoutError:
        hint = f"wakeport logs {name} tells more"
        raise OutOfReach(f"the supervisor of {name} does not answer", hint) from None
