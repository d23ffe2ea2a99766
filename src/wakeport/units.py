"""Which units a service has, word for word. Pure: a service and facts in, texts out.

A unit is an ordered list of sections with ordered settings, never a dict: order
matters to readers, and to systemd where a key repeats. Everything that a unit
needs stands in it, so `systemctl cat` shows the whole truth and nothing is
parsed on the wake path.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from wakeport.errors import BadInput
from wakeport.quoting import command, value
from wakeport.service import Listener, Service
from wakeport.span import decimal

MARK: Final = "X-Wakeport"  # systemd ignores sections that begin with X-, systemd.unit(5)
GROUP: Final = "wakeport"
PYTHON: Final = "/usr/bin/python3"

DEFAULT_STOP_TIMEOUT: Final = 10  # seconds, what Docker grants a container to end
ANSWER_MARGIN: Final = 5  # seconds; who comes during a stop hears nothing until the next supervisor
STOP_MARGIN: Final = 20  # seconds for all that surrounds it: thaw, API, exit

# Two descriptors a connection, two more for a pipe where it splices. systemd's own
# default hard limit; where the manager itself has less, it lowers this silently.
DESCRIPTORS: Final = 524288

BACKLOG: Final = 4096  # the kernel caps it at net.core.somaxconn, listen(2)

Settings = list[tuple[str, str]]
Unit = list[tuple[str, Settings]]


class Facts(NamedTuple):
    """What the units depend on beside the service itself."""

    programs: str  # the directory of this version's programs
    version: str
    exposed: tuple[str, ...] | None  # as in ("80/tcp",); None where there is no container to look at
    stop_timeout: int  # seconds, the container's own
    relay: str  # systemd-socket-proxyd


class Names(NamedTuple):
    """What the four units of a service are called, and its lease socket."""

    socket: str
    proxy: str
    lease: str
    supervisor: str
    lease_path: str
    state: str


def names(service: str) -> Names:
    unit = f"wakeport-{service}"
    return Names(
        socket=f"{unit}.socket",
        proxy=f"{unit}.service",
        lease=f"{unit}-container.socket",
        supervisor=f"{unit}-container.service",
        lease_path=f"/run/wakeport/{service}.lease",
        state=f"/run/wakeport/{service}",
    )


def targets(service: Service, exposed: tuple[str, ...] | None) -> list[str]:
    """The container's port behind each listener, as "80/tcp". Raises BadInput where that takes a guess."""
    return [f"{listener.to or _only_port(service, listener, exposed)}/tcp" for listener in service.listener]


def _only_port(service: Service, listener: Listener, exposed: tuple[str, ...] | None) -> int:
    if exposed is None:
        raise BadInput(
            f'where "{listener.on}" leads cannot be looked up: there is no container {service.container}',
            f"say it (to = 80 in the file, --listen {listener.on}=80), or create the container",
        )
    ports = [int(port.partition("/")[0]) for port in exposed if port.endswith("/tcp")]
    if len(ports) == 1:
        return ports[0]
    found = f"exposes {', '.join(map(str, sorted(ports)))}" if ports else "exposes no TCP port"
    example = min(ports, default=8080)
    raise BadInput(
        f'the image of container {service.container} {found}, so where "{listener.on}" leads is open',
        f"say it: --listen {listener.on}={example}",
    )


def units(service: Service, facts: Facts) -> dict[str, str]:
    """The text of each unit by its name. Raises BadInput where the targets are not clear."""
    ports = targets(service, facts.exposed)
    if service.proxy != "wakeport" and len(set(ports)) > 1:
        raise BadInput(
            f"systemd-socket-proxyd serves one target, and {service.name} has {len(set(ports))}",
            'use proxy = "wakeport", or one service for each target',
        )
    called = names(service.name)
    return {
        called.socket: render(_socket(service), service.name, facts),
        called.proxy: render(_proxy(service, called, ports, facts), service.name, facts),
        called.lease: render(_lease(service, called), service.name, facts),
        called.supervisor: render(_supervisor(service, called, facts), service.name, facts),
    }


