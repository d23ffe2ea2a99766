"""Parts of the proxy that need no second process."""

from __future__ import annotations

import errno
import os
import signal
import socket
import time

import pytest

from wakeport.loop import Loop
from wakeport.proxy import pulse
from wakeport.proxy.dialer import Dialer
from wakeport.proxy.door import CLIENTS_MAX, Client, Door, capacity_within
from wakeport.proxy.leg import KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, tune
from wakeport.proxy.linger import Linger
from wakeport.proxy.pace import Pace
from wakeport.proxy.patience import Patience
from wakeport.proxy.relay import Relay

GONE_WITHIN = 300  # seconds, promised


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        return near, listener.accept()[0]


def fill(sock: socket.socket) -> None:
    try:
        while True:
            sock.send(b"x" * 65536)
    except BlockingIOError:
        return


def test_a_vanished_peer_is_gone_within_five_minutes() -> None:
    assert KEEPALIVE_IDLE + KEEPALIVE_INTERVAL * KEEPALIVE_PROBES < GONE_WITHIN
    assert pulse.VANISHED_AFTER + pulse.SWEEP_EVERY < GONE_WITHIN
    near, far = pair()
    with near, far:
        tune(near)
        tcp = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_NODELAY]
        assert [near.getsockopt(socket.IPPROTO_TCP, option) for option in tcp] == [120, 15, 8, 1]
        assert near.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_a_peer_is_heard_by_data_and_by_acknowledgements() -> None:
    near, far = pair()
    with near, far:
        time.sleep(0.3)
        assert pulse.silence(near) >= 0.2
        far.send(b"data")
        assert near.recv(4) == b"data"
        assert pulse.silence(near) < 0.2
        time.sleep(0.3)
        near.send(b"to be acknowledged")
        time.sleep(0.1)
        assert pulse.silence(near) < 0.3


def test_a_unix_peer_cannot_vanish() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert pulse.silence(near) == 0


def test_a_paused_reader_is_no_vanished_peer() -> None:
    """TCP_USER_TIMEOUT cut it: a full window counted as silence although every probe was answered."""
    near, far = pair()
    with near, far:
        near.setblocking(False)
        fill(near)
        began = time.monotonic()
        time.sleep(2)
        assert pulse.silence(near) < 0.75 * (time.monotonic() - began)


def test_a_silent_peer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "SWEEP_EVERY", 0.1)
    monkeypatch.setattr(pulse, "VANISHED_AFTER", 0.2)
    loop = Loop()
    client_near, client_far = pair()
    target_near, target_far = pair()
    for sock in (client_near, target_near):
        sock.setblocking(False)
    relay = Relay(loop, client_near, target_near, loop.stop)
    relay.start()
    pulse.Pulse(loop, lambda: [relay], lambda: None).begin()
    loop.run_forever()
    with pytest.raises(ConnectionResetError):
        client_far.recv(1)
    for sock in (client_far, target_far):
        sock.close()
    loop.close()


def test_every_client_has_two_descriptors_to_itself() -> None:
    assert capacity_within(1024) == 480
    assert capacity_within(10) == 1
    assert capacity_within(1 << 30) == CLIENTS_MAX


def test_clients_are_named_as_people_write_addresses() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert str(Client(near, ("::ffff:10.0.0.7", 51234, 0, 0), 0)) == "10.0.0.7:51234"
        assert str(Client(near, ("2001:db8::7", 51234, 0, 0), 0)) == "[2001:db8::7]:51234"
        assert str(Client(near, ("10.0.0.7", 51234), 0)) == "10.0.0.7:51234"
        assert str(Client(near, "", 0)) == "unix"


def test_the_linger_begins_anew_with_each_client_and_releases_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wakeport.proxy.linger.RELEASE_AFTER", 0.02)
    monkeypatch.setattr("wakeport.proxy.linger.LEAVE_AFTER", 0.1)
    loop = Loop()
    said: list[str] = []

    def leave() -> None:
        said.append("left")
        loop.stop()

    linger = Linger(loop, lambda: said.append("released"), leave)
    linger.nobody()
    loop.call_in(0.05, linger.somebody)
    loop.call_in(0.15, linger.nobody)
    loop.run_forever()
    assert said == ["released", "released", "left"]
    loop.close()


def test_reports_are_paced_and_the_last_change_is_not_lost() -> None:
    loop = Loop()
    reports: list[int] = []
    count = 0
    pace = Pace(loop, 0.05, lambda: reports.append(count))

    def change() -> None:
        nonlocal count
        count += 1
        pace.changed()

    for step in range(1, 21):
        loop.call_in(step / 1000, change)
    loop.call_in(0.3, loop.stop)
    loop.run_forever()
    assert reports[-1] == 20
    assert len(reports) <= 3
    loop.close()


