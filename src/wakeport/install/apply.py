"""How a service's units come to be what its settings say, or stay what they were."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from wakeport.errors import Problem
from wakeport.install import bypass_table, calendar, files, retire
from wakeport.install.host import Host
from wakeport.install.plan import Plan
from wakeport.service import Service
from wakeport.units import Names, names


def apply(host: Host, service: Service, plan: Plan, command: list[str]) -> None:
    """Carry `plan` out: write, reload, start, verify. On any failure everything is put back first.

    `command` is the supervisor's, for one that runs already. The lock must be held.
    Raises Problem or OSError.
    """
    called = names(service.name)
    try:
        host.provide()
        if not {called.proxy, called.template}.isdisjoint(plan.gone):
            # Or a client would start again what goes.
            _stop(host, [unit for unit in plan.stop if unit == called.socket])
        retire.stop(host, called, plan.gone)
        for change in plan.changes:
            _put(change.path, change.new)
        # A socket while systemd knows where it is, a service when it knows what comes next: a client
        # may start it again at once.
        _stop(host, [unit for unit in plan.stop if _is_socket(unit)])
        if plan.changes:
            host.systemd.reload()
            retire.forget(host, plan.gone)
        _stop(host, [unit for unit in plan.stop if not _is_socket(unit)])
        sockets = [] if service.per_connection else [called.lease]
        sockets += [called.socket] if service.listener else []
        host.systemd.enable(*sockets, *plan.keep)
        host.systemd.start(*sockets)
        host.verify([listener.on for listener in service.listener])
        if plan.renew and called.supervisor not in plan.stop:
            _renew(host, service.name, called.supervisor, command)
        if plan.restart:
            host.systemd.restart_running(*plan.restart)
        _keep(host, called, plan)
        calendar.end_if_over(host, service)
    except BaseException as failure:
        with _undisturbed():
            _put_back(host, plan, called, failure)
        raise
    with _undisturbed():
        bypass_table.drop_unneeded(host, plan)
        host.clean()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep interrupts for later: one here would stop half-way. What runs meanwhile inherits that."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _stop(host: Host, units: list[str]) -> None:
    if units:
        host.systemd.stop(*units)


def _keep(host: Host, called: Names, plan: Plan) -> None:
    """Let the clock keep the service awake; last, when the supervisor can hear of it."""
    if plan.keep:
        host.systemd.start(called.keep_timer)
        # A window may be open now. A supervisor that was stopped has forgotten what it had heard of one.
        if called.supervisor in plan.stop or not set(plan.keep).isdisjoint(plan.changed):
            host.systemd.begin(called.keeper)


def _is_socket(unit: str) -> bool:
    return unit.endswith(".socket")


def _put(path: Path, content: str | None) -> None:
    if content is None:
        files.remove(path)
    else:
        files.write(path, content.encode(errors="surrogateescape"))


def _renew(host: Host, service: str, supervisor: str, command: list[str]) -> None:
    """Let a supervisor that runs take over its new command line. It keeps container, leases and clients."""
    if host.systemd.runs(supervisor):
        files.write(host.layout.state(service) / "next", json.dumps(command).encode(), mode=0o600)
        host.systemd.hang_up(supervisor)


def _put_back(host: Host, plan: Plan, called: Names, failure: BaseException) -> None:
    """As it was: old files, old sockets. What cannot be put back is noted on the failure."""
    new = [change.path.name for change in plan.changes if change.old is None and change.path.name in called]
    enabled = [name for name in new if name in called.installed and host.layout.unit(name).exists()]
    started = [called.instances if name == called.template else name for name in new]
    steps: list[Callable[[], object]] = [lambda: _stop(host, [*plan.stop, *started])]
    if enabled:
        steps.append(lambda: host.systemd.disable(*enabled))
    steps += [partial(_put, change.path, change.old) for change in reversed(plan.changes)]
    if plan.changes:
        steps.append(host.systemd.reload)
        steps.append(lambda: _stop(host, [unit for unit in plan.stop if not _is_socket(unit)]))
    listened = [
        name
        for name in (called.lease, called.socket)
        if name not in new and (name in plan.gone or host.layout.unit(name).exists())
    ]
    disabled = [name for name in (called.socket, called.lease) if name in plan.gone]
    if disabled:
        steps.append(lambda: host.systemd.enable(*disabled))
    if plan.changes and listened:
        steps.append(lambda: host.systemd.start(*listened))
    if plan.restart:
        steps.append(lambda: host.systemd.restart_running(*plan.restart))
    if called.keep_timer in plan.changed and called.keep_timer not in new:
        steps.append(lambda: host.systemd.enable(*called.keep))
        steps.append(lambda: host.systemd.start(called.keep_timer))
    steps += [partial(files.remove_empty, path) for path in (host.layout.configuration, host.layout.run)]
    steps.append(host.clean)
    for step in steps:
        try:
            step()
        except (Problem, OSError) as problem:
            failure.add_note(f"putting back what was there: {problem}")
