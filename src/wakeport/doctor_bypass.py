"""Whether awake traffic can go past the proxy (`bypass`), and what a firewall no longer sees of it."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from wakeport import facts, forward_trial, status
from wakeport.bypass.elements import packed
from wakeport.bypass.surroundings import filtered_by, interface_to, old_tables
from wakeport.bypass.table import TABLE
from wakeport.errors import Problem
from wakeport.finding import Finding
from wakeport.forward_trial import Way
from wakeport.layout import Layout
from wakeport.lease import ASLEEP, AWAKE, DOZING
from wakeport.listener import Listener
from wakeport.netlink.connection import Netfilter
from wakeport.netlink.nftables import Chain, base_chains
from wakeport.network_programs import Nftables
from wakeport.runtimes.container import Container
from wakeport.service import Service
from wakeport.status import Published
from wakeport.systemd import Properties, Systemd
from wakeport.targets import target
from wakeport.units import names

FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
HOOK: Final = 2  # NF_INET_FORWARD
LOOPBACKS: Final = ("127.", "::1")
FILTERS: Final = ("IPAddressAllow", "IPAddressDeny")  # of systemd.resource-control(5)
FIREWALLD: Final = "firewalld"  # its table; with each reload it takes out what others have added by iptables


class Closed(NamedTuple):
    """What the kernel has noted, see bypass/table.py; `left` is for how many seconds more."""

    interface: str
    address: str
    protocol: str
    port: int
    left: float


class Tried(NamedTuple):
    """One listener of a service: the way past the proxy, and its target as in "80/tcp"."""

    on: str
    key: str
    way: Way
    awake: bool  # else the way leads to where nobody is


def machine(layout: Layout, services: list[Service]) -> list[Finding]:
    """What holds for all of these that have it."""
    passing = [one for one in services if one.bypass]
    if not passing or layout.scope.user:
        return []
    known = [status.published(layout, one.name) for one in passing]
    return [*lacking(FORWARDING), *input_unseen(_input_filter(known))]


def service(layout: Layout, systemd: Systemd, one: Service, container: Container) -> list[Finding]:
    """What holds for one service."""
    if not one.bypass or layout.scope.user:
        return []
    socket = names(one.name).socket
    return [
        *way(layout, one, container),
        *supervisors_word(one, status.published(layout, one.name)),
        *addresses_unseen(one, socket, systemd.show([socket], FILTERS).get(socket, {})),
    ]


def lacking(setting: Path) -> list[Finding]:
    """What a machine has to have: the program that makes the table, and the kernel's leave (`setting`)."""
    found = []
    try:
        Nftables().there()
    except Problem as problem:
        found.append(Finding("", f"{problem.fact}, which bypass needs", problem.hint))
    try:
        forwards = setting.read_text().strip() != "0"
    except OSError:
        forwards = True  # nobody can tell
    if not forwards:
        fact = "this machine forwards nothing (net.ipv4.ip_forward = 0), so nothing can go past a proxy"
        found.append(Finding("", fact, "sysctl net.ipv4.ip_forward=1; Docker sets that when it starts"))
    return found


def way(layout: Layout, one: Service, container: Container) -> list[Finding]:
    """Whether it is open, where nothing is lacking."""
    if lacking(FORWARDING):
        return []
    if os.geteuid() != 0:
        fact = "whether FORWARD lets through what goes past the proxy can be tried by root alone"
        return [Finding(one.name, fact, f"sudo wakeport doctor {one.name}", wrong=False)]
    try:
        all_of_it = ways(layout, one, container, status.published(layout, one.name))
    except Problem:
        return []  # settings that lead nowhere: that is said of its units
    nftables = Nftables()
    return [found for tried in all_of_it for found in _forward(layout, one, container, tried, nftables)]


def ways(layout: Layout, one: Service, container: Container, known: Published) -> list[Tried]:
    """Those that the supervisor would open; to an address of its network, where the container sleeps."""
    found = []
    awake = known.get("state") in (AWAKE, DOZING)
    for listener in one.listener:
        if not listener.on.port or isinstance(listener.to, str):
            continue
        key = target(one, listener, tuple(container.exposed))
        address = (known.get("targets") or {}).get(key, [""])[0] if awake else ""
        address = address or facts.spare_address(layout, one, container)
        port, _, protocol = key.partition("/")
        way = Way(protocol, listener.on.port, address, int(port))
        if _hears_of(listener, way):
            found.append(Tried(str(listener.on), key, way, awake))
    return found


def _hears_of(listener: Listener, way: Way) -> bool:
    """Whether clients of another machine, and of the container's own family, come to it at all."""
    on = listener.on
    return not on.address.startswith(LOOPBACKS) and on.family in (0, way.family)


def _forward(
    layout: Layout, one: Service, container: Container, tried: Tried, nftables: Nftables
) -> list[Finding]:
    """What came of a trial."""
    advice = facts.advice(layout, one)
    address = tried.way.address
    if address.startswith(LOOPBACKS):
        fact = f"container {container.name} is on the host's own network, so there is nothing to pass by"
        return [Finding(one.name, fact, "take bypass out, or give it a network of its own")]
    if not address or not interface_to(packed(address)):
        fact = "can be tried only while it is awake, when it has a network"
        return [_untried(one, tried, fact, f"then: wakeport doctor {one.name}")]
    try:
        passes = forward_trial.passes(tried.way, nftables)
    except Problem as problem:
        return [_untried(one, tried, f"could not be tried: {problem.fact}", problem.hint)]
    if passes:
        return closed_yet(one, tried, _closed(nftables, _closed_set(tried)))
    if not tried.awake and advice.let_forward and container.published.get(tried.key):
        return []  # its runtime opens that while it runs
    return [dropped(one, tried, _chains(), advice.forward_chain, advice.let_forward)]


