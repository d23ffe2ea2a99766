"""What the supervisor's unit tells it: KEY=VALUE arguments, so that `systemctl cat` shows the whole truth.

Imported before the start call: built-in modules only.
"""

from __future__ import annotations

import posix
import sys

HANDED_OVER = "WAKEPORT_HANDED_OVER"  # set by an older self that became this process, see upgrade.py


class Options:
    """Spans are seconds, `busy_cpu` is a part of one processor.

    `pass_fd` says that the container takes its clients itself, and nobody stands before it.

    Unknown keys are ignored: an older supervisor may meet a newer unit.

    `bypass` are the listeners past which awake traffic goes, see bypass/elements.py, `allow` the networks
    that it may come from, and over a connection `busy_least` bytes have to pass in `busy_window` seconds.

    `needs` are the lease sockets of the services that have to be awake for this one. `takes_over` says
    that container and leases come from our older self. `journal` is where its entries go, empty for the
    journal of this machine.
    """

    def __init__(self, arguments: list[str]) -> None:
        given: dict[str, str] = {}
        self.ports: list[str] = []
        self.needs: list[str] = []
        self.bypass: list[str] = []
        self.allow: list[str] = []
        self.takes_over = HANDED_OVER.encode() in posix.environ
        for argument in arguments:
            key, _, value = argument.partition("=")
            if key == "target":
                self.ports.append(value)
            elif key in ("needs", "bypass", "allow"):
                getattr(self, key).append(value)
            else:
                given[key] = value
        try:
            self.name = given["name"]
            self.runtime = given["runtime"]
            self.container = given["container"]
            self.state = given["state"]
            self.ready = given["ready"]
            self.ready_within = float(given["ready_within"])
            self.doze = float(given.get("doze", "inf"))
            self.idle = float(given["idle"])
            self.busy_cpu = float(given.get("busy_cpu", "inf"))
            least, _, window = given.get("busy_bytes", "0/0").partition("/")
            self.busy_least, self.busy_window = int(least), float(window)
            self.busy_check = given.get("busy_check", "")
            self.adopt = given["adopt"] == "yes"
            self.pass_fd = given.get("pass_fd") == "yes"
            self.journal = given.get("journal", "")
        except (KeyError, ValueError) as error:
            sys.exit(f"wakeport: bad arguments in the unit ({error}); `wakeport apply` writes them anew")
