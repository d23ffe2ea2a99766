"""The two units that keep a service awake by the clock: a timer, and the program that it starts."""

from __future__ import annotations

from wakeport import sandbox
from wakeport.keep.windows import Window
from wakeport.quoting import command
from wakeport.scope import SYSTEM, Scope
from wakeport.service import Service
from wakeport.unit_file import NO_START_LIMIT, PYTHON, Unit, description


def timer(service: Service, lease: str) -> Unit:
    """When each window begins. `lease` is the unit of the lease socket."""
    starts = dict.fromkeys(start for window in service.keep for start in Window.parse(window).calendar)
    return [
        (
            "Unit",
            [
                description(f"When {service.container} is kept awake (wakeport {service.name})"),
                ("After", lease),
            ],
        ),
        (
            "Timer",
            [
                *(("OnCalendar", start) for start in starts),
                ("AccuracySec", "1us"),
            ],
        ),
        ("Install", [("WantedBy", "timers.target")]),
    ]


def keeper(service: Service, lease: str, lease_path: str, program: str, scope: Scope = SYSTEM) -> Unit:
    """What the timer starts: it says on the lease until when, and ends.

    At boot, too, when a window may be open already. Not by the timer: OnActiveSec= and OnBootSec= come
    again with each daemon-reload (252), and would wake what a person has released.
    """
    words = [f"lease={lease_path}", *(f"window={window}" for window in service.keep)]
    return [
        (
            "Unit",
            [
                description(f"Keep {service.container} awake now (wakeport {service.name})"),
                ("Wants", lease),
                ("After", lease),
                *NO_START_LIMIT,
            ],
        ),
        (
            "Service",
            [
                ("Type", "oneshot"),
                ("ExecStart", command(PYTHON, "-IS", program, *words)),
                # It has waited for an answer for long.
                ("Restart", "on-failure"),
                ("RestartSec", "5s"),
                *([("User", scope.group)] if scope.group else []),
                *sandbox.within(scope, sandbox.KEEPER),
            ],
        ),
        ("Install", [("WantedBy", scope.boot_target)]),
    ]