def _untried(one: Service, tried: Tried, why: str, hint: str) -> Finding:
    fact = f'whether FORWARD lets through what goes past the proxy of "{tried.on}" {why}'
    return Finding(one.name, fact, hint, wrong=False)


def dropped(one: Service, tried: Tried, chains: list[Chain], chain: str, otherwise: str) -> Finding:
    """`chains` are all that there are; a rule in `chain`, or else `otherwise`, lets it through."""
    way = tried.way
    price = "waits a second" if way.protocol == "tcp" else "loses its first datagram"
    fact = (
        f'FORWARD{_dropping(chains)} drops what goes past the proxy of "{tried.on}": all is relayed, '
        f"and for that one client in 10 min {price}"
    )
    program = "iptables" if way.family == 4 else "ip6tables"
    rule = f"{program} -I {chain} -p {way.protocol} -m conntrack --ctstate DNAT --ctorigdstport {way.port}"
    until = " until firewalld is reloaded" if any(each.table == FIREWALLD for each in chains) else ""
    hint = f"let it through{until}: {rule} -j ACCEPT"
    if otherwise:
        port, _, protocol = tried.key.partition("/")
        said = port if protocol == "tcp" else tried.key
        hint += f"\nor {otherwise.replace('{port}', said)}"
    return Finding(one.name, fact, hint)


def closed_yet(one: Service, tried: Tried, closed: list[Closed]) -> list[Finding]:
    """By which interfaces its clients are still relayed, since FORWARD has dropped some a while ago."""
    found = []
    for interface, address, protocol, port, left in closed:
        if (protocol, port) == (tried.way.protocol, tried.way.port):
            fact = (
                f'FORWARD lets through again what goes past the proxy of "{tried.on}", but has dropped it '
                f"before: who comes by {interface} to {address} is relayed for "
                f"{max(1, round(left / 60))} min more"
            )
            hint = f"at once: nft flush set inet {TABLE} {_closed_set(tried)}"
            found.append(Finding(one.name, fact, hint, wrong=False))
    return found


def _closed_set(tried: Tried) -> str:
    return f"closed{tried.way.family}"


def _closed(nftables: Nftables, set_: str) -> list[Closed]:
    try:
        [listed] = nftables.listed("set", "inet", TABLE, set_)
    except (Problem, ValueError):
        return []  # no service has been awake since the machine was booted
    found = []
    for entry in listed["set"].get("elem", []):
        interface, address, protocol, port = entry["elem"]["val"]["concat"]
        found.append(Closed(interface, address, protocol, port, float(entry["elem"]["expires"])))
    return found


def _dropping(chains: list[Chain]) -> str:
    """Whose policy that may be, as far as chains alone tell it."""
    dropping = [f"{one.table} {one.name}" for one in chains if one.hook == HOOK and one.drops]
    policies = dict.fromkeys(dropping)  # IPv4 and IPv6 have their own, of the same names
    return f" ({' and '.join(policies)}, policy drop)" if policies else ""


def supervisors_word(one: Service, known: Published) -> list[Finding]:
    """Why it has not opened the way itself."""
    if known.get("state") in (None, ASLEEP):
        return []
    said = known.get("bypass")
    hint = f"where bypass is new, it counts from the next wake on: wakeport sleep {one.name}"
    if said is None:
        return [Finding(one.name, "it was awake before it had bypass, and knows nothing of it yet", hint)]
    if not said["why"]:
        return []
    return [Finding(one.name, f"nothing goes past the proxy: {said['why']}", hint)]


def input_unseen(by: str) -> list[Finding]:
    """What it means where somebody filters INPUT: they let in whom they always did, and see less of them."""
    if not by:
        return []
    fact = (
        f'INPUT is filtered ("{by}"): with bypass it sees of each address one connection in ten seconds, '
        "which is relayed, and what counts or limits rates there sees no other"
    )
    hint = "all others go by the rules of FORWARD, as `ufw route` has them; firewalld lets them pass"
    return [Finding("", fact, hint, wrong=False)]


def _input_filter(known: list[Published]) -> str:
    """Root alone may ask the kernel; supervisors say what they have found."""
    if chains := _chains():
        return filtered_by(chains, old_tables())
    said = [(one.get("bypass") or {}).get("gated_by", "") for one in known]
    return next(filter(None, said), "")


def _chains() -> list[Chain]:
    try:
        with closing(Netfilter()) as kernel:
            return base_chains(kernel)
    except OSError:
        return []


def addresses_unseen(one: Service, socket: str, shown: Properties) -> list[Finding]:
    """Its filter of addresses is about what the socket receives."""
    return [
        Finding(
            one.name,
            f"{socket} has {key}={shown[key]}, which what goes past the proxy does not see",
            f'say it with allow = ["…"] in {one.name}.toml, which counts asleep and awake',
        )
        for key in FILTERS
        if shown.get(key)
    ]
