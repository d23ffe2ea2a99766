"""What could be wrong, and what to do about it: small checks that look and change nothing.

A finding is wrong where a service will not work as its settings say, else a
remark: it works, but somebody should know.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from wakeport import (
    doctor_bypass,
    doctor_rights,
    facts,
    needs,
    preflight,
    programs,
    socket_unit,
    status,
    unit_file,
    units,
)
from wakeport.errors import NoRights, NotThere, OutOfReach, Problem
from wakeport.finding import Finding
from wakeport.layout import Layout
from wakeport.lease import FAILED
from wakeport.runtimes.container import Container
from wakeport.service import Service
from wakeport.socket_unit import GROUP
from wakeport.systemd import Properties, Systemd
from wakeport.targets import exposed_ports
from wakeport.unit_file import PYTHON
from wakeport.units import Facts, names

OLDEST_SYSTEMD: Final = 249  # the oldest that knows every setting in the units
TLS_PORTS: Final = (443, 853, 993, 8443)
ENOUGH_DESCRIPTORS: Final = 65536  # about 16,000 connections at four each
PROPERTIES: Final = ("LoadState", "ActiveState", "SubState", "Result", "UnitFileState", "DropInPaths")


def machine(layout: Layout, systemd: Systemd, runtimes: Sequence[str]) -> list[Finding]:
    """What holds for all services; `runtimes` are those that they have."""
    return [
        *systemd_version(systemd.version()),
        *(finding for runtime in runtimes for finding in runtime_answers(layout, runtime)),
        *doctor_rights.rights(layout, systemd, runtimes),
        *descriptors(Path("/proc/1/limits")),
        *backlog(Path("/proc/sys/net/core/somaxconn")),
        *copies(layout),
        *orphans(layout),
    ]


def service(layout: Layout, systemd: Systemd, one: Service, others: list[Service]) -> list[Finding]:
    """What holds for one service."""
    found: list[Finding] = []
    container: Container | None = None
    try:
        if one.per_connection:
            facts.image(one.runtime, str(one.image))
        else:
            container = facts.container(layout, one.runtime, one.container)
    except NotThere as problem:
        found.append(Finding(one.name, problem.fact, problem.hint))
    except (OutOfReach, NoRights):
        pass  # the runtime itself does not answer: `machine` says so, once
    except Problem as problem:
        found.append(Finding(one.name, problem.fact, problem.hint))
    if container is not None:
        found += [*starts_at_boot(layout, one, container), *published_ports(layout, one, container)]
        found += network(layout, one, container)
        found += readiness(one, container)
        found += removal(layout, one, container)
        found += exposed(one, container)
        found += doctor_bypass.service(layout, systemd, one, container)
    states = systemd.show(names(one.name).units, PROPERTIES)
    found += [*named_on_the_host(layout, one), *trust(one), *seen_in_the_clear(one)]
    found += [*shared_places(layout, one, others), *needed_services(layout, one, others)]
    needs_within = needs.seconds_before(one, others)
    found += unit_files(layout, one, facts.machine(layout, one, container, needs_within=needs_within))
    found += what_waits(one, states)
    found += last_failure(one, status.published(layout, one.name))
    found += proxy_runs(one, states)
    return found + drop_ins(one, states)


def systemd_version(version: int) -> list[Finding]:
    if version >= OLDEST_SYSTEMD:
        return []
    fact = f"systemd {version} is older than {OLDEST_SYSTEMD}"
    return [Finding("", fact, "upgrade it; nothing older was tried")]


def runtime_answers(layout: Layout, runtime: str) -> list[Finding]:
    """Whether it can be asked at all; a name that no container has is a harmless question."""
    try:
        facts.container(layout, runtime, "doctor-asks-whether-you-are-there")
    except NotThere:
        return []
    except OutOfReach as problem:
        return [Finding("", f"no container can wake: {problem.fact}", problem.hint)]
    except Problem as problem:
        return [Finding("", problem.fact, problem.hint, wrong=False)]
    return []


def descriptors(limits: Path) -> list[Finding]:
    """systemd cannot give a proxy more descriptors than it may have itself, setrlimit(2)."""
    try:
        found = re.search(r"^Max open files\s+\S+\s+([0-9]+)", limits.read_text(), re.MULTILINE)
    except OSError:
        return []  # hidden by hidepid, or no right to look
    if found is None or int(found[1]) >= ENOUGH_DESCRIPTORS:
        return []
    fact = f"a proxy gets {found[1]} descriptors at most, enough for {int(found[1]) // 4} connections"
    return [Finding("", fact, "raise the hard limit of what starts systemd", wrong=False)]


def backlog(somaxconn: Path) -> list[Finding]:
    try:
        limit = int(somaxconn.read_text())
    except (OSError, ValueError):
        return []
    if limit >= socket_unit.BACKLOG:
        return []
    fact = f"the kernel lets {limit} clients wait at a port, and refuses more during a wake"
    return [Finding("", fact, f"sysctl net.core.somaxconn={socket_unit.BACKLOG}", wrong=False)]


def copies(layout: Layout) -> list[Finding]:
    """Whether the programs that units run are what was installed, and compiled for today's interpreter."""
    found = []
    for copy in layout.program_copies():
        version = copy.name.rpartition("-")[0]
        if programs.directory_name(programs.read_copy(copy), version) != copy.name:
            fact = f"somebody has edited the programs in {copy}"
            found.append(Finding("", fact, "sudo wakeport apply writes them anew"))
        elif not programs.compiled(copy, programs.cache_tag(PYTHON)):
            fact = f"the programs in {copy} are not compiled for today's {PYTHON}: each wake is slower"
            found.append(Finding("", fact, "sudo wakeport apply compiles them"))
    return found