def _socket(service: Service) -> Unit:
    places = [listener.on for listener in service.listener]
    socket: Settings = [("ListenStream", value(str(place))) for place in places]
    if any(place.address for place in places):
        # At boot the address may come after the socket.
        socket.append(("FreeBind", "yes"))
    socket.append(("Backlog", str(BACKLOG)))
    if any(place.port for place in places):
        socket += [
            ("NoDelay", "yes"),
            # Accepted connections inherit these: a peer that vanished is gone after 120 + 5 * 30 s.
            ("KeepAlive", "yes"),
            ("KeepAliveTimeSec", "120"),
            ("KeepAliveIntervalSec", "30"),
            ("KeepAliveProbes", "5"),
        ]
    if any(place.path for place in places):
        socket += [("SocketMode", "0666"), ("RemoveOnStop", "yes")]
    listening = ", ".join(str(place) for place in places)
    return [
        (
            "Unit",
            [
                _description(f"{listening} wakes {service.container} (wakeport {service.name})"),
                *_NO_START_LIMIT,
            ],
        ),
        ("Socket", [*socket, *_NO_TRIGGER_LIMIT]),
        ("Install", [("WantedBy", "sockets.target")]),
    ]


def _lease(service: Service, called: Names) -> Unit:
    return [
        (
            "Unit",
            [
                _description(f"Leases that keep {service.container} awake (wakeport {service.name})"),
                *_NO_START_LIMIT,
            ],
        ),
        (
            "Socket",
            [
                ("ListenStream", called.lease_path),
                ("SocketMode", "0660"),
                ("SocketGroup", GROUP),
                ("Backlog", str(BACKLOG)),
                ("RemoveOnStop", "yes"),
                *_NO_TRIGGER_LIMIT,
            ],
        ),
        ("Install", [("WantedBy", "sockets.target")]),
    ]


def _proxy(service: Service, called: Names, ports: list[str], facts: Facts) -> Unit:
    program = "proxy.py" if service.proxy == "wakeport" else "starter.py"
    arguments = [
        f"name={service.name}",
        f"lease={called.lease_path}",
        f"ready_within={decimal(service.ready_within.seconds)}",
        f"answer_within={facts.stop_timeout + ANSWER_MARGIN}",
        *(f"target={port}" for port in ports),
    ]
    if service.proxy != "wakeport":
        arguments.append(f"relay={facts.relay}")
    return [
        (
            "Unit",
            [
                _description(f"Proxy to container {service.container} (wakeport {service.name})"),
                # No After= on the supervisor: both start at once, this behind the container's own start.
                ("Wants", f"{called.lease} {called.supervisor}"),
                ("Requires", called.socket),
                # A proxy that outlived the lease socket would ask in vain; a fresh one brings it back.
                ("PartOf", called.lease),
                ("After", f"{called.socket} {called.lease}"),
                *_NO_START_LIMIT,
            ],
        ),
        (
            "Service",
            [
                ("Type", "notify"),
                ("ExecStart", command(PYTHON, "-IS", f"{facts.programs}/{program}", *arguments)),
                *_COME_BACK,
                ("User", GROUP),
                ("LimitNOFILE", str(DESCRIPTORS)),
                *_SANDBOX,
                *_PROXY_SANDBOX,
            ],
        ),
    ]


def supervisor_command(service: Service, facts: Facts) -> list[str]:
    """The supervisor's command line, argument by argument. Raises BadInput where a target is not clear."""
    arguments = [
        f"name={service.name}",
        f"runtime={service.runtime}",
        f"container={service.container}",
        f"state={names(service.name).state}",
        f"ready={service.ready}",
        f"ready_within={decimal(service.ready_within.seconds)}",
        f"idle={decimal(service.idle.seconds)}",
        f"adopt={'yes' if service.adopt else 'no'}",
        *(f"target={port}" for port in dict.fromkeys(targets(service, facts.exposed))),
    ]
    return [PYTHON, "-IS", f"{facts.programs}/supervisor.py", *arguments]


