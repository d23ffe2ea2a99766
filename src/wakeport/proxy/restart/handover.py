"""What a proxy leaves to the next at a restart: every connection, as it is, so that nobody notices.

At SIGTERM everything goes into a box, and the box into systemd's descriptor store: what is relayed, with
the bytes that are under way in this process; who is held or judged; who is being turned away; UDP flows;
and the lease, which the supervisor thus never sees end. Clients that come meanwhile wait in the backlog.
Where no successor is due, or systemd does not take the box, nothing has changed and the proxy drains.

Loaded only after SIGTERM. The other half is takeover.py.
"""

from __future__ import annotations

import select
import sys

from wakeport.activation import await_notified, store
from wakeport.light import socket
from wakeport.proxy.door import Client
from wakeport.proxy.refusal import Failure
from wakeport.proxy.relay import Relay, Side
from wakeport.proxy.restart import box, job
from wakeport.proxy.restart.box import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wakeport.proxy.proxy import Proxy
    from wakeport.proxy.udp.flow import Flow

STORED_WITHIN = 2.0  # seconds; 0.3 ms are usual, but during a daemon-reload nobody reads


def hand_over(proxy: Proxy, systemd: str = "") -> bool:
    """Leave everything to a successor, if one is due; whether that has been done.

    `systemd` is where a user's manager listens; empty for the system's.

    From then on nothing may be read or written here: the caller ends this process. The loop must not run,
    since what it has still to deliver in this turn would come after what is in the box.
    """
    try:
        if not job.successor_is_due(*([systemd] if systemd else [])):
            return False
    except job.Unanswered as reason:
        # If it is a stop after all, systemd drops the box, and every peer gets a reset. The other mistake
        # would cut off everyone at each restart.
        print(f"this stop is taken for a restart: {reason}", file=sys.stderr, flush=True)
    proxy.room.put_back(proxy.dialer.recall())
    if proxy.pages is not None:
        proxy.pages.leave()  # a browser asks again by itself, and the successor shows it its own page
    try:
        if _leave(_collect(proxy)):
            return True
        print("systemd does not keep the connections: drained instead", file=sys.stderr, flush=True)
    except OSError as error:
        print(f"the connections are drained instead of handed over: {error}", file=sys.stderr, flush=True)
    proxy.call_in_next()
    return False


def _leave(records: list[Record]) -> bool:
    """Whether systemd has taken them. Raises OSError where they do not fit into a box."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        box.pack(records, ours)
        store(theirs.fileno())
        theirs.close()
        # Late is not never: systemd reads what it was told before it hears that this process has ended.
        await_notified(STORED_WITHIN)
        return not _has_hung_up(ours)


def _has_hung_up(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, 0)
    return bool(poll.poll(0))


def _collect(proxy: Proxy) -> list[Record]:
    # The lease is first: those behind it are admitted to a proxy that knows its state.
    records = _leases(proxy)
    if proxy.failure is not None:
        records.append(Record({"kind": "failure", **_failure_facts(proxy.failure)}, {}))
    for client, relay in proxy.served.items():
        if relay is not None:
            assert isinstance(client, Client)  # a flow has no relay
            records.append(_of_relay(proxy, client, relay))
    records += [_of_client(proxy, "held", client) for client in proxy.room.clients]
    for refusal in proxy.refusals.under_way:
        facts = _failure_facts(refusal.failure) if not refusal.answered and refusal.failure else None
        records.append(_of_client(proxy, "refused", refusal.client, {"why": facts}))
    if proxy.entrance is not None:
        records += [_of_client(proxy, "arrived", client) for client in proxy.entrance.introductions.under_way]
        # Their header has been taken off, and nobody may be asked for a second one.
        records += [_of_client(proxy, "introduced", client) for client in proxy.entrance.threshold.visits]
    for number, (target, datagrams) in enumerate(proxy.flows.listeners):
        for queue in datagrams.strangers, datagrams.regulars:
            records += [_of_flow(number, target, flow, queue is datagrams.regulars) for flow in queue]
    return records


def _leases(proxy: Proxy) -> list[Record]:
    lease = proxy.lease
    records = []
    if lease.predecessor is not None:
        records.append(Record({"kind": "predecessor"}, {"lease": lease.predecessor.sock.fileno()}))
    if lease.connection is not None:
        facts = {"kind": "lease", "state": lease.state, "busy": lease.busy, "targets": proxy.targets}
        data = {"heard": lease.connection.decoder.pending, "unsent": lease.connection.unsent}
        records.append(Record(facts, {"lease": lease.connection.sock.fileno()}, data))
    return records


def _failure_facts(failure: Failure) -> dict[str, Any]:
    return {"reason": failure.reason, "retry_after": failure.retry_after}


def _of_client(proxy: Proxy, kind: str, client: Client, more: dict[str, Any] | None = None) -> Record:
    # Every field but the socket, so each has to be JSON, or a tuple of it.
    facts = {name: getattr(client, name) for name in Client.__slots__ if name != "sock"}
    if isinstance(client.address, bytes):
        facts["address"] = ""  # the abstract name of a Unix client, which is nobody's concern
    target = proxy.given.listeners[client.listener].target
    return Record(
        {"kind": kind, "client": facts, "target": target, **(more or {})}, {"client": client.sock.fileno()}
    )


def _of_relay(proxy: Proxy, client: Client, relay: Relay) -> Record:
    record = _of_client(proxy, "relay", client, {"ended": [relay.client.ended, relay.target.ended]})
    record.descriptors["target"] = relay.target.fd
    record.data = {"to_client": _unsent(relay.client), "to_target": _unsent(relay.target)}
    return record


def _unsent(side: Side) -> bytes:
    """What this proxy has taken from the peer and not yet given to `side`, in order."""
    waiting = bytes(side.pending) if side.pending is not None else b""
    pipe = side.peer.pipe
    if pipe is not None and pipe.held:
        waiting += pipe.take()
        side.pending = memoryview(waiting)  # where nobody takes it over, this proxy goes on with it
    return waiting


def _of_flow(number: int, target: str, flow: Flow, regular: bool) -> Record:
    """`number` is that of its listener among those for UDP."""
    facts = {"target": target, "address": flow.address, "answered": flow.answered, "regular": regular}
    facts["listener"] = number
    data = {"asked": flow.key[1], **{str(number): kept for number, kept in enumerate(flow.kept)}}
    descriptors = {} if flow.sock is None else {"target": flow.sock.fileno()}
    return Record({"kind": "flow", "last": flow.last, **facts}, descriptors, data)