def orphans(layout: Layout) -> list[Finding]:
    """Units of ours without settings: somebody has removed the file instead of the service."""
    owners = {unit_file.owner(path.read_text(errors="replace")) for path in layout.unit_files()}
    return [
        Finding("", f"the units of {owner} have no settings", f"sudo wakeport remove {owner}")
        for owner in sorted(owners - {None, *layout.services()}, key=str)
    ]


def starts_at_boot(layout: Layout, one: Service, container: Container) -> list[Finding]:
    if not container.starts_at_boot:
        return []
    advice = facts.advice(layout, one)
    fact = f"{advice.title} starts {container.name} at boot by itself ({container.starts_at_boot})"
    return [Finding(one.name, fact, advice.leave_at_boot)]


def published_ports(layout: Layout, one: Service, container: Container) -> list[Finding]:
    return [
        Finding(one.name, fact, hint) for fact, hint in preflight.published_clashes(layout, one, container)
    ]


def network(layout: Layout, one: Service, container: Container) -> list[Finding]:
    mistake = preflight.network_mistake(layout, one, container)
    return [Finding(one.name, *mistake)] if mistake else []


def readiness(one: Service, container: Container) -> list[Finding]:
    mistake = preflight.readiness_mistake(one, container)
    return [Finding(one.name, *mistake)] if mistake else []


def removal(layout: Layout, one: Service, container: Container) -> list[Finding]:
    mistake = preflight.removal_mistake(layout, one, container)
    return [Finding(one.name, *mistake)] if mistake else []


def exposed(one: Service, container: Container) -> list[Finding]:
    """A target that the image does not name may answer all the same; else it is the first suspect."""
    found = []
    for listener in one.listener:
        protocol = listener.on.protocol
        ports = exposed_ports(container.exposed, protocol)
        if ports and isinstance(listener.to, int) and listener.to not in ports:
            exposes = ", ".join(f"{port}/{protocol}" for port in ports)
            fact = f'the image exposes {exposes}, and "{listener.on}" leads to {listener.to}'
            found.append(Finding(one.name, fact, "see that the container really listens there", wrong=False))
    return found


def named_on_the_host(layout: Layout, one: Service) -> list[Finding]:
    """Owners and files that have gone since, and sockets behind a listener that the proxy may not use."""
    found = [Finding(one.name, fact, hint) for fact, hint in preflight.host_mistakes(layout, one)]
    if layout.scope.user:
        return found  # the proxy is that user
    for path in sorted({listener.to for listener in one.listener if isinstance(listener.to, str)}):
        try:
            closed = not preflight.open_to_proxy(path, reading=False)
        except OSError:
            continue  # the container makes it when it wakes, or root alone may look
        if closed:
            fact = f"the proxy, which runs as {GROUP}, may not connect to {path}"
            found.append(
                Finding(one.name, fact, f"let the container give it the mode 0666 or the group {GROUP}")
            )
    return found


def trust(one: Service) -> list[Finding]:
    """Whoever is trusted may claim any address."""
    return [
        Finding(
            one.name,
            f'"{listener.on}" believes the PROXY header of everybody ({source})',
            "accept_proxy names the load balancers alone; with more, no address in a log can be relied on",
            wrong=False,
        )
        for listener in one.listener
        for source in listener.accept_proxy
        if source.endswith("/0")
    ]


