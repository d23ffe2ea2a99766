"""Those before a waiting page: who counts, who leaves, who never reads, and whose own page it is."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.fd.conftest import PATIENCE, House, echo, eventually, everything
from tests.fd.hostile import rests
from tests.fd.test_page import (
    BROWSER,
    DOUBTS_AT_ONCE,
    HELD,
    RELOADS_AT_ONCE,
    in_use,
    leave_rudely,
    read_until,
    still_open,
    unchunked,
)


def test_who_looks_at_a_page_is_a_client_like_others(house: House) -> None:
    proxy = house.proxy("page=0")
    client = house.client(say=BROWSER)
    lease = house.lease.accept()
    in_use(lease, 1)
    read_until(client, b"is waking up")
    descriptors = proxy.descriptors()
    other = house.client(say=BROWSER)
    read_until(other, b"is waking up")
    in_use(lease, 2)
    other.close()  # a closed tab says no more than this
    in_use(lease, 1)
    eventually(lambda: proxy.descriptors() == descriptors)
    client.close()
    lease.hear_until(lambda message: message.get("busy") is False)
    assert proxy.wait() == 0


def test_who_leaves_by_a_reset_is_noticed_too(house: House) -> None:
    proxy = house.proxy("page=0.2")
    clients = [house.client(say=words) for words in (BROWSER, BROWSER, BROWSER[:-2], HELD["curl"])]
    lease = house.lease.accept()
    in_use(lease, 4)
    leave_rudely(clients[0])  # perhaps before the page
    read_until(clients[1], b"is waking up")
    for client in clients[1:]:
        leave_rudely(client)
    lease.hear_until(lambda message: message.get("busy") is False)
    assert proxy.wait() == 0


def test_who_has_ended_its_side_is_no_browser_and_has_not_left(house: House) -> None:
    target = house.target()
    house.proxy("page=0")
    client = house.client()
    lease = house.lease.accept()
    client.sendall(BROWSER[:20])
    assert still_open(client)
    client.shutdown(socket.SHUT_WR)
    assert still_open(client)
    lease.awake(target.port)
    assert everything(client) == BROWSER[:20]


def test_a_page_counts_where_the_deadline_of_those_who_wait_is_kept(house: House) -> None:
    """A held client leaves, and only a page is left: its wake is given up in time all the same."""
    house.proxy("answer_within=3", "page=0", before=DOUBTS_AT_ONCE)
    held, shown = house.client(say=b"held"), house.client(say=BROWSER)
    in_use(house.lease.accept(), 2)
    read_until(shown, b"is waking up")
    leave_rudely(held)
    assert b"no supervisor answered" in everything(shown)


def test_a_slow_reader_is_told_the_end_and_costs_little(house: House) -> None:
    """Its buffers are full: stages are left out then, but never the last piece."""
    file = house.folder / "page.html"
    file.write_text(f"<!--{'x' * 60_000}--><ul>{{{{stages}}}}</ul></body>")
    house.listen().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    proxy = house.proxy("page=0", f"page_file={file}")
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.settimeout(PATIENCE)
    slow.connect(house.listeners[0].getsockname())
    house.clients.append(slow)
    slow.sendall(BROWSER)
    watcher = house.client(say=BROWSER)
    lease = house.lease.accept()
    read_until(watcher, b"<ul>")
    before = proxy.memory()
    for number in range(2000):
        lease.tell("waking", waits_for=f"step {number} {'of a long way ' * 15}")
        read_until(watcher, b"<li>Waiting for step %d " % number)
    assert proxy.memory() - before < 1024
    lease.awake(1)
    page = unchunked(everything(slow))
    assert page.startswith(b"<!--xxx")
    assert page.count(b"<li>Waiting") < 1000
    assert RELOADS_AT_ONCE in page
    assert page.endswith(b"</body>")


def test_who_never_reads_is_given_up(house: House) -> None:
    file = house.folder / "page.html"
    file.write_text("x" * 60_000)
    house.listen().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    soon = "import wakeport.proxy.page.stream as stream; stream.READS_WITHIN = 0.3"
    proxy = house.proxy("page=0", f"page_file={file}", before=soon)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.settimeout(PATIENCE)
    deaf.connect(house.listeners[0].getsockname())
    house.clients.append(deaf)
    deaf.sendall(BROWSER)
    lease = house.lease.accept()
    lease.tell("waking", waits_for="one")
    assert deaf.recv(1, socket.MSG_PEEK)
    lease.awake(1)
    assert proxy.wait() == 0


def test_who_pours_after_its_request_is_cut_off(house: House) -> None:
    proxy = house.proxy("page=0")
    client = house.client(say=BROWSER)
    read_until(client, b"is waking up")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.sendall(b"x" * (1 << 26))
    assert proxy.wait() == 0


def test_who_looks_at_a_page_has_a_place_among_those_who_wait(house: House) -> None:
    house.proxy("hold_max=1", "page=0")
    first, second = house.client(say=BROWSER), house.client(say=BROWSER)
    lease = house.lease.accept()
    lease.tell("waking", waits_for="one")
    read_until(first, b"<li>Waiting for one")
    assert still_open(second)
    first.close()
    read_until(second, b"<li>Waiting for one")


def test_pages_do_not_spin(house: House) -> None:
    proxy = house.proxy("page=0")
    clients = [house.client(say=words) for words in (BROWSER, BROWSER[:-1], *HELD.values()) for _ in range(3)]
    lease = house.lease.accept()
    lease.tell("waking", waits_for="one")
    read_until(clients[0], b"<li>Waiting for one")
    in_use(lease, len(clients))
    eventually(lambda: rests(proxy, 0.5))


def test_a_sign_of_life_keeps_reverse_proxies_patient(house: House) -> None:
    house.proxy("page=0", before="import wakeport.proxy.page.pages as pages; pages.SIGN_OF_LIFE_EVERY = 0.05")
    client = house.client(say=BROWSER)
    read_until(client, b'aria-label="Steps">\r\n')
    for _ in range(3):
        assert client.recv(6) == b"1\r\n\n\r\n"


def test_sigterm_ends_pages_as_whole_ones_that_ask_again(house: House) -> None:
    proxy = house.proxy("page=0")
    clients = [house.client(say=BROWSER) for _ in range(5)]
    in_use(house.lease.accept(), 5)
    for client in clients:
        read_until(client, b"is waking up")
    proxy.terminate()
    for client in clients:
        assert b'<meta http-equiv="refresh" content="1">' in everything(client)
        client.close()
    assert proxy.wait() == 0


def page_of(house: House, file: Path) -> bytes:
    house.proxy("page=0", f"page_file={file}")
    client = house.client(say=BROWSER)
    first = client.recv(1)
    lease = house.lease.accept()
    lease.tell("waking", waits_for="one")
    lease.awake(1)
    return unchunked(first + everything(client))


def test_a_page_of_the_user_s_own(house: House) -> None:
    file = house.folder / "own.html"
    file.write_text(
        "<title>{{service}}</title>moment, bitte: ü<ul>{{stages}}</ul><footer>{{service}}</footer>"
    )
    page = page_of(house, file).decode()
    assert page.startswith("<title>web</title>moment, bitte: ü<ul><li>Waiting for one <small>")
    assert '<li class="ready">' in page
    assert "</ul><footer>web</footer>" in page
    assert page.endswith(RELOADS_AT_ONCE.decode() + "\n")


def unreadable(folder: Path, kind: str) -> Path:
    file = folder / kind
    if kind == "directory":
        file.mkdir()
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "long":
        file.write_bytes(b"x" * 65_537)
    elif kind == "latin-1":
        file.write_bytes(b"\xfc")
    return file


@pytest.mark.parametrize("kind", ["absent", "directory", "fifo", "long", "latin-1"])
def test_a_file_that_is_no_page_is_told_once_and_the_other_page_shown(house: House, kind: str) -> None:
    file = unreadable(house.folder, kind)
    page = page_of(house, file)
    assert b"web is waking up" in page
    house.client(say=BROWSER)
    [line] = house.programs[0].said.decode().splitlines()
    assert line.startswith(f"page_file {file} is not used")


def test_three_hundred_browsers(house: House) -> None:
    target = house.target(echo)
    proxy = house.proxy("page=0")
    clients = [house.client(say=BROWSER) for _ in range(300)]
    lease = house.lease.accept()
    in_use(lease, 300)
    lease.tell("waking", waits_for="one")
    for client in clients:
        read_until(client, b"<li>Waiting for one")
    lease.awake(target.port)
    for client in clients:
        assert RELOADS_AT_ONCE in everything(client)
        client.close()
    assert proxy.wait() == 0
