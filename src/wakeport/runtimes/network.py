"""Where a process can be reached from the host: the address of its network, as the kernel shows it.

Nobody else is asked, and no capability is needed: proc(5), /proc/PID/net. `root` is for tests.
"""

from __future__ import annotations

LOOPBACK = "127.0.0.1"

# In fib_trie: an address on a line, and behind it on the next that it is the machine's own.
_ADDRESS, _LOCAL = "|-- ", "/32 host LOCAL"

# The latter a machine gives itself where nobody else does, or until somebody does, RFC 3927.
_LOOPBACKS, _LINK_LOCAL = "127.", "169.254."

# In if_inet6: the address, the interface, the prefix, the scope (00 is global), the flags, the name.
_GLOBAL, _TENTATIVE = "00", 0x40


def address(pid: int, root: str = "") -> str | None:
    """Loopback where its network is the host's own; else its first address, None while it has none.

    IPv4 before IPv6, and none that counts on its own link alone. Two networks with the same addresses are
    taken for one.
    """
    ours, theirs = _addresses("self", root), _addresses(str(pid), root)
    return LOOPBACK if ours == theirs else next(iter(theirs), None)


def _addresses(pid: str, root: str) -> list[str]:
    found = _addresses4(_read(f"{root}/proc/{pid}/net/fib_trie"))
    return list(found) + list(_addresses6(_read(f"{root}/proc/{pid}/net/if_inet6")))


def _addresses4(text: str) -> dict[str, None]:
    found: dict[str, None] = {}
    before = ""
    for line in text.splitlines():
        if line.lstrip().startswith(_LOCAL):
            address = before.partition(_ADDRESS)[2].strip()
            if address and not address.startswith((_LOOPBACKS, _LINK_LOCAL)):
                found[address] = None
        before = line
    return found


def _addresses6(text: str) -> dict[str, None]:
    found: dict[str, None] = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 6 and fields[3] == _GLOBAL and not int(fields[4], 16) & _TENTATIVE:
            found[":".join(fields[0][at : at + 4] for at in range(0, 32, 4))] = None
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
