"""Going on with what another proxy has left in its box: the other half of handover.py.

Loaded only where systemd passes a box.
"""

from __future__ import annotations

import sys

from wakeport.activation import forget_stored
from wakeport.light import socket
from wakeport.loop import READ, WRITE
from wakeport.proxy import leg
from wakeport.proxy.dialer import address_from
from wakeport.proxy.door import Client
from wakeport.proxy.refusal import Failure
from wakeport.proxy.relay import Relay
from wakeport.proxy.restart import box
from wakeport.proxy.restart.box import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wakeport.proxy.proxy import Proxy


def take_over(proxy: Proxy, fd: int) -> None:
    """Go on with everything that the predecessor has left in the box."""
    forget_stored()
    with socket.socket(fileno=fd) as inherited:
        records, problems = box.unpack(inherited)
        for record in records:
            restore = _RESTORE.get(record.facts["kind"])
            if restore is not None:
                restore(proxy, record)
                continue
            problems.append(f"this version knows no {record.facts['kind']}")
            for one in record.descriptors.values():
                box.reset(one)
    for problem in problems:
        print(f"of the predecessor's connections some are lost: {problem}", file=sys.stderr, flush=True)
    if proxy.served:
        proxy.lease.hold()
        proxy.reports.changed()


def _restore_lease(proxy: Proxy, record: Record) -> None:
    sock = socket.socket(fileno=record.descriptors["lease"])
    facts, data = record.facts, record.data
    proxy.lease.take_over(sock, data["heard"], data["unsent"], facts["state"], facts["busy"])
    if facts["targets"] is None:
        return
    if {listener.target for listener in proxy.given.listeners} <= facts["targets"].keys():
        proxy.targets = {key: address_from(said) for key, said in facts["targets"].items()}
        proxy.flows.connect(proxy.targets)
    else:
        # The units have changed, and the supervisor is about to follow. What it said counts no more.
        proxy.lease.renew()


def _restore_predecessor(proxy: Proxy, record: Record) -> None:
    proxy.lease.take_over_predecessor(socket.socket(fileno=record.descriptors["lease"]))


def _restore_failure(proxy: Proxy, record: Record) -> None:
    proxy.failure = _failure(record.facts)


def _failure(facts: dict[str, Any]) -> Failure:
    return Failure(facts["reason"], facts["retry_after"])


def _restore_held(proxy: Proxy, record: Record) -> None:
    client = _arrived(proxy, record)
    if client is not None:
        proxy.admit(client)


def _restore_arrived(proxy: Proxy, record: Record) -> None:
    client = _arrived(proxy, record)
    if client is not None:
        # Not as from the door, where it has been judged by its address already.
        (proxy.admit if proxy.entrance is None else proxy.receive)(client)


def _restore_introduced(proxy: Proxy, record: Record) -> None:
    client = _arrived(proxy, record)
    if client is None:
        return
    if proxy.entrance is None:
        proxy.admit(client)
    else:
        proxy.linger.somebody()
        proxy.entrance.meet(client)


def _restore_refused(proxy: Proxy, record: Record) -> None:
    proxy.linger.somebody()
    client = _client(proxy, record)
    if record.facts["why"] is None:
        proxy.refusals.let_finish(client)
    else:
        proxy.refusals.refuse(client, _failure(record.facts["why"]))


def _restore_relay(proxy: Proxy, record: Record) -> None:
    client = _client(proxy, record)
    proxy.linger.somebody()
    relay = Relay(
        proxy.loop, client.sock, _connection(record, "target"), lambda: proxy.on_client_gone(client)
    )
    proxy.served[client] = relay
    proxy.follow(relay)
    relay.client.ended, relay.target.ended = record.facts["ended"]
    for side, name in (relay.client, "to_client"), (relay.target, "to_target"):
        if record.data[name]:
            side.pending = memoryview(record.data[name])
    for side in relay.client, relay.target:
        if side.ended:
            # The predecessor may have left before it could say so; once more changes nothing.
            _end_writing(side.peer.sock)
        reading = 0 if side.ended or side.peer.pending is not None else READ
        side.interest = reading | (WRITE if side.pending is not None else 0)
        # Also where there is nothing to wait for but an error.
        proxy.loop.watch(side.fd, side.interest, side.on_event)


def _end_writing(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        return  # it broke, and will be reported


def _restore_flow(proxy: Proxy, record: Record) -> None:
    facts, data = record.facts, record.data
    places = enumerate(proxy.flows.listeners)
    known = {number: datagrams for number, (target, datagrams) in places if target == facts["target"]}
    sock = socket.socket(fileno=record.descriptors["target"]) if record.descriptors else None
    if not known:
        if sock is not None:
            sock.close()
        return
    from wakeport.proxy.udp.flow import Flow

    flow = Flow((_as_tuple(facts["address"]), data.pop("asked")))
    flow.answered, flow.last, flow.sock = facts["answered"], facts["last"], sock
    for kept in data.values():
        flow.keep(kept)
    # Of several with one target its own: an answer from another port is none. Else the units have changed.
    place = known.get(facts.get("listener", 0)) or next(iter(known.values()))
    place.take_over(flow, facts["regular"])


def _arrived(proxy: Proxy, record: Record) -> Client | None:
    """A client that has no target yet; None where there is none for it, and it has been turned away."""
    client, target = _client(proxy, record), record.facts["target"]
    places = [listener.target for listener in proxy.given.listeners]
    if places[client.listener] == target:
        return client
    # The units have changed: the listener that it came to is another one now, or none.
    if target not in places:
        proxy.linger.somebody()
        proxy.refusals.refuse(client, Failure(f"the service has no target {target} any more", 0.0))
        return None
    client.listener = places.index(target)
    return client


def _client(proxy: Proxy, record: Record) -> Client:
    """The client of a record, which has its place inside."""
    facts = record.facts["client"]
    client = Client(_connection(record, "client"), facts["address"], facts["listener"])
    for name, value in facts.items():
        if name in Client.__slots__:  # a newer version's may know more of it
            setattr(client, name, _as_tuple(value))
    # Where the units have changed it may be none any more, and the pages and the next restart look it up.
    client.listener = min(client.listener, len(proxy.given.listeners) - 1)
    proxy.door.inside += 1
    return client


def _connection(record: Record, name: str) -> socket.socket:
    sock = socket.socket(fileno=record.descriptors[name])
    sock.setblocking(False)
    leg.linger_again(sock)
    return sock


def _as_tuple(value: object) -> Any:
    """JSON has no tuples, and addresses are."""
    return tuple(value) if isinstance(value, list) else value


_RESTORE = {
    "arrived": _restore_arrived,
    "failure": _restore_failure,
    "flow": _restore_flow,
    "held": _restore_held,
    "introduced": _restore_introduced,
    "lease": _restore_lease,
    "predecessor": _restore_predecessor,
    "refused": _restore_refused,
    "relay": _restore_relay,
}
