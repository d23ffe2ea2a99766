"""wakeport's own table of nftables, in the words of nft(8): made by the first supervisor that needs it.

Everything in it that sends traffic on is a lease of a supervisor, and lasts for seconds. The rules are the
same for all services; a connection is looked up once, when it begins.
"""

from __future__ import annotations

TABLE = "wakeport"

# A set that is there where the table is this one, counted up with each change of what follows: a supervisor
# that does not find it makes the table anew.
VERSION = "version1"

# What a supervisor puts in lasts as long as it says; what the rules put in, as long as stands here.
# tried: a client sends its first packet again after 1 s (RFC 6298). let_in: so long a filter's word counts.
LEARNED = "size 65536; flags dynamic,timeout; timeout"
SETS = {
    # The port comes first: of ranges the kernel narrows down field by field, and one that all have in common,
    # as "from anywhere", would leave it with all of them (1,000 of them: 0.7 of the connections a second).
    # Types, and not typeof as below, of which nft 1.0.6 cannot read back what it has written.
    "map awake4": "type inet_service . inet_proto . ipv4_addr . ipv4_addr : ipv4_addr . inet_service; "
    "flags interval,timeout; counter",
    "map awake6": "type inet_service . inet_proto . ipv6_addr . ipv6_addr : ipv6_addr . inet_service; "
    "flags interval,timeout; counter",
    f"set {VERSION}": "typeof meta l4proto . th dport; flags timeout",
    "set ports": "typeof meta l4proto . th dport; flags timeout",
    "set gated": "typeof meta l4proto . th dport; flags timeout",
    "set bridges": "typeof iifname; flags timeout",
    "set let_in4": f"typeof iifname . ip saddr . ip daddr . meta l4proto . th dport; {LEARNED} 10s",
    "set let_in6": f"typeof iifname . ip6 saddr . ip6 daddr . meta l4proto . th dport; {LEARNED} 10s",
    "set tried4": f"typeof ip saddr . ip daddr . meta l4proto . th sport . th dport; {LEARNED} 5s",
    "set tried6": f"typeof ip6 saddr . ip6 daddr . meta l4proto . th sport . th dport; {LEARNED} 5s",
    "set passes4": f"typeof iifname . ip daddr . meta l4proto . th dport; {LEARNED} 10s",
    "set passes6": f"typeof iifname . ip6 daddr . meta l4proto . th dport; {LEARNED} 10s",
    "set closed4": f"typeof iifname . ip daddr . meta l4proto . th dport; {LEARNED} 10m",
    "set closed6": f"typeof iifname . ip6 daddr . meta l4proto . th dport; {LEARNED} 10m",
}