def test_patience_has_one_deadline_for_all_and_says_what_was_missing() -> None:
    loop = Loop()
    reasons: list[str] = []

    def exhausted(reason: str) -> None:
        reasons.append(reason)
        loop.stop()

    patience = Patience(loop, 0.05, 0.1, exhausted)
    patience.awake_within = 0.1
    patience.begin(answered=False)
    loop.run_forever()
    patience.end()
    patience.begin(answered=False)
    patience.answered()
    loop.run_forever()
    assert reasons == [
        "no supervisor answered on the lease within 0.05 s",
        "the container was not awake within 0.1 s",
    ]
    loop.close()


def test_a_client_recalled_in_its_last_moment_is_not_given_up_in_its_second_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wakeport.proxy.dialer.REFUSED_FOR", 0)
    loop = Loop()
    outcome: list[str] = []
    ends: list[socket.socket] = []

    def connected(_client: Client, sock: socket.socket) -> None:
        outcome.append("connected")
        ends.append(sock)
        loop.stop()

    dialer = Dialer(loop, connected, lambda _client, why: outcome.append(why))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client(listener, None, 0)
        dialer.dial(client, listener.getsockname())
        dialer.calls[client]._failed(errno.ECONNREFUSED)
        assert dialer.recall() == [client]
        dialer.dial(client, listener.getsockname())
        loop.run_forever()
    assert outcome == ["connected"]
    ends[0].close()
    loop.close()


def test_who_was_in_the_backlog_before_the_door_is_tuned_like_who_comes_later() -> None:
    """A listener hands its options down when a client arrives, not when it is accepted."""
    loop = Loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        early = socket.create_connection(listener.getsockname())
        admitted: list[Client] = []
        door = Door(loop, {0: listener}, admitted.append, 10)
        door.open()
        late = socket.create_connection(listener.getsockname())
        loop.call_in(0.05, loop.stop)
        loop.run_forever()
        assert not door.untuned
        later = socket.create_connection(listener.getsockname())
        loop.call_in(0.05, loop.stop)
        loop.run_forever()
        assert len(admitted) == 3
        for client in admitted:
            assert client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_IDLE
            assert client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            client.sock.close()
        for sock in (early, late, later):
            sock.close()
        door.shut()
    loop.close()


def test_shared_listeners_that_were_made_to_block_hold_nobody_up() -> None:
    """A watcher that turned a client away hung in accept(2), deaf to SIGTERM: systemd had started its program
    in the meantime.
    """

    def hangs(_signum: int, _frame: object) -> None:
        raise AssertionError("it hangs")

    loop = Loop()
    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(20)
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            admitted: list[Client] = []
            door = Door(loop, {0: listener}, admitted.append, 10, shared=True)
            door.open()
            os.set_blocking(listener.fileno(), True)
            with socket.create_connection(listener.getsockname()):
                loop.call_in(0.05, loop.stop)
                loop.run_forever()
            [client] = admitted
            client.sock.close()
            door.shut()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        loop.close()


class CountsShutdowns(socket.socket):
    """A TCP socket that knows how often its writing side was shut down."""

    count = 0

    def shutdown(self, how: int) -> None:
        self.count += 1
        super().shutdown(how)


def test_the_first_sweep_begins_to_ask_the_target_whether_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A leg that lives for moments does not pay for its keepalive."""
    monkeypatch.setattr(pulse, "SWEEP_EVERY", 0.05)
    loop = Loop()
    client, far_client = pair()
    target, far_target = pair()
    with client, far_client, target, far_target:
        relay = Relay(loop, client, target, lambda: None)
        asking = pulse.Pulse(loop, lambda: [relay], lambda: None)
        asking.begin()
        assert target.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        loop.call_in(0.3, loop.stop)
        loop.run_forever()
        assert target.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert target.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_IDLE
        relay.close()
        loop.call_soon(loop.stop)
        loop.run_forever()


def test_an_end_that_is_seen_twice_is_passed_on_once() -> None:
    """A client that ended while it was held is read from at once, and its end reported again in the next
    turn. A second shutdown would fail where the target has answered and closed meanwhile, and be a reset.
    """
    loop = Loop()
    client, far_client = pair()
    near, far_target = pair()
    target = CountsShutdowns(fileno=near.detach())
    with client, far_client, target, far_target:
        far_client.shutdown(socket.SHUT_WR)
        relay = Relay(loop, client, target, lambda: None)
        loop.call_soon(relay.start)
        loop.call_in(0.05, loop.stop)
        loop.run_forever()
        assert far_target.recv(1) == b""
        assert target.count == 1
        relay.close()
        loop.call_soon(loop.stop)
        loop.run_forever()
