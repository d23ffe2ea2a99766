"""Which services need which: no circles, the order that follows, and how long a chain of them takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from wakeport.service import Service

Graph = dict[str, tuple[str, ...]]  # what each service needs, by name; those without settings are missing


def circle(service: Service, others: Iterable[Service]) -> str:
    """As in "web needs db, db needs web": the circle to which the needs of `service` lead; else empty."""
    try:
        _sorted(_graph(service, others))
    except CycleError as error:
        # Its second argument: each in it is needed by the next, and the last is the first again.
        way = error.args[1][::-1]
        start = way.index(service.name) if service.name in way else 0
        way = [*way[start:-1], *way[:start], way[start]]
        return ", ".join(f"{one} needs {other}" for one, other in pairwise(way))
    return ""


def seconds_before(service: Service, others: Iterable[Service]) -> float:
    """How long the needs of `service` may take to wake: the deadlines along the longest chain of them.

    0 in a circle, which can never wake.
    """
    known = _known(service, others)
    graph = _graph(service, known.values())
    total: dict[str, float] = {}
    try:
        order = _sorted(graph)
    except CycleError:
        return 0.0
    for name in order:
        before = max((total[need] for need in graph.get(name, ())), default=0.0)
        total[name] = before + (known[name].ready_within.seconds if name in known else 0.0)
    return total[service.name] - service.ready_within.seconds


def in_order(names: list[str], services: Iterable[Service]) -> list[str]:
    """`names` with those that are needed first; as they are where the needs form a circle."""
    graph = {one.name: one.needs for one in services}
    try:
        order = _sorted({name: graph.get(name, ()) for name in dict.fromkeys([*names, *graph])})
    except CycleError:
        return names
    return [name for name in order if name in names]


def needed_by(name: str, services: Iterable[Service]) -> list[str]:
    """The names of those that need the service `name`, sorted."""
    return sorted(one.name for one in services if name in one.needs)


def _known(service: Service, others: Iterable[Service]) -> dict[str, Service]:
    return {one.name: one for one in (*others, service)}


def _graph(service: Service, others: Iterable[Service]) -> Graph:
    """What `service` needs, and what that needs, and so on; a circle of others is no concern of its."""
    known = _known(service, others)
    found: Graph = {}
    ahead = [service.name]
    while ahead:
        name = ahead.pop()
        if name in known and name not in found:
            found[name] = known[name].needs
            ahead += found[name]
    return found


def _sorted(graph: Graph) -> list[str]:
    """Each behind what it needs. Raises CycleError."""
    return list(TopologicalSorter(graph).static_order())
