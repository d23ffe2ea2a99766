"""What is said on a lease survives any way of arriving."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wakeport.lease import LINE_MAX, Decoder, Malformed, encode

MESSAGES = st.lists(
    st.dictionaries(st.text(max_size=10), st.none() | st.booleans() | st.integers() | st.text(max_size=30)),
    max_size=5,
)


@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 40), max_size=20))
def test_messages_arrive_whole_however_they_are_cut(
    messages: list[dict[str, object]], cuts: list[int]
) -> None:
    data = b"".join(map(encode, messages))
    decoder, heard = Decoder(), []
    for size in [*cuts, len(data)]:
        heard += decoder.feed(data[:size])
        data = data[size:]
    assert heard == messages


@given(data=st.binary(max_size=200))
def test_noise_is_refused_or_ignored_and_never_worse(data: bytes) -> None:
    try:
        Decoder().feed(data + b"\n")
    except Malformed:
        return


@pytest.mark.parametrize("line", [b"x" * (LINE_MAX + 1), b"x" * (LINE_MAX + 1) + b"\n", b"[1]\n", b"{\n"])
def test_what_is_no_lease_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        Decoder().feed(line)
