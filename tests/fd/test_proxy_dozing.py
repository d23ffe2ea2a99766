"""The proxy of a container that dozes: it stays for whoever comes, and has it thawed when it is needed."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.fd.conftest import LEAVES_AFTER, PATIENCE, Holder, House, everything
from wakeport.proxy.traffic import LOOK_EVERY, SEEN_AFTER

ANSWER = 64 << 20  # bytes; more than all buffers on the way hold


def served_once(house: House, *words: str, before: str = "") -> Holder:
    """The lease of a proxy whose first client has come and gone."""
    target = house.target()
    house.proxy(*words, before=before)
    client = house.client(say=b"first")
    lease = house.lease.accept()
    lease.awake(target.port)
    client.shutdown(socket.SHUT_WR)
    assert everything(client) == b"first"
    lease.hear_until(lambda message: message.get("busy") is False)
    return lease


def test_it_stays_without_clients_and_leaves_when_the_container_stops(house: House) -> None:
    lease = served_once(house, "doze=yes")
    [proxy] = house.programs
    lease.tell("dozing")
    assert proxy.lives_on(1.5 * LEAVES_AFTER)
    lease.tell("stopping")
    assert proxy.wait() == 0


def test_who_looks_late_lets_go_of_its_lease_all_the_same(house: House) -> None:
    """It was time to leave already, and it stayed, for a doze: with its lease, for which there was none."""
    served_once(house, "doze=yes", before="linger.LEAVE_AFTER = linger.RELEASE_AFTER / 2")


def test_without_doze_it_leaves(house: House) -> None:
    served_once(house)
    assert house.programs[0].wait() == 0


def test_it_leaves_when_the_supervisor_of_a_dozing_container_is_gone(house: House) -> None:
    lease = served_once(house, "doze=yes")
    lease.tell("dozing")
    lease.close()
    assert house.programs[0].wait() == 0


def test_a_client_that_comes_during_a_doze_is_held_until_the_thaw(house: House) -> None:
    lease = served_once(house, "doze=yes")
    lease.tell("dozing")
    client = house.client(say=b"second")
    lease.hear_until(lambda message: message.get("busy") is True)
    lease.tell("dozing")  # said before the word was heard: it does not make the client wait for ever
    lease.awake(house.targets[0].port)
    assert client.recv(6) == b"second"


def test_one_word_is_enough_for_a_crowd(house: House) -> None:
    lease = served_once(house, "doze=yes")
    lease.tell("dozing")
    crowd = [house.client(say=b"x") for _ in range(50)]
    lease.hear_until(lambda message: message.get("busy") is True)
    for _ in range(3):
        lease.tell("dozing")
    lease.hear_until(lambda message: len(message.get("use", [])) == 50)
    lease.awake(house.targets[0].port)
    assert [client.recv(1) for client in crowd] == [b"x"] * 50
    for client in crowd:
        client.close()
    assert lease.hear_until(lambda message: "busy" in message)["busy"] is False


def test_somebody_else_s_freeze_is_undone_for_whoever_comes_next(house: House) -> None:
    """The lease is busy all the time: that alone would tell the supervisor nothing."""
    target = house.target()
    house.proxy()
    first = house.client(say=b"a")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert first.recv(1) == b"a"
    lease.tell("dozing")
    second = house.client(say=b"b")
    lease.hear_until(lambda message: message.get("busy") is True)
    lease.awake(target.port)
    assert second.recv(1) == b"b"


def silent_one(house: House, *words: str, before: str = "") -> tuple[socket.socket, Holder]:
    """A client over which nothing has passed for as long as it takes to count no more, and the lease."""
    target = house.target()
    house.proxy("doze=yes", "counts=100/1", *words, before=before)
    client = house.client(say=b"hello")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert client.recv(5) == b"hello"
    word = lease.hear_until(lambda message: message.get("busy") is False)
    assert bool(word.get("rests")) == ("silent=doze" in words)
    return client, lease


def test_a_silent_connection_holds_no_lease_and_lives_on(house: House) -> None:
    client, lease = silent_one(house)
    client.sendall(b"y" * 60)  # both ways together that is more than it takes
    assert client.recv(100) == b"y" * 60
    lease.hear_until(lambda message: message.get("busy") is True)
    lease.awake(house.targets[0].port)
    lease.hear_until(lambda message: message.get("busy") is False)


def test_a_little_over_a_silent_connection_holds_nothing(house: House) -> None:
    client, lease = silent_one(house)
    for _ in range(3):
        client.sendall(b"ping")
        assert client.recv(4) == b"ping"
    client.close()
    word = lease.hear_until(lambda message: "busy" in message)
    assert word["busy"] is False


def test_the_first_byte_during_a_doze_stirs(house: House) -> None:
    client, lease = silent_one(house)
    lease.tell("dozing")
    client.sendall(b"ping")
    message = lease.hear_until(lambda message: "stir" in message or "busy" in message)
    assert message == {"stir": True}
    lease.awake(house.targets[0].port)
    assert client.recv(4) == b"ping"
    client.sendall(b"pong")
    assert client.recv(4) == b"pong"


def test_what_was_said_just_before_the_freeze_stirs_too(house: House) -> None:
    """The container was frozen before it could see it: the client would wait for ever."""
    # Nearly as long ago as the client's first words are, in which the test may have to wait for its turn.
    client, lease = silent_one(house, before="import wakeport.proxy.traffic as t; t.SEEN_AFTER = 0.9")
    client.sendall(b"ping")
    assert client.recv(4) == b"ping"
    lease.tell("dozing")
    assert lease.hear_until(lambda message: "stir" in message or "busy" in message) == {"stir": True}


def test_who_rests_says_so_again_to_the_successor_of_a_supervisor_that_crashed(house: House) -> None:
    _, lease = silent_one(house, "silent=doze")
    lease.close()
    successor = house.lease.accept()
    successor.awake(house.targets[0].port)
    word = successor.hear_until(lambda message: "busy" in message)
    assert word == {"busy": False, "rests": True}


def test_much_over_a_silent_connection_is_as_good_as_a_new_one(house: House) -> None:
    client, lease = silent_one(house)
    lease.tell("dozing")
    client.sendall(b"z" * 200)
    lease.hear_until(lambda message: message.get("stir") is True)
    lease.awake(house.targets[0].port)
    assert lease.hear_until(lambda message: "busy" in message)["busy"] is True


def read(client: socket.socket, size: int) -> None:
    while size:
        data = client.recv(min(size, 1 << 20))
        assert data
        size -= len(data)


def slow_reader(house: House) -> tuple[socket.socket, Holder]:
    """A client that has read nothing of its answer for so long that it counts no more, and the lease."""
    target = house.target(lambda sock: sock.sendall(bytes(ANSWER)) if sock.recv(1) else None)
    house.proxy("doze=yes", "counts=100/1")
    client = house.client(say=b"?")
    lease = house.lease.accept()
    lease.awake(target.port)
    lease.hear_until(lambda message: message.get("busy") is False)
    return client, lease


def test_who_reads_on_after_a_pause_has_the_container_thawed(house: House) -> None:
    """It says nothing, as a download does: what is left of its answer only the container can send."""
    client, lease = slow_reader(house)
    lease.tell("dozing")
    read(client, ANSWER // 2)
    assert lease.hear_until(lambda message: "stir" in message or "busy" in message) == {"stir": True}
    lease.awake(house.targets[0].port)
    read(client, ANSWER // 2)


def test_what_comes_late_out_of_a_frozen_container_leaves_the_client_able_to_stir(house: House) -> None:
    """More than the client takes at once: from then on its socket is watched for something else."""
    last = threading.Event()

    def serve(sock: socket.socket) -> None:
        sock.sendall(sock.recv(5))
        last.wait(PATIENCE)
        sock.sendall(bytes(ANSWER))

    target = house.target(serve)
    house.proxy("doze=yes", "counts=100/1")
    client = house.client(say=b"hello")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert client.recv(5) == b"hello"
    lease.hear_until(lambda message: message.get("busy") is False)
    lease.tell("dozing")
    last.set()
    read(client, ANSWER // 2)
    assert lease.hear_until(lambda message: "stir" in message or "busy" in message) == {"stir": True}


def test_who_rests_says_so_to_the_successor_of_one_that_crashed_in_a_doze(house: House) -> None:
    _, lease = silent_one(house, "silent=doze")
    lease.tell("dozing")
    lease.close()
    successor = house.lease.accept()
    successor.awake(house.targets[0].port)
    word = successor.hear_until(lambda message: "busy" in message)
    assert word == {"busy": False, "rests": True}


def test_a_silent_one_can_stir_the_successor_of_a_supervisor_that_crashed(house: House) -> None:
    """Whoever holds nothing has to hear of the next doze all the same."""
    client, lease = silent_one(house)
    lease.close()
    successor = house.lease.accept()
    successor.awake(house.targets[0].port)
    successor.hear_until(lambda message: message.get("busy") is False)
    successor.tell("dozing")
    client.sendall(b"ping")
    assert successor.hear_until(lambda message: "stir" in message or "busy" in message) == {"stir": True}


def test_who_rests_does_not_wake_what_was_put_to_sleep_by_order(house: House) -> None:
    """The target has ended its side; the client has not, and may never."""
    target = house.target(lambda sock: sock.sendall(sock.recv(5)))
    house.proxy("doze=yes", "counts=100/1", "silent=doze")
    client = house.client(say=b"hello")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert everything(client) == b"hello"
    lease.hear_until(lambda message: message.get("rests") is True)
    lease.tell("stopping")
    lease.close()
    assert house.lease.nobody_asks(3)


def test_a_silent_unix_client_stirs_with_its_first_byte_and_with_its_end(house: House) -> None:
    """Of its socket the kernel does not tell when something came."""
    house.listen(str(house.folder / "web.sock"))
    client, lease = silent_one(house)
    lease.tell("dozing")
    client.sendall(b"ping")
    assert lease.hear_until(lambda message: "stir" in message or "busy" in message) == {"stir": True}
    lease.awake(house.targets[0].port)
    assert client.recv(4) == b"ping"
    threading.Event().wait(LOOK_EVERY + SEEN_AFTER)  # until that was not a moment ago any more
    lease.tell("dozing")
    client.shutdown(socket.SHUT_WR)
    assert lease.hear_until(lambda message: "stir" in message or "busy" in message) == {"stir": True}
    assert client.recv(1) == b""


@pytest.mark.parametrize("words", [(), ("counts=1/20",)])
def test_live_traffic_asks_nothing_before_a_failure_is_over(house: House, words: tuple[str, ...]) -> None:
    target = house.target()
    house.proxy("doze=yes", *words)
    client = house.client(say=b"hello")
    lease = house.lease.accept()
    lease.awake(target.port)
    assert client.recv(5) == b"hello"
    lease.tell("failed", reason="it cannot be thawed", retry_after=30)
    lease.hear_end()
    assert house.lease.nobody_asks(3 * LOOK_EVERY)


def test_what_waits_for_a_target_that_does_not_read_counts(house: House) -> None:
    """Frozen with it, the container would have been asked by nobody to read on."""
    read_on = threading.Event()

    def reads_later(sock: socket.socket) -> None:
        read_on.wait(PATIENCE)
        while sock.recv(1 << 20):
            pass

    target = house.target(reads_later)
    house.proxy("doze=yes", "counts=100/1")
    client = house.client()
    lease = house.lease.accept()
    lease.awake(target.port)
    client.settimeout(0.5)
    with pytest.raises(TimeoutError):
        client.sendall(bytes(ANSWER))
    later = threading.Timer(4, read_on.set)
    later.start()
    lease.hear_until(lambda message: message.get("busy") is False)
    assert read_on.is_set()
    later.join()
