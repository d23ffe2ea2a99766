"""What a person can do about a container, in the words of its runtime. For the command line alone."""

from __future__ import annotations

from typing import NamedTuple


class Advice(NamedTuple):
    """Commands and hints; `{name}` stands for the container's name."""

    title: str  # the runtime, as people call it
    make: str  # where there is no such container
    reach: str  # where the runtime does not answer
    ask: str  # where it refuses
    stop: str
    leave_at_boot: str = ""  # so that it is not started at boot
    keep: str = ""  # so that it is not removed when it stops

    # Where FORWARD drops what goes past the proxy: the chain of iptables(8) for a rule against that, and what
    # else helps; {port} as `-p` takes it.
    forward_chain: str = "FORWARD"
    let_forward: str = ""

    # Where it publishes a port that systemd holds: {outer} on the host, {port} as `-p` takes it.
    other_port: str = "make it anew without -p {outer}:{port}, wakeport needs none; or --listen another"

    def for_name(self, name: str) -> Advice:
        return Advice(*(text.replace("{name}", name) for text in self))
