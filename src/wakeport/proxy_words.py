"""What the proxy's unit tells it: KEY=VALUE words, and after each target= those of its listener.

wakeport/proxy/options.py reads them. Only what is not the default is said.
"""

from __future__ import annotations

from typing import Final

from wakeport.errors import BadInput
from wakeport.kinds import OWN
from wakeport.listener import DEFAULTS, Listener
from wakeport.service import Service
from wakeport.span import decimal

ANSWER_MARGIN: Final = 5  # seconds; who comes during a stop hears nothing until the next supervisor

COMMAND_MAX: Final = 500_000  # bytes; systemd reads lines of 1 MiB, and quoting may double what is said


def proxy_words(
    service: Service,
    targets: list[str],
    *,
    lease: str,
    state: str,
    stop_timeout: int,
    relay: str,
    needs_within: float = 0.0,
    systemd: str = "",
) -> list[str]:
    """`targets` is for the listeners, in their order; `needs_within` are the seconds that other services
    may take before the container is started. Raises BadInput where it is too much to say.
    """
    words = [
        f"name={service.name}",
        f"lease={lease}",
        f"ready_within={decimal(service.ready_within.seconds + needs_within)}",
        f"answer_within={stop_timeout + ANSWER_MARGIN}",
    ]
    if service.pass_fd:
        return [*words, *_passed_words(service)]
    if service.proxy != OWN:
        return [*words, *(f"target={target}" for target in targets), f"relay={relay}"]
    if systemd:
        words.append(f"systemd={systemd}")
    words.append(f"hold_max={service.hold_max}")
    if service.hold_for.seconds != float("inf"):
        words.append(f"hold_for={decimal(service.hold_for.seconds)}")
    if service.doze.seconds != float("inf"):
        words.append("doze=yes")
    if (counts := service.busy.connections.counts) is not None:
        words += [f"counts={counts}", f"silent={service.busy.silent}"]
    words += [f"allow={source}" for source in service.allow]
    if any(listener.page.seconds is not None or listener.judges for listener in service.listener):
        # The page shows the stages of a wake; whom a rule keeps from waking may pass while it is awake.
        words.append(f"status={state}/status.json")
    for listener, target in zip(service.listener, targets, strict=True):
        words += [f"target={target}", *_listener_words(listener)]
    if sum(len(word.encode()) for word in words) > COMMAND_MAX:
        raise BadInput(
            f"{service.name} has more rules and networks than fit on a command line",
            "use globs and larger networks, or make several services of it",
        )
    return words


def _passed_words(service: Service) -> list[str]:
    """The sockets are told apart by their order alone: one of each kind needs no more than its flow_idle."""
    words = []
    for listener in service.listener:
        words += [f"target={service.fd_name or service.name}", *_listener_words(listener)]
    return words


def _listener_words(listener: Listener) -> list[str]:
    words = []
    if listener.send_proxy != DEFAULTS["send_proxy"]:
        words.append(f"send_proxy={listener.send_proxy}")
    words += [f"accept_proxy={source}" for source in listener.accept_proxy]
    if listener.page.seconds is not None:
        words.append(f"page={decimal(listener.page.seconds)}")
    if listener.page_file is not None:
        words.append(f"page_file={listener.page_file}")
    if listener.wake_on != DEFAULTS["wake_on"]:
        words.append(f"wake_on={listener.wake_on}")
    if listener.flow_idle != DEFAULTS["flow_idle"]:
        words.append(f"flow_idle={decimal(listener.flow_idle.seconds)}")
    return words + [f"rule={rule.word}" for rule in listener.rule]
