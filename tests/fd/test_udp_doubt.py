"""UDP while nobody knows for a moment whether the container is awake: its flows stay what they are to it."""

from __future__ import annotations

from tests.fd import udp
from tests.fd.conftest import House, everything


def test_a_crashed_supervisor_costs_no_answer_and_no_port(house: House) -> None:
    """A target tells flows apart by their ports: with another one it was another client."""
    udp.listen(house)
    house.proxy(targets=["target=80/udp"])
    client = udp.client(house)
    with udp.target() as target:
        client.send(b"one")
        lease = house.lease.accept()
        target.awake(lease)
        assert client.recv(64) == b"one"
        lease.close()
        lease = house.lease.accept()
        target.sock.sendto(b"while it is started again", (target.host, target.heard[0][1]))
        assert client.recv(64) == b"while it is started again"
        target.awake(lease)
        client.send(b"two")
        assert client.recv(64) == b"two"
        assert len({port for _, port in target.heard}) == 1


def test_a_tcp_port_that_refuses_costs_a_flow_nothing(house: House) -> None:
    """The supervisor is asked anew, and says the same again."""
    udp.listen(house)
    door = house.listen()
    house.proxy(targets=["target=80/udp", "target=80/tcp"])
    dead = house.refusing().getsockname()[1]
    client = udp.client(house, listener=house.listeners[0])
    with udp.target() as target:
        client.send(b"one")
        places = {"80/udp": [target.host, target.port], "80/tcp": [target.host, dead]}
        house.lease.accept().tell("awake", targets=places)
        assert client.recv(64) == b"one"
        refused = house.client(door, say=b"GET / HTTP/1.1\r\n\r\n")
        house.lease.accept().tell("awake", targets=places)
        assert everything(refused).startswith(b"HTTP/1.1 503 ")
        client.send(b"two")
        assert client.recv(64) == b"two"
        assert len({port for _, port in target.heard}) == 1