def seen_in_the_clear(one: Service) -> list[Finding]:
    """Inside TLS there is nothing to see but the server's name."""
    found = []
    for listener in one.listener:
        keys = [key for rule in listener.rule for key in rule.conditions if rule.reads_http]
        keys += ["page"] if listener.page.seconds is not None else []
        if listener.on.port in TLS_PORTS and keys:
            fact = f'"{listener.on}" looks like TLS, in which {keys[0]} cannot be seen'
            found.append(
                Finding(one.name, fact, "a rule with server_name sees the name at least", wrong=False)
            )
    return found


def shared_places(layout: Layout, one: Service, others: list[Service]) -> list[Finding]:
    try:
        preflight.other_services(layout, one, others)
    except Problem as problem:
        return [Finding(one.name, problem.fact, problem.hint)]
    return []


def needed_services(layout: Layout, one: Service, others: list[Service]) -> list[Finding]:
    """What it needs and what is not there, or waits for it in turn: it can never wake."""
    mistakes = [*preflight.circles(one, others), *preflight.missing_needs(layout, one)]
    mistakes += preflight.needs_of_another_mode(one, others)
    return [Finding(one.name, fact, hint) for fact, hint in mistakes]


def unit_files(layout: Layout, one: Service, known: Facts) -> list[Finding]:
    """Whether the units on disk are what the settings ask for."""
    try:
        wanted = units.units(one, known)
    except Problem as problem:
        return [Finding(one.name, problem.fact, problem.hint)]
    found = [
        Finding(one.name, f"{name} is not asked for any more", f"sudo wakeport apply {one.name}")
        for name in names(one.name).files
        if name not in wanted and _is_ours(layout.unit(name), one)
    ]
    for name, text in wanted.items():
        path = layout.unit(name)
        try:
            there = path.read_text(errors="surrogateescape")
        except FileNotFoundError:
            found.append(Finding(one.name, f"{name} is missing", f"sudo wakeport apply {one.name}"))
            continue
        if unit_file.owner(there) != one.name:
            found.append(Finding(one.name, f"{path} is not wakeport's", "move it away, then: wakeport apply"))
        elif unit_file.edited(there):
            hint = f"systemctl edit {name} keeps your change; sudo wakeport apply {one.name} undoes it"
            found.append(Finding(one.name, f"{name} was edited by hand", hint))
        elif there != text:
            found.append(Finding(one.name, f"{name} is out of date", f"sudo wakeport apply {one.name}"))
    return found


def _is_ours(path: Path, one: Service) -> bool:
    return path.exists() and unit_file.owner(path.read_text(errors="replace")) == one.name


def what_waits(one: Service, states: dict[str, Properties]) -> list[Finding]:
    """Whether the sockets wait for clients, and the timer for its windows."""
    called = names(one.name)
    found = []
    for name in called.installed:
        state = states.get(name, {})
        if name.endswith(".socket"):
            waits, lost = "listen", "nobody can connect"
        else:
            waits, lost = "run", "no window wakes it"
        if state.get("ActiveState") == "failed":
            fact = f"{name} has failed ({state.get('Result')}): {lost}"
            found.append(Finding(one.name, fact, f"systemctl restart {name}; journalctl -u {name} tells why"))
        elif state.get("LoadState") != "loaded":
            continue
        elif state.get("ActiveState") != "active" and name != called.keeper:
            found.append(Finding(one.name, f"{name} does not {waits}", f"systemctl start {name}"))
        elif state.get("UnitFileState") != "enabled":
            fact = f"{name} will not {waits} after a reboot"
            found.append(Finding(one.name, fact, f"systemctl enable {name}"))
    return found


def last_failure(one: Service, known: status.Published) -> list[Finding]:
    if known.get("state") != FAILED or not known.get("failure"):
        return []
    return [
        Finding(one.name, f"the last wake failed: {known['failure']['reason']}", f"wakeport logs {one.name}")
    ]


def proxy_runs(one: Service, states: dict[str, Properties]) -> list[Finding]:
    """A proxy that systemd has to start again and again: somebody waits at the port in vain."""
    name = names(one.name).proxy
    if states.get(name, {}).get("SubState") != "auto-restart":
        return []
    return [Finding(one.name, f"{name} cannot start, and clients wait", f"journalctl -u {name} tells why")]


def drop_ins(one: Service, states: dict[str, Properties]) -> list[Finding]:
    """A person's own settings for our units count, and survive; who reads the units should know of them."""
    return [
        Finding(
            one.name, f"{name} has drop-ins: {state['DropInPaths']}", f"systemctl cat {name}", wrong=False
        )
        for name, state in states.items()
        if state.get("DropInPaths")
    ]
