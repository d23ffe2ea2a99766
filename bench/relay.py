"""The relay: what each costs that carries bytes to the same target, in answers, bytes, time and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench import relay_load as load
from bench.ground import Ground
from bench.memory import size
from bench.relay_contenders import Relay, relays
from bench.relay_places import Places
from bench.relay_quiet import Others
from bench.relay_target import BULK, Target
from bench.visit import Unserved

KEPT, SHORT = 32, 16  # connections of wrk's that are kept, and that are made anew for each request
RUNS = 4  # of the large file, one after the other
STREAMS = 4  # of it at once

QUIET = 0.15  # of one processor, for all others on this machine
SETTLE = 0.3  # seconds from the last client's answer until memory is looked at
GIB = 1 << 30

Outcome = dict[str, Any]  # the measure's figures by name, or {"failed": why}
Round = dict[str, dict[str, Outcome]]  # by measure, then by relay


class Settings(NamedTuple):
    seconds: int  # for wrk
    tries: int  # at most, for a load while others are busy on this machine
    idle: Sequence[int]  # connections
    pin: bool  # the relay has a processor of its own


class Bench:
    """`places` is None where the system's own scheduler is to decide who runs where."""

    def __init__(self, ground: Ground, target: Target, relays: Sequence[Relay], settings: Settings) -> None:
        self.ground = ground
        self.target = target
        self.relays = relays
        self.settings = settings
        self.places = Places() if settings.pin else None

    def round(self, number: int, measures: Sequence[str]) -> Round:
        """Every measure, and in it every relay in turn, each round beginning with another one."""
        turn = number % len(self.relays)
        in_turn = [*self.relays[turn:], *self.relays[:turn]]
        done: Round = {}
        for measure in measures:
            found = {each.name: self._measure(measure, each) for each in in_turn}
            done[measure] = {each.name: found[each.name] for each in self.relays}
        return done

    def _measure(self, measure: str, relay: Relay) -> Outcome:
        """Once, or again while others are busy on this machine: the attempt that they spoilt least."""
        attempts: list[Outcome] = []
        for _ in range(self.settings.tries):
            others = Others(self.ground)
            found = self._attempt(measure, relay)
            found["others"] = others.share()
            attempts.append(found)
            if found["others"] < QUIET:
                break
        return min(attempts, key=lambda found: found["others"])

    def _attempt(self, measure: str, relay: Relay) -> Outcome:
        try:
            with load.company(self.ground.lab, relay.address):
                if self.places is None:
                    return LOADS[measure](self, relay)
                self.places.put(relay.processes(), self.target.processes())
                with self.places.load():
                    return LOADS[measure](self, relay)
        except Unserved as failure:
            return {"failed": str(failure)}

    def keep_alive(self, relay: Relay) -> Outcome:
        return self._answers(relay, KEPT, keep=True)

    def connections(self, relay: Relay) -> Outcome:
        return self._answers(relay, SHORT, keep=False)

    def bulk(self, relay: Relay) -> Outcome:
        before = processor_time(relay)
        runs = [load.fetch(self.ground.lab, relay.address, 1) for _ in range(RUNS)]
        spent = processor_time(relay) - before
        return {"rate": BULK / median(runs), "runs": runs, "cpu": spent / (RUNS * BULK / GIB)}

    def streams(self, relay: Relay) -> Outcome:
        before = processor_time(relay)
        seconds = load.fetch(self.ground.lab, relay.address, STREAMS)
        spent = processor_time(relay) - before
        return {"rate": STREAMS * BULK / seconds, "cpu": spent / (STREAMS * BULK / GIB)}

    def idle(self, relay: Relay) -> list[Outcome]:
        """Its memory with more and more clients that only stay, from a fresh start.

        `held`: so many did. `rss` is None where it ended for want of descriptors.
        """
        relay.refresh()
        found: list[Outcome] = []
        stay = load.Stay(self.ground.lab, relay.address)
        try:
            for count in self.settings.idle:
                # One at least: without any, some have no process.
                held = stay.grow(max(count, 1))
                time.sleep(SETTLE)
                processes = relay.processes()
                alive = not found or len(processes) >= found[0]["processes"]
                found.append(
                    {
                        "connections": count,
                        "held": held if count else 0,
                        "processes": len(processes),
                        "rss": sum(size(pid)[0] for pid in processes) if alive else None,
                        "descriptors": sum(len([*Path(f"/proc/{pid}/fd").iterdir()]) for pid in processes),
                    }
                )
                if held < count:
                    break
        finally:
            stay.close()
        return found

    def _answers(self, relay: Relay, connections: int, *, keep: bool) -> Outcome:
        before = processor_time(relay)
        found = load.wrk(self.ground.lab, relay.address, connections, self.settings.seconds, keep=keep)
        spent = processor_time(relay) - before
        return {**found._asdict(), "cpu": spent / found.requests}


LOADS: dict[str, Callable[[Bench, Relay], Outcome]] = {
    "keep-alive": Bench.keep_alive,
    "connections": Bench.connections,
    "bulk": Bench.bulk,
    "streams": Bench.streams,
}
IDLE = "idle"
MEASURES = (*LOADS, IDLE)


@contextmanager
def set_up(ground: Ground, names: Sequence[str], settings: Settings) -> Iterator[Bench]:
    """Those of these names in front of a target; afterwards nothing of it is left in the lab."""
    target = Target(ground)
    taking_part = [each for each in relays(ground) if each.name in names]
    with ExitStack() as stack:
        stack.callback(target.remove)
        target.start()
        load.prepare(ground.lab)
        for each in taking_part:
            stack.callback(each.remove)
            each.prepare(target)
        yield Bench(ground, target, taking_part, settings)


def processor_time(relay: Relay) -> float:
    """Seconds that its processes have run so far, in user and kernel mode, all threads.

    From the scheduler (Documentation/scheduler/sched-stats.rst), to the nanosecond: times(2) counts in
    hundredths of a second.
    """
    return (
        sum(
            int(task.read_text().split()[0])
            for pid in relay.processes()
            for task in Path(f"/proc/{pid}/task").glob("*/schedstat")
        )
        / 1e9
    )