# An accept of ours would not overrule what others drop, and nothing of theirs is touched. So whether they let
# the traffic in is learned of the traffic itself:
#
# INPUT no longer sees what is sent on. Where anything filters there, a port is `gated`: only those are sent
# on whom the filters have let in a moment ago, at the same address. The chain "input" sees that, since it
# comes behind all of them; one of type nat would not, those are called at 100 whatever they say.
#
# FORWARD may drop what is sent on. While it has not been seen to let it pass, a connection is on trial: noted
# in `tried`, and if it comes through, the chain "postrouting" notes that it `passes`. If the same first
# packet comes again, it did not: then it goes to the listener, as everything after it for a while (`closed`).
# So that it comes again, the chain "output" keeps the word to itself with which FORWARD rejects it meanwhile.
#
# Not on trial is what is lost for reasons of its own, and by which anybody could close the way to all: a
# packet with no hop left, and one whose answer would not leave where it came in.
#
# Those on the container's own bridge are left to the listener: its answers would not come back this way.
#
# What is not the first packet of a connection, but looks so to a kernel that has not tracked it until now, is
# left alone as well: somebody may have come while all rules were flushed, or before this table was made.
#
# The hooks that send on are of type nat, which see the first packet of a connection alone.
CHAINS = {
    "prerouting": (
        "type nat hook prerouting priority dstnat - 10",
        "meta l4proto . th dport != @ports return",
        "tcp flags & (fin | syn | rst | ack) != syn return",
        "fib daddr type != local return",
        "iifname @bridges return",
        "meta nfproto ipv4 goto way4",
        "meta nfproto ipv6 goto way6",
    ),
    "way4": (
        "",
        "ip ttl < 2 return",
        "iifname . ip daddr . meta l4proto . th dport @closed4 return",
        "meta l4proto . th dport @gated "
        "iifname . ip saddr . ip daddr . meta l4proto . th dport != @let_in4 return",
        "iifname . ip daddr . meta l4proto . th dport != @passes4 jump trial4",
        "meta l4proto { tcp, udp } dnat ip to th dport . meta l4proto . ip daddr . ip saddr map @awake4",
    ),
    "way6": (
        "",
        "ip6 hoplimit < 2 return",
        "iifname . ip6 daddr . meta l4proto . th dport @closed6 return",
        "meta l4proto . th dport @gated "
        "iifname . ip6 saddr . ip6 daddr . meta l4proto . th dport != @let_in6 return",
        "iifname . ip6 daddr . meta l4proto . th dport != @passes6 jump trial6",
        "meta l4proto { tcp, udp } dnat ip6 to th dport . meta l4proto . ip6 daddr . ip6 saddr map @awake6",
    ),
    "trial4": (
        "",
        "th dport . meta l4proto . ip daddr . ip saddr != @awake4 return",
        "fib saddr . iif oif missing accept",
        "ip saddr . ip daddr . meta l4proto . th sport . th dport @tried4 "
        "add @closed4 { iifname . ip daddr . meta l4proto . th dport } accept",
        "add @tried4 { ip saddr . ip daddr . meta l4proto . th sport . th dport }",
    ),
    "trial6": (
        "",
        "th dport . meta l4proto . ip6 daddr . ip6 saddr != @awake6 return",
        "fib saddr . iif oif missing accept",
        "ip6 saddr . ip6 daddr . meta l4proto . th sport . th dport @tried6 "
        "add @closed6 { iifname . ip6 daddr . meta l4proto . th dport } accept",
        "add @tried6 { ip6 saddr . ip6 daddr . meta l4proto . th sport . th dport }",
    ),
    "input": (
        "type filter hook input priority 2147483646",
        "ct state new meta l4proto . th dport @gated "
        "update @let_in4 { iifname . ip saddr . ip daddr . meta l4proto . th dport }",
        "ct state new meta l4proto . th dport @gated "
        "update @let_in6 { iifname . ip6 saddr . ip6 daddr . meta l4proto . th dport }",
    ),
    "postrouting": (
        "type nat hook postrouting priority srcnat - 10",
        "meta l4proto { tcp, udp } meta l4proto . ct original proto-dst @ports ct status dnat "
        "update @passes4 { iifname . ct original ip daddr . meta l4proto . ct original proto-dst }",
        "meta l4proto { tcp, udp } meta l4proto . ct original proto-dst @ports ct status dnat "
        "update @passes6 { iifname . ct original ip6 daddr . meta l4proto . ct original proto-dst }",
    ),
    "output": (
        "type filter hook output priority 0",
        "meta l4proto { tcp, icmp } ct status & (dnat | confirmed) == dnat "
        "ct original protocol . ct original proto-dst @ports "
        "oifname . ct original ip daddr . ct original protocol . ct original proto-dst != @passes4 drop",
        "meta l4proto { tcp, ipv6-icmp } ct status & (dnat | confirmed) == dnat "
        "ct original protocol . ct original proto-dst @ports "
        "oifname . ct original ip6 daddr . ct original protocol . ct original proto-dst != @passes6 drop",
    ),
}


def commands() -> str:
    """What makes the table, in place of any that is there. nft(8) does all of it at once, or nothing.

    What services have in it is gone then for as long as they take to renew it.
    """
    made = [f"add table inet {TABLE}", f"delete table inet {TABLE}", f"add table inet {TABLE}"]
    made += [f"add {kind} inet {TABLE} {name} {{ {words}; }}" for (kind, name), words in _named(SETS)]
    for name, (hook, *_) in CHAINS.items():
        made += [f"add chain inet {TABLE} {name}" + (f" {{ {hook}; policy accept; }}" if hook else "")]
    for name, (_, *rules) in CHAINS.items():
        made += [f"add rule inet {TABLE} {name} {rule}" for rule in rules]
    return "\n".join(made)


def _named(sets: dict[str, str]) -> list[tuple[list[str], str]]:
    return [(name.split(), words) for name, words in sets.items()]
