"""Messages of D-Bus and the one question that is asked with them, against bytes of a real bus."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.dbus import calls, messages
from wakeport.proxy.restart import job

# What dbus-daemon 1.14 and systemd 252 said in the middle of `systemctl restart t.service`.
HELLO_REPLY = bytes.fromhex(
    "6c02010109000000010000003d00000006017300040000003a312e3200000000050175000100000008016700017300000701"
    "7300140000006f72672e667265656465736b746f702e4442757300000000040000003a312e3200"
)
NAME_ACQUIRED = bytes.fromhex(
    "6c04010109000000020000008d00000001016f00150000002f6f72672f667265656465736b746f702f444275730000000201"
    "7300140000006f72672e667265656465736b746f702e4442757300000000030173000c0000004e616d654163717569726564"
    "0000000006017300040000003a312e3200000000080167000173000007017300140000006f72672e667265656465736b746f"
    "702e4442757300000000040000003a312e3200"
)
UNIT_LISTED = bytes.fromhex(
    "6c020101c9000000040000003d000000050175000200000006017300040000003a312e3200000000080167000d6128737373"
    "7373736f75736f2900000000000007017300040000003a312e3000000000c10000000000000009000000742e736572766963"
    "6500000009000000742e73657276696365000000060000006c6f6164656400000c000000646561637469766174696e670000"
    "00000c00000073746f702d7369677465726d0000000000000000000000002a0000002f6f72672f667265656465736b746f70"
    "2f73797374656d64312f756e69742f745f32657365727669636500005b000000070000007265737461727400200000002f6f"
    "72672f667265656465736b746f702f73797374656d64312f6a6f622f393100"
)

WELCOME = b"OK 0123456789abcdef0123456789abcdef\r\n"


def test_what_a_real_bus_says_is_understood() -> None:
    listed = messages.parse(UNIT_LISTED)
    body = listed.body
    unit = "t.service"
    state = ["loaded", "deactivating", "stop-sigterm", ""]
    path = "/org/freedesktop/systemd1/unit/t_2eservice"
    tail = [7, "restart", "/org/freedesktop/systemd1/job/91"]
    assert (listed.kind, listed.answers) == (calls.METHOD_RETURN, job.LIST)
    assert body[0][0][:1] + body[0][0][2:7] + [91] + body[0][0][8:] == [unit, *state, path, 91, *tail[1:]]
    hello = messages.parse(HELLO_REPLY)
    assert (hello.kind, hello.answers) == (calls.METHOD_RETURN, job.HELLO)
    assert messages.parse(NAME_ACQUIRED).kind == calls.SIGNAL


@pytest.mark.parametrize("message", [HELLO_REPLY, NAME_ACQUIRED, UNIT_LISTED])
def test_a_message_is_as_long_as_it_says(message: bytes) -> None:
    assert messages.message_size(message[: messages.START_SIZE]) == len(message)


# Another encoder, for any type and both byte orders: from the specification, not from the code.

ALIGNED = {"y": 1, "b": 4, "n": 2, "q": 2, "i": 4, "u": 4, "x": 8, "t": 8, "d": 8}
STRUCT = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}


class Writer:
    def __init__(self, order: str, data: bytes = b"") -> None:
        self.order = order
        self.data = bytearray(data)

    def pad(self, boundary: int) -> None:
        while len(self.data) % boundary:
            self.data.append(0)

    def number(self, kind: str, value: Any) -> None:
        self.pad(ALIGNED[kind])
        self.data += struct.pack(self.order + STRUCT[kind], value)

    def write(self, kind: str, value: Any) -> None:
        if kind in STRUCT:
            self.number(kind, value)
        elif kind in ("s", "o", "g"):
            self.number("y" if kind == "g" else "u", len(value.encode()))
            self.data += value.encode() + b"\0"
        elif kind == "v":
            self.write("g", value[0])
            self.write(*value)
        elif kind.startswith("a"):
            self.number("u", 0)
            size_at = len(self.data)
            self.pad(8 if kind[1] in "({" else ALIGNED.get(kind[1], 1 if kind[1] in "vg" else 4))
            began = len(self.data)
            for one in value:
                self.write(kind[1:], one)
            struct.pack_into(f"{self.order}I", self.data, size_at - 4, len(self.data) - began)
        else:
            self.pad(8)
            for inner, one in zip(members(kind), value, strict=True):
                self.write(inner, one)


def members(kind: str) -> list[str]:
    """What a structure consists of. Types here are built so that a comma parts them."""
    return kind[1:-1].split(",")


def message(order: str, kinds: list[str], values: list[Any], kind: int = 2, answers: int = job.LIST) -> bytes:
    body = Writer(order)
    for one, value in zip(kinds, values, strict=True):
        body.write(one, value)
    writer = Writer(order, b"l" if order == "<" else b"B")
    for number in (kind, 0, 1):
        writer.number("y", number)
    writer.number("u", len(body.data))
    writer.number("u", 77)
    fields = [[5, ("u", answers)], [7, ("s", ":1.0")], [8, ("g", "".join(kinds).replace(",", ""))]]
    writer.write("a(y,v)", fields)
    writer.pad(8)
    return bytes(writer.data + body.data)


def numbers(kind: str) -> st.SearchStrategy[Any]:
    size = ALIGNED[kind] * 8
    if kind == "d":
        return st.floats(allow_nan=False)
    return (
        st.integers(0, 1)
        if kind == "b"
        else st.integers(0, 2**size - 1 if kind in "yqut" else 2 ** (size - 1) - 1)
    )


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
SIMPLE = st.one_of(
    *(st.tuples(st.just(kind), numbers(kind)) for kind in STRUCT),
    st.tuples(st.sampled_from("so"), TEXTS),
    st.tuples(st.just("g"), st.sampled_from(["", "s", "a{sv}"])),
)
STRUCTURES = st.lists(SIMPLE, min_size=1, max_size=5).map(
    lambda parts: (f"({','.join(kind for kind, _ in parts)})", [value for _, value in parts])
)
ARRAYS = st.tuples(SIMPLE | STRUCTURES, st.integers(0, 3)).map(
    lambda drawn: (f"a{drawn[0][0]}", [drawn[0][1]] * drawn[1])
)
VALUES = st.lists(SIMPLE | STRUCTURES | ARRAYS, max_size=4)


@given(st.sampled_from("<>"), VALUES)
def test_every_type_is_read_in_both_byte_orders(order: str, values: list[tuple[str, Any]]) -> None:
    kinds, given_values = [kind for kind, _ in values], [value for _, value in values]
    encoded = message(order, kinds, given_values)
    assert messages.message_size(encoded[:16]) == len(encoded)
    parsed = messages.parse(encoded)
    assert (parsed.kind, parsed.answers, parsed.body) == (calls.METHOD_RETURN, job.LIST, given_values)


@given(st.lists(TEXTS, max_size=4))
def test_a_call_is_what_the_specification_says(texts: list[str]) -> None:
    written = calls.call(9, "a.b", "/a/b", "a.b.C", "Do", texts)
    writer = Writer("<", b"l\x01\x00\x01")
    body = Writer("<")
    body.write("as", texts)
    writer.number("u", len(body.data))
    writer.number("u", 9)
    fields = [(1, "o", "/a/b"), (6, "s", "a.b"), (2, "s", "a.b.C"), (3, "s", "Do"), (8, "g", "as")]
    writer.write("a(y,v)", [[code, (kind, text)] for code, kind, text in fields])
    writer.pad(8)
    assert written == bytes(writer.data + body.data)


@given(st.sampled_from([UNIT_LISTED, NAME_ACQUIRED]), st.data())
def test_a_damaged_message_is_told_from_a_whole_one(whole: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(1, len(whole)))
    for nonsense in (bytes(damaged), whole[:cut], data.draw(st.binary(min_size=16, max_size=200))):
        try:
            messages.message_size(nonsense.ljust(16, b"\0"))
            messages.parse(nonsense)
        except messages.Malformed:
            pass


@pytest.mark.parametrize("signature", ["a" * 255, "(" * 255, "a(" * 100, ")", "()", "(s", "ss}", "{", "é"])
def test_a_type_that_makes_no_sense_is_refused(signature: str) -> None:
    with pytest.raises(messages.Malformed):
        messages.parse(
            message("<", [], []).replace(
                b"\x08\x01g\0\0\0",
                b"\x08\x01g\0" + bytes([len(signature.encode())]) + signature.encode() + b"\0",
            )
        )


# The one question.


@contextmanager
def bus(path: Path, said: bytes, pieces: int = 4096) -> Iterator[str]:
    """A bus with one guest, which hears it to the end before it says anything."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path / "bus"))
    listener.listen(1)

    def serve() -> None:
        guest, _ = listener.accept()
        guest.settimeout(20)
        with guest:
            if not said:
                assert guest.recv(1)
                while guest.recv(4096):
                    pass
                return
            line, end, rest = said.partition(b"\r\n")
            assert hear(guest, b"\r\n").startswith(b"\0AUTH EXTERNAL ")
            guest.sendall(line + end)
            if line.startswith(b"OK"):
                assert hear(guest, b"t.service\0").startswith(b"BEGIN\r\n")
            for at in range(0, len(rest), pieces):
                guest.sendall(rest[at : at + pieces])

    thread = threading.Thread(target=serve)
    thread.start()
    yield str(path / "bus")
    thread.join()
    listener.close()