def _supervisor(service: Service, called: Names, facts: Facts) -> Unit:
    return [
        (
            "Unit",
            [
                _description(f"Container {service.container}, awake (wakeport {service.name})"),
                ("Requires", called.lease),
                # Order only: what can fail must never be required, or one failed start closes the port.
                ("After", f"{called.lease} docker.service docker.socket"),
                *_NO_START_LIMIT,
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
                ("RuntimeDirectory", f"wakeport/{service.name}"),
                ("RuntimeDirectoryPreserve", "yes"),
                # The container's own output comes this way.
                ("SyslogIdentifier", service.container),
                ("SyslogLevelPrefix", "no"),
                ("LogRateLimitIntervalSec", "0"),
                *_SANDBOX,
                *_SUPERVISOR_SANDBOX,
            ],
        ),
    ]


# What a socket starts comes back by Restart= at most four times a second, and start
# jobs wait during that time: the limits that would close the port for good can go.
_NO_TRIGGER_LIMIT: Final[Settings] = [("TriggerLimitIntervalSec", "0")]
# For the sockets too: one that is stopped and started by hand six times in 10 s would stay closed.
_NO_START_LIMIT: Final[Settings] = [("StartLimitIntervalSec", "0")]
_COME_BACK: Final[Settings] = [("Restart", "on-failure"), ("RestartSec", "250ms")]

# The cheap part: together about 1 ms of a start (measured), no mount namespace.
_SANDBOX: Final[Settings] = [
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", ""),
    ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("KeyringMode", "private"),
    ("SystemCallArchitectures", "native"),
]

# The first client waits for this start. To allow @system-service alone costs 2.4 ms of it, to deny what
# that leaves out 0.2 (measured, medians of 41): far fewer rules to make and to take in.
_SUPERVISOR_SANDBOX: Final[Settings] = [
    ("SystemCallFilter", "~@cpu-emulation @debug @mount @obsolete @privileged @resources"),
]

# 20 to 30 ms (measured), hidden behind the container's start. All processes of one user may
# signal each other, and all proxies share theirs: hence no kill and no ptrace. A call that
# is denied fails with EPERM, since a proxy that dies of it would take its clients along.
_PROXY_SANDBOX: Final[Settings] = [
    ("SystemCallFilter", "@system-service"),
    (
        "SystemCallFilter",
        "~@privileged @debug kill tkill tgkill pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo "
        "process_vm_readv process_vm_writev",
    ),
    ("SystemCallErrorNumber", "EPERM"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("PrivateDevices", "yes"),
    # PrivateTmp= would require mount units, and what is required must not be able to fail.
    ("InaccessiblePaths", "-/tmp -/var/tmp"),
    ("RemoveIPC", "yes"),
    ("UMask", "0077"),
]


def _description(text: str) -> tuple[str, str]:
    return ("Description", value(text))


def render(unit: Unit, service: str, facts: Facts) -> str:
    """The unit's text, closed by the mark of ownership with a digest of all that stands above it."""
    lines = []
    for section, settings in unit:
        lines += [f"[{section}]", *(f"{key}={text}" for key, text in settings), ""]
    body = "".join(f"{line}\n" for line in lines)
    return f"{body}[{MARK}]\nService={service}\nVersion={facts.version}\nDigest={_digest(body)}\n"


def owner(text: str) -> str | None:
    """The service that a unit's text belongs to, None where it is not wakeport's."""
    mark = text.rpartition(f"\n[{MARK}]\n")[2] if f"\n[{MARK}]\n" in text else ""
    found = re.search(r"^Service=(.+)$", mark, re.MULTILINE)
    return found[1] if found else None


def edited(text: str) -> bool:
    """Whether a person has changed a unit of wakeport's since it was written."""
    body, _, mark = text.rpartition(f"[{MARK}]\n")
    found = re.search(r"^Digest=(.+)$", mark, re.MULTILINE)
    return found is None or found[1] != _digest(body)


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:16]
