"""Which units a service has, word for word. Pure: a service and facts in, texts out.

Everything that a unit needs stands in it, so `systemctl cat` shows the whole
truth and nothing is parsed on the wake path.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from wakeport import keep_units, pass_fd, per_connection_units, sandbox
from wakeport.errors import BadInput
from wakeport.kinds import OWN
from wakeport.proxy_words import proxy_words
from wakeport.quoting import command
from wakeport.scope import SYSTEM, Scope
from wakeport.service import Service
from wakeport.socket_unit import client_socket, lease_socket
from wakeport.span import decimal
from wakeport.targets import target, targets
from wakeport.unit_file import NO_START_LIMIT, PYTHON, Settings, Unit, description, render

DEFAULT_STOP_TIMEOUT: Final = 10  # seconds, what most runtimes grant a container to end
STOP_MARGIN: Final = 20  # seconds for all that surrounds it: thaw, API, exit

# Two descriptors a connection, two more for a pipe where it splices. systemd's own
# default hard limit; where the manager itself has less, it lowers this silently.
DESCRIPTORS: Final = 524288

# What a socket starts comes back at most four times a second; start jobs wait meanwhile.
_COME_BACK: Final[Settings] = [("Restart", "on-failure"), ("RestartSec", "250ms")]


ESCAPED_DASH: Final = "\\x2d"  # systemd.unit(5): a plain one separates a slice from the one above it


class Facts(NamedTuple):
    """What the units depend on beside the service itself."""

    programs: str  # the directory of this version's programs
    version: str
    exposed: tuple[str, ...] | None  # as in ("80/tcp",); None where there is no container to look at
    stop_timeout: int  # seconds, the container's own
    relay: str  # systemd-socket-proxyd
    scope: Scope = SYSTEM  # whose units they are
    after: tuple[str, ...] = ()  # units of the runtime, behind which the supervisor starts
    wants: tuple[str, ...] = ()  # units of the runtime that have to be there
    needs_within: float = 0.0  # seconds that the services which it needs may take to wake, before it does
    passed_to: str = ""  # the unit that gets the sockets themselves, where one does


class Names(NamedTuple):
    """What the units of a service are called, and its lease socket.

    Without listeners it has two of them, and those of `keep` only with that. Where each connection has a
    container, there are the socket and the template alone.
    """

    socket: str
    proxy: str
    lease: str
    supervisor: str
    lease_path: str
    state: str
    keep_timer: str
    keeper: str
    template: str
    instances: str  # a pattern
    slice: str  # of all instances, as systemd names it

    @property
    def units(self) -> list[str]:
        return [self.socket, self.proxy, self.lease, self.supervisor, *self.keep]

    @property
    def files(self) -> list[str]:
        """With the template, which is none that systemd could be asked about."""
        return [*self.units, self.template]

    @property
    def keep(self) -> list[str]:
        return [self.keep_timer, self.keeper]

    @property
    def installed(self) -> list[str]:
        """Those that are enabled; of what they start, nothing is."""
        return [self.socket, self.lease, *self.keep]


def names(service: str, run: str = SYSTEM.run) -> Names:
    """`run` is the directory of what is there while the machine runs, for the paths alone."""
    unit = f"wakeport-{service}"
    return Names(
        socket=f"{unit}.socket",
        proxy=f"{unit}.service",
        lease=f"{unit}-container.socket",
        supervisor=f"{unit}-container.service",
        lease_path=f"{run}/{service}.lease",
        state=f"{run}/{service}",
        keep_timer=f"{unit}-keep.timer",
        keeper=f"{unit}-keep.service",
        template=f"{unit}@.service",
        instances=f"{unit}@*.service",
        slice=f"system-{unit.replace('-', ESCAPED_DASH)}.slice",
    )


def units(service: Service, facts: Facts) -> dict[str, str]:
    """The text of each unit by its name. Raises BadInput where the targets are not clear."""
    if service.per_connection:
        wanted = _for_each_connection(service, facts)
    else:
        wanted = _around_one_container(service, facts)
    return {name: render(unit, service.name, facts.version) for name, unit in wanted.items()}


def _for_each_connection(service: Service, facts: Facts) -> dict[str, Unit]:
    called = names(service.name)
    removal = f"{facts.programs}/removal.py"
    return {
        called.socket: per_connection_units.socket(service),
        called.template: per_connection_units.template(service, removal),
    }


def _around_one_container(service: Service, facts: Facts) -> dict[str, Unit]:
    behind = targets(service, facts.exposed)
    if service.proxy != OWN and len(set(behind)) > 1:
        raise BadInput(
            f"systemd-socket-proxyd serves one target, and {service.name} has {len(set(behind))}",
            'use proxy = "wakeport", or one service for each target',
        )
    called = names(service.name, facts.scope.run)
    wanted: dict[str, Unit] = {}
    if service.listener:
        wanted[called.socket] = client_socket(service)
        wanted[called.proxy] = _proxy(service, called, behind, facts)
    if service.pass_fd:
        wanted[f"{facts.passed_to}.d/{pass_fd.drop_in_of(service.name)}"] = pass_fd.drop_in(called.socket)
    wanted[called.lease] = lease_socket(service, called.lease_path, facts.scope.group)
    wanted[called.supervisor] = _supervisor(service, called, facts)
    if service.keep:
        program = f"{facts.programs}/keeper.py"
        wanted[called.keep_timer] = keep_units.timer(service, called.lease)
        wanted[called.keeper] = keep_units.keeper(
            service, called.lease, called.lease_path, program, facts.scope
        )
    return wanted


def _proxy(service: Service, called: Names, behind: list[str], facts: Facts) -> Unit:
    passes = service.pass_fd
    program = "watcher.py" if passes else "proxy.py" if service.proxy == OWN else "starter.py"
    role = "Watcher of" if passes else "Proxy to"
    words = proxy_words(
        service,
        behind,
        lease=called.lease_path,
        state=called.state,
        stop_timeout=facts.stop_timeout,
        needs_within=facts.needs_within,
        relay=facts.relay,
        systemd=facts.scope.socket,
    )
    return [
        (
            "Unit",
            [
                description(f"{role} container {service.container} (wakeport {service.name})"),
                ("Wants", _wanted_by_proxy(service, called)),
                ("Requires", called.socket),
                # A proxy that outlived the lease socket would ask in vain; a fresh one brings it back.
                ("PartOf", called.lease),
                # The bus tells it a stop from a restart, and at a shutdown has to go after it.
                ("After", f"{called.socket} {called.lease} dbus.socket dbus.service"),
                *NO_START_LIMIT,
            ],
        ),
        (
            "Service",
            [
                *([("Type", "exec"), ("NotifyAccess", "main")] if passes else [("Type", "notify")]),
                ("ExecStart", command(PYTHON, "-IS", f"{facts.programs}/{program}", *words)),
                *_COME_BACK,
                *([("User", facts.scope.group)] if facts.scope.group else []),
                ("LimitNOFILE", str(DESCRIPTORS)),
                # A proxy that restarts leaves its live connections here for its successor.
                # So does a watcher what it knows of its sockets.
                *([("FileDescriptorStoreMax", "1")] if service.proxy == OWN else []),
                *sandbox.within(facts.scope, sandbox.WATCHER if passes else [*sandbox.BOTH, *sandbox.PROXY]),
            ],
        ),
    ]


def _wanted_by_proxy(service: Service, called: Names) -> str:
    """Where a client has to be judged first, if only by its address, or known by its PROXY header, its lease
    alone wakes.

    Else both start at once, the proxy behind the container's own start: hence no After= on the supervisor.
    """
    judged = service.allow or any(listener.judges or listener.accept_proxy for listener in service.listener)
    return called.lease if judged else f"{called.lease} {called.supervisor}"


def supervisor_command(service: Service, facts: Facts) -> list[str]:
    """The supervisor's command line, argument by argument; empty where it has none.

    Raises BadInput where a target is not clear.
    """
    if service.per_connection:
        return []
    arguments = [
        f"name={service.name}",
        f"runtime={facts.scope.package(service.runtime)}",
        f"container={service.container}",
        f"state={names(service.name, facts.scope.run).state}",
        f"ready={service.ready}",
        f"ready_within={decimal(service.ready_within.seconds)}",
        f"doze={decimal(service.doze.seconds)}",
        f"idle={decimal(service.idle.seconds)}",
        f"adopt={'yes' if service.adopt else 'no'}",
        *(["pass_fd=yes"] if service.pass_fd else []),
        *(_bypass(service, facts) if service.bypass else []),
        *([f"busy_cpu={service.busy.cpu.part:g}"] if service.busy.cpu else []),
        *([f"busy_check={service.busy.check}"] if service.busy.check else []),
        *(f"needs={names(need, facts.scope.run).lease_path}" for need in service.needs),
        *(f"target={key}" for key in dict.fromkeys(targets(service, facts.exposed))),
    ]
    return [PYTHON, "-IS", f"{facts.programs}/supervisor.py", *arguments]


def _bypass(service: Service, facts: Facts) -> list[str]:
    """What the supervisor needs to know to send awake traffic past the proxy, see bypass/elements.py."""
    return [
        *(
            f"bypass={one.on}={target(service, one, facts.exposed)}={decimal(one.flow_idle.seconds)}"
            for one in service.listener
            if one.on.port and not one.leads_to_path
        ),
        *(f"allow={network}" for network in service.allow),
        *([f"busy_bytes={service.busy.connections.counts}"] if service.busy.connections.counts else []),
    ]


def _supervisor(service: Service, called: Names, facts: Facts) -> Unit:
    return [
        (
            "Unit",
            [
                description(f"Container {service.container}, awake (wakeport {service.name})"),
                ("Requires", called.lease),
                *_wanted(service, called, facts),
                # Order only: what can fail must never be required, or one failed start closes the port.
                (
                    "After",
                    " ".join([called.lease, *_watcher(service, called), *_needed(service), *facts.after]),
                ),
                *NO_START_LIMIT,
            ],
        ),
        (
            "Service",
            [
                ("Type", "notify"),
                ("ExecStart", command(*supervisor_command(service, facts))),
                *_COME_BACK,
                # It keeps its own deadline, and answers the clients when that has passed.
                ("TimeoutStartSec", "infinity"),
                ("TimeoutStopSec", str(facts.stop_timeout + STOP_MARGIN)),
                # SIGTERM means: stop the container, then exit. Only its main process may hear it.
                ("KillMode", "mixed"),
                *_who_may_connect(service, facts.scope.group),
                ("RuntimeDirectory", f"wakeport/{service.name}"),
                ("RuntimeDirectoryPreserve", "yes"),
                # The container's own output comes this way.
                ("SyslogIdentifier", service.container),
                ("SyslogLevelPrefix", "no"),
                ("LogRateLimitIntervalSec", "0"),
                *sandbox.within(facts.scope, sandbox.supervisor(bypass=service.bypass)),
            ],
        ),
    ]


def _needed(service: Service) -> list[str]:
    """The lease sockets of what it needs, and never the supervisors behind them.

    Behind one of those, this supervisor would start only when that one is ready, and until then nobody
    would answer the clients.
    """
    return [names(need).lease for need in service.needs]


def _watcher(service: Service, called: Names) -> list[str]:
    """It goes before the program: with a service systemd starts anew how its sockets block, for all who have
    them (exec_child), and what the program has set would be lost.
    """
    return [called.proxy] if service.pass_fd else []


def _wanted(service: Service, called: Names, facts: Facts) -> Settings:
    wanted = [*_watcher(service, called), *_needed(service), *facts.wants]
    return [("Wants", " ".join(wanted))] if wanted else []


def _who_may_connect(service: Service, group: str) -> Settings:
    """Root without capabilities is one of "others" to a socket that the proxy may use by its group."""
    leads_to_path = any(listener.leads_to_path for listener in service.listener)
    return [("SupplementaryGroups", group)] if leads_to_path and group else []
