"""Clients at the threshold hold no lease, whichever way those have gone for whom it was held."""

from __future__ import annotations

import socket
import struct
import threading

from tests.fd.conftest import House, everything
from tests.fd.test_threshold import ASLEEP, PROBE, VISIT, judging

RESET = struct.pack("ii", 1, 0)


def test_who_was_refused_after_being_held_too_long(house: House) -> None:
    """The lease was held on for as long as a silent client stayed."""
    judging(house, ASLEEP, more=("hold_for=0.3",))
    house.client()
    visitor = house.client(say=VISIT)
    lease = house.lease.accept()
    lease.tell("waking")
    assert everything(visitor).startswith(b"HTTP/1.1 503 ")
    visitor.close()
    lease.sock.settimeout(10)  # it is a matter of moments, and would be of 30 seconds
    lease.hear_until(lambda message: message.get("busy") is False)


def test_who_left_a_moment_before_the_silent_client_came(house: House) -> None:
    """Sooner than the lease is released where nobody is there at all."""
    judging(house, ASLEEP)
    visitor = house.client(say=VISIT)
    lease = house.lease.accept()
    lease.tell("waking")
    lease.hear_until(lambda message: bool(message.get("use")))
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    visitor.close()
    threading.Event().wait(0.03)
    house.client()
    lease.sock.settimeout(10)
    lease.hear_until(lambda message: message.get("busy") is False)


def test_whoever_is_being_judged_lets_nobody_rest_who_has_gone(house: House) -> None:
    """A knock every few seconds would keep the container from ever being stopped."""
    target = house.target()
    judging(house, ASLEEP, more=("doze=yes", "counts=100/1", "silent=doze"))
    silent = house.client(say=VISIT)
    lease = house.lease.accept()
    lease.awake(target.port)
    assert silent.recv(100) == VISIT
    lease.hear_until(lambda message: message.get("rests") is True)
    lease.tell("dozing")
    house.client(say=PROBE[:10])
    silent.close()
    lease.sock.settimeout(10)
    word = lease.hear_until(lambda message: "busy" in message)
    assert word == {"busy": False}
