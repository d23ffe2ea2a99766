"""What the process itself costs: the modules that it loads, and its memory."""

from __future__ import annotations

import select
import socket
import threading

import pytest

from tests.fd import udp
from tests.fd.conftest import PATIENCE, Holder, House, eventually

# design.md: import costs measured, 8 ms and more each on the path of a wake.
FORBIDDEN = {
    "asyncio", "argparse", "logging", "dataclasses", "subprocess", "tomllib", "http", "threading", "inspect",
    "pathlib", "tempfile", "ipaddress", "urllib", "email",
}  # fmt: skip

RESIDENT_MAX = 12_288  # KiB; with the supervisor's as much again, 24 MB


@pytest.mark.parametrize("entry", ["wakeport.proxy.main", "wakeport.proxy.starter"])
def test_nothing_is_imported_that_a_wake_would_wait_for(house: House, entry: str) -> None:
    listing = house.folder / "modules"
    report = (
        f"import atexit; atexit.register(lambda: open({str(listing)!r}, 'w').write('\\n'.join(sys.modules)))"
    )
    house.listen()
    assert house.proxy("relay=/bin/true", entry=entry, before=report).wait() == 0
    loaded = {module.partition(".")[0] for module in listing.read_text().split()}
    assert loaded & FORBIDDEN == set()
    ours = {module for module in listing.read_text().split() if module.startswith("wakeport.")}
    assert not {module for module in ours if module.startswith(("wakeport.supervisor", "wakeport.runtimes"))}


def test_an_idle_proxy_is_small(house: House) -> None:
    proxy = house.proxy()
    client = house.client(say=b"hello")
    target = house.target()
    house.lease.accept().awake(target.port)
    assert client.recv(5) == b"hello"
    print(f"resident: {proxy.memory()} KiB, of which anonymous {proxy.memory('RssAnon')} KiB")
    assert proxy.memory() <= RESIDENT_MAX


def test_words_that_make_no_sense_end_it_with_two(house: House) -> None:
    proxy = house.proxy("colour=red")
    assert proxy.wait() == 2
    assert b"colour=red" in proxy.said


def test_a_listener_without_a_target_is_an_error_of_the_units(house: House) -> None:
    house.listen()
    proxy = house.proxy("target=81/tcp")
    assert proxy.wait() == 1
    assert b"1 listening descriptors for 2 target=" in proxy.said


def test_systemd_is_told_when_it_accepts_and_when_it_leaves(house: House) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(20)
        channel.bind(str(house.folder / "notify"))
        notify = str(house.folder / "notify")
        house.proxy(before=f"import os; os.environ['NOTIFY_SOCKET'] = {notify!r}")
        assert channel.recv(4096).startswith(b"READY=1")
        house.client()
        said = [channel.recv(4096)]
        assert said == [b"STATUS=1 client"]


def test_without_a_descriptor_left_it_lives_on_and_tells_its_status_later(house: House) -> None:
    """A socket is needed to tell it, and its lack ended the proxy with all that it relayed."""
    for _ in range(8):
        udp.listen(house)
    path = str(house.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, udp.target() as target:
        channel.bind(path)
        channel.settimeout(PATIENCE)
        limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))"
        proxy = house.proxy(
            targets=[f"target={80 + index}/udp" for index in range(8)],
            before=f"{limit}; import os; os.environ['NOTIFY_SOCKET'] = {path!r}",
        )
        for listener in house.listeners:
            for _ in range(30):
                udp.client(house, listener=listener).send(b"more than there are descriptors for")
        lease = house.lease.accept()
        places = {f"{80 + index}/udp": ["127.0.0.1", target.port] for index in range(8)}
        lease.tell("awake", targets=places)
        assert house.clients[0].recv(100).startswith(b"more")
        eventually(lambda: proxy.descriptors() == 200)
        pause = threading.Event()
        for _ in range(3):  # reports are at least a second apart
            pause.wait(1.1)
            house.clients[0].send(b"still there?")
            assert house.clients[0].recv(100) == b"still there?"
            udp.client(house).send(b"one more to report")
    assert not proxy.has_ended()


def test_no_client_is_lost_around_the_exit(house: House) -> None:
    """The proxy leaves, again and again, just when somebody comes; the test restarts it as systemd does."""
    target = house.target()
    listener = house.listen()
    stop = threading.Event()

    def supervise() -> None:
        holders: list[Holder] = []
        while not stop.is_set():
            asking = [house.lease.listener, *(holder.sock for holder in holders)]
            for sock in select.select(asking, [], [], 0.05)[0]:
                if sock is house.lease.listener:
                    holders.append(house.lease.accept())
                    holders[-1].awake(target.port)
                    continue
                holder = next(one for one in holders if one.sock is sock)
                said = holder.hear()
                if said is None:
                    holders.remove(holder)
                elif said.get("busy"):
                    holder.awake(target.port)

    supervisor = threading.Thread(target=supervise)
    supervisor.start()
    served = 0
    quick = "import wakeport.proxy.linger as linger; linger.RELEASE_AFTER = 0.001; linger.LEAVE_AFTER = 0.002"
    try:
        proxy = house.proxy(before=quick)
        for round_number in range(60):
            client = house.client(say=b"ping")
            while not select.select([client], [], [], 0.02)[0]:
                if proxy.has_ended() and select.select([listener], [], [], 0)[0]:
                    proxy = house.proxy(before=quick)
            assert client.recv(4) == b"ping"
            served += 1
            client.close()
            threading.Event().wait(round_number % 10 / 2500)
    finally:
        stop.set()
        supervisor.join()
    assert served == 60
