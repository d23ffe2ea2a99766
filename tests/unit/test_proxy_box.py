"""Boxes of connections: what goes in comes out, and of a bad one nothing stays open."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wakeport.proxy.restart import box
from wakeport.proxy.restart.box import Record


class Pair:
    """A box, and how many descriptors there were before it."""

    def __init__(self) -> None:
        self.before = open_descriptors()
        self.sender, self.receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def unpack(self) -> tuple[list[Record], str]:
        self.sender.close()
        records, problems = box.unpack(self.receiver)
        return list(records), "; ".join(problems)

    def close(self) -> None:
        self.sender.close()
        self.receiver.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.close()
    assert open_descriptors() == pair.before


def connections(count: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """TCP connections: the end that goes into the box, and the peer's."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        for _ in range(count):
            peer = socket.create_connection(listener.getsockname())
            yield listener.accept()[0], peer


JSON = st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(), max_size=4)
RECORDS = st.lists(
    st.tuples(
        JSON,
        st.lists(st.text(max_size=8), max_size=3, unique=True),
        st.dictionaries(st.text(max_size=8), st.binary(max_size=100), max_size=3),
    ),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RECORDS)
def test_what_goes_in_comes_out(
    given_records: list[tuple[dict[str, object], list[str], dict[str, bytes]]],
) -> None:
    pair = Pair()
    with contextlib.ExitStack() as stack:
        records = []
        for facts, names, data in given_records:
            files = {name: stack.enter_context(open("/dev/null", "rb")).fileno() for name in names}
            records.append(Record(facts, files, data))
        box.pack(records, pair.sender)
    found, wrong = pair.unpack()
    pair.close()
    assert wrong == ""
    assert [(one.facts, list(one.descriptors), one.data) for one in found] == given_records
    for one in found:
        for fd in one.descriptors.values():
            os.close(fd)
    assert open_descriptors() == pair.before


def test_a_connection_goes_on_where_it_was(pair: Pair) -> None:
    ends = list(connections(600))
    records = [Record({"number": n}, {"client": end.fileno()}) for n, (end, _) in enumerate(ends)]
    box.pack(records, pair.sender)
    for end, _ in ends:
        end.close()
    found, wrong = pair.unpack()
    assert wrong == ""
    for record, (_, peer) in zip(found, ends, strict=True):
        with socket.socket(fileno=record.descriptors["client"]) as sock, peer:
            sock.sendall(b"%d" % record.facts["number"])
            assert int(peer.recv(10)) == record.facts["number"]


def test_more_bytes_under_way_than_any_send_buffer_holds(pair: Pair) -> None:
    data = os.urandom(16 << 20)
    box.pack([Record({}, {}, {"pending": data})], pair.sender)
    [found], wrong = pair.unpack()
    assert (found.data["pending"] == data, wrong) == (True, "")


def test_of_an_unknown_version_everything_is_reset(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    [(end, peer)] = connections(1)
    with monkeypatch.context() as newer:
        newer.setattr(box, "VERSION", 2)
        box.pack([Record({}, {"client": end.fileno()})], pair.sender)
    end.close()
    assert pair.unpack() == ([], "it is of version 2, and this is 1")
    with peer, pytest.raises(ConnectionResetError):
        peer.recv(1)


def test_a_packer_that_died_in_the_middle_leaves_what_it_had_packed(pair: Pair) -> None:
    whole = Pair()
    ends = list(connections(300))
    records = [Record({"n": n}, {"client": end.fileno()}) for n, (end, _) in enumerate(ends)]
    box.pack(records, whole.sender)
    for _ in range(2):
        text, descriptors, _, _ = socket.recv_fds(whole.receiver, 64, box.AT_ONCE)
        socket.send_fds(pair.sender, [text], descriptors)
        for fd in descriptors:
            os.close(fd)
    whole.close()
    for end, _ in ends:
        end.close()
    found, wrong = pair.unpack()
    assert [one.facts["n"] for one in found] == list(range(box.AT_ONCE))
    assert "and 47 connections with them" in wrong
    for one in found:
        os.close(one.descriptors["client"])
    for _, peer in ends:
        peer.close()


@pytest.mark.parametrize("allowed", [0, 1, 2, 253, 254])
def test_with_too_few_descriptors_free_what_fits_is_there(pair: Pair, allowed: int) -> None:
    ends = list(connections(300))
    records = [Record({"n": n}, {"client": end.fileno()}) for n, (end, _) in enumerate(ends)]
    box.pack(records, pair.sender)
    for end, _ in ends:
        # What the kernel cannot deliver it closes: as the packer has asked for.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.close()
    pair.sender.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Less the number that this listing takes for itself: it is for the manifest.
    free = sorted(set(range(2000)) - {int(one.name) for one in Path("/proc/self/fd").iterdir()})
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[allowed], hard))
    try:
        found, wrong = pair.unpack()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert f"and {300 - allowed} connections with them" in wrong
    assert [one.facts["n"] for one in found] == list(range(allowed))
    for one in found:
        box.reset(one.descriptors["client"])
    for _, peer in ends:
        with peer, pytest.raises(ConnectionResetError):
            peer.recv(1)


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([b"1 3", b"1 0", b"0", b"2 1", b"1", b"x y", b"-1", b"9" * 30])
        | st.binary(min_size=1, max_size=64),
        st.integers(0, 3),
    ),
    max_size=5,
)


@settings(max_examples=300)
@given(
    MESSAGES, st.binary(max_size=60) | st.sampled_from([b'[{},["a","b"],{"c":2}]\nxy', b"[1,2,3]\n", b"{}\n"])
)
def test_nonsense_in_a_box_neither_raises_nor_leaks(
    messages: list[tuple[bytes, int]], manifest: bytes
) -> None:
    pair = Pair()
    with open(os.memfd_create("nonsense"), "w+b", buffering=0) as file:
        file.write(manifest)
        for text, count in messages:
            socket.send_fds(pair.sender, [text], [file.fileno()] * count)
    found, _ = pair.unpack()
    for one in found:
        for fd in one.descriptors.values():
            os.close(fd)
    pair.close()
    assert open_descriptors() == pair.before
