"""How the programs of a service are locked up, as settings of their units, with what each costs."""

from __future__ import annotations

from typing import Final

from wakeport.scope import Scope
from wakeport.unit_file import Settings

# The cheap part: together about 1 ms of a start (measured), no mount namespace.
BOTH: Final[Settings] = [
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
SUPERVISOR: Final[Settings] = [
    ("SystemCallFilter", "~@cpu-emulation @debug @mount @obsolete @privileged @resources"),
]

# It puts elements into a table of nftables, and asks who is connected past the proxy: both over netlink(7),
# which wants the right to administer the network.
BYPASS: Final = {
    "CapabilityBoundingSet": "CAP_NET_ADMIN",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
}


def supervisor(bypass: bool) -> Settings:
    cheap = [(key, BYPASS.get(key, value)) for key, value in BOTH] if bypass else BOTH
    return [*cheap, *SUPERVISOR]


# 12 ms of processor time (measured), hidden behind the start of a container that takes longer. All
# processes of one user may signal each other, and all proxies share theirs: hence no kill and no ptrace. A
# call that is denied fails with EPERM, since a proxy that dies of it would take its clients along.
#
# Three that cost 8 more, in mounts, are had otherwise. ProtectKernelTunables=: /proc/sys is not in a /proc
# that has processes alone, and what can be written below /sys is root's. ProtectKernelLogs=: no device, no
# syslog(2). PrivateDevices=: a list of the harmless devices, which the kernel checks at each open.
PROXY: Final[Settings] = [
    ("SystemCallFilter", "@system-service"),
    (
        "SystemCallFilter",
        "~@privileged @debug kill tkill tgkill pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo "
        "process_vm_readv process_vm_writev syslog @resources",
    ),
    ("SystemCallErrorNumber", "EPERM"),
    ("ProtectSystem", "strict"),
    ("ProtectHome", "yes"),
    ("ProtectProc", "invisible"),
    ("ProcSubset", "pid"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelModules", "yes"),
    ("DevicePolicy", "closed"),
    ("PrivateMounts", "yes"),  # as some of the others have it anyway
    # PrivateTmp= would require mount units, and what is required must not be able to fail.
    ("InaccessiblePaths", "-/tmp -/var/tmp"),
    ("RemoveIPC", "yes"),
    ("UMask", "0077"),
]

# It asks the kernel who is connected to the sockets that it has passed on, sock_diag(7). The supervisor
# starts behind it, so it has nothing that takes a mount namespace.
WATCHER: Final[Settings] = [
    *((key, f"{value} AF_NETLINK" if key == "RestrictAddressFamilies" else value) for key, value in BOTH),
    *(one for one in PROXY if one[0] in ("SystemCallFilter", "SystemCallErrorNumber", "RemoveIPC", "UMask")),
]

# It says one line on a Unix socket, and nothing waits for it.
KEEPER: Final[Settings] = [
    *((key, "AF_UNIX" if key == "RestrictAddressFamilies" else value) for key, value in BOTH),
    *PROXY,
]

# What a user's manager cannot do without a user namespace, which not every machine lets its users have
# (252, measured): these end the start with 218, by the capabilities that they take away ...
_FATAL_TO_USERS: Final = {
    *("CapabilityBoundingSet", "PrivateDevices"),
    *("ProtectClock", "ProtectKernelLogs", "ProtectKernelModules"),
}

# ... and these are passed over in silence, as all that takes a mount namespace.
_VAIN_FOR_USERS: Final = {
    *("ProtectSystem", "ProtectHome", "ProtectProc", "ProcSubset", "InaccessiblePaths"),
    *("ProtectControlGroups", "ProtectHostname", "ProtectKernelTunables"),
    "RemoveIPC",  # which takes another user
}


def within(scope: Scope, settings: Settings) -> Settings:
    """What of `settings` has an effect in units of this manager."""
    if not scope.user:
        return settings
    return [one for one in settings if one[0] not in _FATAL_TO_USERS | _VAIN_FOR_USERS]
