"""The classic shape: wait for the container, then let systemd-socket-proxyd do the relaying.

The starter stays as the parent of socket-proxyd, outside the path of the data. Had it replaced itself
by socket-proxyd, nobody would be left to hear the supervisor, and socket-proxyd cannot be told anything:

- A supervisor that crashes takes the lease with it. Nobody would take a new one, so its successor
  would see an unused container, and stop it under live clients.
- A container that restarts has a new address. socket-proxyd would send each new client to the old
  one for as long as a single old connection lives.

What that costs is one idle interpreter, 10 MB, while the service is awake. To end socket-proxyd the
starter simply ends: both are one unit, and systemd ends what is left of it (KillMode=control-group),
then starts it again for whoever waits. So it needs no right to send signals.
"""

from __future__ import annotations

import os
import select
import sys

from wakeport.activation import FIRST_FD, listening_fds, notify
from wakeport.lease import AWAKE, DOZING, FAILED, STOPPING, Message
from wakeport.lease_holder import LeaseHolder
from wakeport.light import signal, socket
from wakeport.loop import READ, Loop, Timer
from wakeport.proxy import options
from wakeport.proxy.dialer import Address, targets_from
from wakeport.proxy.door import Client, Door, capacity_within, inherited_listeners, raise_descriptor_limit
from wakeport.proxy.linger import LEAVE_AFTER
from wakeport.proxy.options import Options
from wakeport.proxy.patience import Patience
from wakeport.proxy.refusal import Failure, Refusals, failure_from

WHO = "systemd-socket-proxyd"

# Two legs, and two pipes for splice(2); socket-proxyd closes at once whom it has no connection for.
DESCRIPTORS_A_CONNECTION = 6
DESCRIPTORS_RESERVED = 64

CANNOT_EXECUTE = 127  # sh(1)


def main() -> None:
    given = options.from_command_line()
    if not given.relay or len({listener.target for listener in given.listeners}) != 1:
        raise SystemExit("the starter wants relay=, and one target for all listeners")
    descriptors = raise_descriptor_limit()
    loop = Loop()
    starter = Starter(loop, given, inherited_listeners(len(given.listeners), listening_fds()), descriptors)
    starter.start()
    loop.run_forever()
    raise SystemExit(starter.exit_code)