def hear(guest: socket.socket, end: bytes) -> bytes:
    heard = b""
    while not heard.endswith(end):
        heard += guest.recv(4096)
    return heard


def listed(order: str, job_type: str) -> bytes:
    texts = ["t.service", "a t", "loaded", "active", "running", "", "/t"]
    return message(order, ["a(s,s,s,s,s,s,o,u,s,o)"], [[[*texts, 7, job_type, "/job/7"]]])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pieces", [1, 7, 4096])
def test_the_job_is_told(tmp_path: Path, order: str, pieces: int) -> None:
    said = WELCOME + HELLO_REPLY + NAME_ACQUIRED + listed(order, "restart")
    with bus(tmp_path, said, pieces) as path:
        assert job.job_type("t.service", path) == "restart"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"what", "hung up"),
        (b"REJECTED EXTERNAL\r\n", "does not let us in"),
        (WELCOME, "hung up"),
        (WELCOME + HELLO_REPLY + UNIT_LISTED[:-3], "hung up"),
        (WELCOME + b"HTTP/1.1 400 Bad Request\r\n", "nonsense"),
        (WELCOME + HELLO_REPLY + message("<", ["s"], ["who are you?"], calls.ERROR), "refuses: who are you"),
        (WELCOME + HELLO_REPLY + message(">", ["a(s,s)"], [[]]), "nonsense"),
        (WELCOME + HELLO_REPLY + message(">", ["u"], [5]), "nonsense"),
    ],
)
def test_a_bus_that_does_not_tell_is_no_answer(tmp_path: Path, said: bytes, why: str) -> None:
    with bus(tmp_path, said) as path, pytest.raises(job.Unanswered, match=why):
        job.job_type("t.service", path)


def test_a_bus_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with bus(tmp_path, b"") as path, pytest.raises(job.Unanswered, match="time"):
        job.job_type("t.service", path, within=0.05)


def test_no_bus_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(job.Unanswered, match="No such file"):
        job.job_type("t.service", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/wakeport-web.service\n", "wakeport-web.service"),
        (
            "12:pids:/docker/3f\n1:name=systemd:/system.slice/wakeport-a.b:c.service\n",
            "wakeport-a.b:c.service",
        ),
        ("3:cpu,cpuacct:/x.service\n0::/\n", None),
        ("", None),
    ],
)
def test_the_own_unit_is_known_by_its_cgroup(tmp_path: Path, text: str, unit: str | None) -> None:
    path = tmp_path / "cgroup"
    path.write_text(text)
    if unit is None:
        with pytest.raises(job.Unanswered):
            job.own_unit(str(path))
    else:
        assert job.own_unit(str(path)) == unit
