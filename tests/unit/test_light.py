"""What stands in for modules of the standard library at a wake does as they do."""

from __future__ import annotations

import array
import json
import os
import random
import signal
import socket
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_house_rules import SOURCE, _modules_after, _system_python
from wakeport.light import json as light_json
from wakeport.light import signal as light_signal
from wakeport.light import socket as light_socket

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values)
def test_json_is_written_alike(value: Any) -> None:
    assert light_json.dumps(value) == json.dumps(value)
    assert light_json.dumps(value, separators=(",", ":")) == json.dumps(value, separators=(",", ":"))


@given(values.map(json.dumps) | st.text() | st.binary().map(lambda data: data.decode(errors="replace")))
def test_json_is_read_alike(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - of whichever kind, as in the standard library
            light_json.loads(text)
    else:
        # As text, in which a NaN equals itself.
        assert repr(light_json.loads(text)) == repr(expected)


@pytest.mark.parametrize(
    "text", ["", " ", "{", "1 2", "[1,", '{"a" 1}', "'a'", b"\xff", '"\x00"', "[" * 100_000]
)
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        light_json.loads(text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from wakeport.light import json
for text in eval(sys.stdin.read()):
    try:
        json.loads(text)
        print("True")
    except ValueError:
        print("False")
assert "json" not in sys.modules
"""


def test_json_is_refused_alike_where_the_standard_librarys_is_not_loaded() -> None:
    """The C half finds no error of the other half to raise then: a SystemError ended the proxy."""
    chance = random.Random(7)
    whole = json.dumps(
        {"state": "awake", "targets": {"80/tcp": ["172.17.0.2", 80]}, "x": [1.5, None, "\\u00e9"]}
    )
    texts = []
    for _ in range(2000):
        changed = list(whole[: chance.choice([len(whole), chance.randrange(len(whole))])])
        for _ in range(chance.randrange(1, 4)):
            changed.insert(chance.randrange(len(changed) + 1), chance.choice('{}[]":,m\\u0\x01'))
        texts.append("".join(changed))
    done = subprocess.run(
        [_system_python(), "-ISc", ALONE, str(SOURCE.parent)],
        input=repr(texts),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(_is_json(text)) for text in texts]


def test_json_comes_in_bytes_too() -> None:
    assert light_json.loads(' {"a": "é"}\n'.encode()) == {"a": "é"}


def test_what_json_has_no_word_for_is_refused() -> None:
    with pytest.raises(TypeError):
        light_json.dumps({"a": b""})


def test_a_circle_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        light_json.dumps(circle)


@pytest.mark.parametrize("patience", [None, 5.0, 0.0])
def test_an_accepted_connection_blocks_or_not_as_the_standard_librarys(patience: float | None) -> None:
    found = []
    for module in (light_socket, socket):
        with module.socket() as listener, module.socket() as client:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            client.connect(listener.getsockname())
            listener.settimeout(patience)
            accepted, address = listener.accept()
            with accepted:
                assert address == client.getsockname()
                assert accepted.family == socket.AF_INET
                assert accepted.type == socket.SOCK_STREAM
                assert not os.get_inheritable(accepted.fileno())
                found.append(accepted.gettimeout())
                client.sendall(b"hello")
            assert accepted.fileno() == -1
    assert found[0] == found[1]


def test_descriptors_are_sent_alike() -> None:
    ours, theirs = light_socket.socketpair()
    with ours, theirs:
        light_socket.send_fds(ours, [b"x"], [ours.fileno(), theirs.fileno()])
        data, fds, _flags, _address = socket.recv_fds(theirs, 10, 2)
        assert data == b"x"
        assert len(fds) == 2
        for fd in fds:
            light_socket.socket(fileno=fd).close()
    assert array.array("i").itemsize == 4


def test_signals_are_the_same_numbers() -> None:
    for name in ("SIGHUP", "SIGTERM", "SIGKILL", "SIGCHLD", "SIG_BLOCK", "SIG_UNBLOCK", "SIG_DFL"):
        assert getattr(light_signal, name) == getattr(signal, name)


def test_nothing_slow_comes_along() -> None:
    loaded = _modules_after("from wakeport.light import collections, json, signal, socket")
    assert not loaded & {"enum", "re", "selectors", "functools", "socket", "signal", "json", "collections"}