class Starter:
    """Leaves all clients in the backlog until socket-proxyd takes them, or until they must be refused."""

    def __init__(self, loop: Loop, given: Options, listeners: list[socket.socket], descriptors: int) -> None:
        self.loop = loop
        self.relay = given.relay
        self.wanted_target = given.listeners[0].target
        self.listeners = listeners
        self.connections_max = max(1, (descriptors - DESCRIPTORS_RESERVED) // DESCRIPTORS_A_CONNECTION)
        self.target: Address | None = None  # None while the container is not awake
        self.child: int | None = None  # socket-proxyd, from its start on
        self.serves: Address | None = None  # where it sends its clients
        self.failure: Failure | None = None
        self.linger: Timer | None = None
        self.lease_was_lost = False  # and no successor has said what it knows
        self.exit_code = 0

        self.lease = LeaseHolder(loop, given.lease, WHO, self.on_lease, self.on_lease_lost, self.on_outlived)
        self.patience = Patience(loop, given.answer_within, given.ready_within, self.on_patience_exhausted)
        self.refusals = Refusals(loop, given.name, self.on_refused)
        self.door = Door(loop, dict(enumerate(listeners)), self.admit, capacity_within(descriptors))

    def start(self) -> None:
        self.loop.on_signal(signal.SIGTERM, self.loop.stop)
        self.loop.on_signal(signal.SIGCHLD, self.on_child_end)
        self.wait_for_client()
        notify("READY=1", "STATUS=Waiting for a client")

    # Somebody knocks, and is left at the door.

    def wait_for_client(self) -> None:
        for listener in self.listeners:
            self.loop.watch(listener.fileno(), READ, self.on_knock)
        self.linger = self.loop.call_in(LEAVE_AFTER, self.loop.stop)

    def on_knock(self, _events: int) -> None:
        self.stop_lingering()
        for listener in self.listeners:
            self.loop.unwatch(listener.fileno())
        self.lease.hold()
        if self.target is not None and self.lease.state == AWAKE:
            self.run_relay(self.target)
        else:
            self.patience.begin(answered=self.lease.state is not None)
            notify("STATUS=Waiting for the container")

    def somebody_knocks(self) -> bool:
        return bool(select.select(self.listeners, [], [], 0)[0])

    # The supervisor speaks.

    def on_lease(self, message: Message) -> None:
        """Raises Malformed."""
        if self.failure is not None:
            return
        state = message.get("state")
        if state == AWAKE:
            self.on_awake(message)
        elif state == FAILED:
            self.turn_away(failure_from(message))
        elif self.child is not None:
            if state != DOZING:  # by somebody else's hand, who lets its connections live
                self.on_container_gone(state == STOPPING)
        else:
            self.target = None
            if state == STOPPING and self.linger is None:
                self.lease.hold()
                self.patience.suspend()
            elif state != STOPPING:
                self.patience.answered()

    def on_awake(self, message: Message) -> None:
        targets = targets_from(message)
        self.patience.end()
        if self.wanted_target not in targets:
            reason = f"the container has no port {self.wanted_target}"
            self.turn_away(Failure(reason))
            return
        self.target = targets[self.wanted_target]
        if self.child is not None:
            self.lease_was_lost = False
            if self.target != self.serves:
                self.loop.stop()
        elif self.linger is not None:
            return
        elif self.somebody_knocks():
            self.run_relay(self.target)
        else:
            # socket-proxyd counts its idle time from the end of a first connection: without one it
            # would stay, and hold the lease, for ever.
            self.lease.release()
            self.wait_for_client()

    def on_container_gone(self, for_good: bool) -> None:
        """Whoever comes now must not be sent to the old address; systemd starts another starter for them.

        The successor of a crashed supervisor may say `waking` of a container that runs: that is no end.
        """
        if for_good or not self.lease_was_lost:
            self.loop.stop()

    def on_lease_lost(self) -> None:
        self.lease_was_lost = True

    def on_outlived(self) -> None:
        self.patience.begin_anew(answered=self.lease.state is not None)

    def on_patience_exhausted(self, reason: str) -> None:
        self.turn_away(Failure(reason))

    # socket-proxyd takes over the clients.

    def run_relay(self, target: Address) -> None:
        self.serves = target
        notify("STATUS=systemd-socket-proxyd relays")
        self.child = os.fork()
        if self.child == 0:
            self.become_relay(target)

    def become_relay(self, target: Address) -> None:
        """In the child: what systemd would pass, and nothing else. Does not return."""
        try:
            for signum in (signal.SIGPIPE, signal.SIGXFSZ):  # ignored by Python, and exec would keep that
                signal.signal(signum, signal.SIG_DFL)
            fds = range(FIRST_FD, FIRST_FD + len(self.listeners))
            for fd in fds:
                os.set_inheritable(fd, True)
            environment = dict(os.environ, LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)))
            environment.pop("NOTIFY_SOCKET", None)
            os.execve(
                self.relay,
                [
                    self.relay,
                    f"--exit-idle-time={LEAVE_AFTER:g}s",
                    f"--connections-max={self.connections_max}",
                    # A path as it is; IPv6 too: it cuts at the last colon, and knows no brackets.
                    ":".join(map(str, target)),
                ],
                environment,
            )
        except OSError as error:
            print(f"{self.relay}: {error.strerror}", file=sys.stderr, flush=True)
        finally:
            os._exit(CANNOT_EXECUTE)

    def on_child_end(self) -> None:
        if self.child is None:
            return
        ended, status = os.waitpid(self.child, os.WNOHANG)
        if not ended:
            return
        self.child = None
        code = os.waitstatus_to_exitcode(status)
        if code == CANNOT_EXECUTE:
            self.turn_away(Failure(f"{self.relay} cannot be executed"))
        else:
            self.exit_code = 0 if code == 0 else 1
            self.loop.stop()

    # Nothing comes of it.

    def turn_away(self, failure: Failure) -> None:
        """Let everyone in to tell them, for as long as the failure is fresh; the next starter asks again."""
        self.patience.end()
        self.lease.drop()
        if self.child is not None or self.linger is not None:
            self.loop.stop()
            return
        self.failure = failure
        self.door.open()
        self.loop.call_in(min(LEAVE_AFTER, failure.retry_after), self.leave)

    def admit(self, client: Client) -> None:
        assert self.failure is not None
        self.refusals.refuse(client, self.failure)

    def on_refused(self, _client: Client) -> None:
        self.door.left()
        if not self.door.is_open and not self.refusals:
            self.loop.stop()

    def leave(self) -> None:
        self.door.shut()
        if not self.refusals:
            self.loop.stop()

    def stop_lingering(self) -> None:
        if self.linger is not None:
            self.linger.cancel()
            self.linger = None
