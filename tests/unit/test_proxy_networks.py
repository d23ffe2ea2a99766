"""Networks by their addresses, compared with what the standard library's own module says."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.proxy.admission.networks import Networks, pack, unpack

ADDRESSES = st.ip_addresses()
NETWORKS = st.builds(
    lambda address, bits: ipaddress.ip_network((address, bits % (address.max_prefixlen + 1)), strict=False),
    ADDRESSES,
    st.integers(0, 128),
)


@given(NETWORKS, ADDRESSES)
def test_any_network_covers_what_ipaddress_says(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    plain = getattr(address, "ipv4_mapped", None) or address
    if getattr(network.network_address, "ipv4_mapped", None) is None:
        assert Networks([str(network)]).cover((str(address), 1)) == (plain in network)


@given(NETWORKS, st.data())
def test_a_network_covers_its_own_addresses(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, data: st.DataObject
) -> None:
    inside = network[data.draw(st.integers(0, network.num_addresses - 1))]
    if network.version == 4:
        assert Networks([str(network)]).cover((str(inside), 1))
        assert Networks([str(network)]).cover((f"::ffff:{inside}", 1, 0, 0))


@given(st.lists(NETWORKS, max_size=6), ADDRESSES)
def test_several_cover_what_one_of_them_does(
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    peer, texts = (str(address), 1), [str(network) for network in networks]
    inside = [text for text in texts if Networks([text]).cover(peer)]
    assert Networks(texts).cover(peer) == bool(inside)
    assert Networks([*texts, str(address)]).cover(peer)


def test_an_ipv4_client_of_an_ipv6_socket_is_an_ipv4_client() -> None:
    mapped = ("::ffff:10.1.2.3", 51234, 0, 0)
    assert Networks(["10.1.0.0/16"]).cover(mapped)
    assert Networks(["::ffff:10.1.0.0/112"]).cover(mapped)
    assert not Networks(["::/0"]).cover(mapped)
    assert not Networks(["0.0.0.0/0"]).cover(("2001:db8::1", 1, 0, 0))


def test_a_link_is_no_part_of_an_address() -> None:
    assert Networks(["fe80::/10"]).cover(("fe80::1%eth0", 1, 0, 2))


def test_unix_clients_are_covered_by_name_alone() -> None:
    assert Networks(["10.0.0.1", "unix"]).cover("")
    assert Networks(["unix"]).cover(b"\0abstract")
    assert not Networks(["0.0.0.0/0", "::/0"]).cover("")
    assert not Networks(["unix"]).cover(("127.0.0.1", 1))


WRONG = ["", "/", "10.0.0", "10.0.0.256", "010.0.0.1", "::/129", "::ffff:10.0.0.0/95", ":::", "[::1]"]
WRONG += ["fe80::1%eth0", "example.org", "Unix", "\0", "é"]
WRONG += [f"10.0.0.0/{bits}" for bits in ("33", "-1", "", "8/8", "²", "0008")]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - which words it finds does not matter here
        Networks([text])


def test_bits_after_the_leading_ones_do_not_count() -> None:
    assert Networks(["10.1.2.3/8"]).cover(("10.200.0.1", 1))


@given(st.text(max_size=30))
def test_any_text_is_a_network_or_a_value_error(text: str) -> None:
    try:
        Networks([text])
    except ValueError:
        return


@given(ADDRESSES)
def test_packed_and_unpacked_it_is_the_same_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    plain = getattr(address, "ipv4_mapped", None) or address
    assert ipaddress.ip_address(unpack(pack(str(address)))) == plain
    assert unpack(address.packed) == unpack(pack(str(address)))
