"""The waiting page: who gets it, what it says while the container wakes, and how it ends."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from pathlib import Path

import pytest

from tests.fd.conftest import PATIENCE, Holder, House, echo, everything

BROWSER = b"GET /a HTTP/1.1\r\nHost: web\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html,*/*;q=0.8\r\n\r\n"
OLD_BROWSER = BROWSER.replace(b"HTTP/1.1", b"HTTP/1.0")

HELD = {
    "curl": b"GET / HTTP/1.1\r\nHost: web\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    "POST": BROWSER.replace(b"GET", b"POST"),
    "WebSocket": BROWSER[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "prefetch": BROWSER[:-2] + b"Sec-Purpose: prefetch\r\n\r\n",
    "half a head": BROWSER[:-2],
    "nothing": b"",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "an endless head": BROWSER[:-2] + b"X: " + b"y" * 20_000,
}

RELOADS_AT_ONCE = b'<meta http-equiv="refresh" content="0">'


def read_until(client: socket.socket, wanted: bytes) -> bytes:
    """What comes, up to and with these bytes; nothing may come after them."""
    received = b""
    while wanted not in received:
        data = client.recv(65536)
        assert data, f"the page ended: {received[-300:]!r}"
        received += data
    return received


def still_open(client: socket.socket, seconds: float = 0.1) -> bool:
    return not select.select([client], [], [], seconds)[0]


def leave_rudely(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def in_use(lease: Holder, count: int) -> None:
    lease.hear_until(lambda message: len(message.get("use", ())) == count)


def unchunked(response: bytes) -> bytes:
    """The body of a whole chunked response."""
    rest, body = response.partition(b"\r\n\r\n")[2], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        assert rest[length : length + 2] == b"\r\n"
        body, rest = body + rest[:length], rest[length + 2 :]
        if not length:
            assert rest == b""
            return body
    raise AssertionError("it has no last chunk")


def test_a_browser_gets_the_page_at_once_and_each_stage_as_it_passes(house: House) -> None:
    target = house.target()
    house.proxy("page=0")
    client = house.client(say=BROWSER)
    first = read_until(client, b'aria-label="Steps">')
    lines = first.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 503 Service Unavailable"
    for line in ("Cache-Control: no-store", "Connection: close", "Transfer-Encoding: chunked"):
        assert line in lines
    assert any(line.startswith("Retry-After: ") for line in lines)
    assert b'<h1 class="yes">web is waking up</h1>' in first
    lease = house.lease.accept()
    assert still_open(client)
    lease.tell("waking", waits_for="the runtime to start it")
    second = read_until(client, b"<li>Waiting for the runtime to start it")
    assert still_open(client)
    lease.tell("waking", waits_for="the <container> to answer")
    third = read_until(client, b"<li>Waiting for the &lt;container&gt; to answer")
    assert b"</small></li>" in third
    assert still_open(client)
    lease.awake(target.port)
    last = everything(client)
    assert b'<li class="ready">' in last
    page = unchunked(first + second + third + last)
    assert RELOADS_AT_ONCE in page
    assert page.endswith(b"</body>\n</html>\n")
    client.close()
    assert target.served == 0
    assert house.client(say=BROWSER).recv(len(BROWSER)) == BROWSER


def test_a_client_that_knows_no_chunks_gets_the_same_until_the_connection_ends(house: House) -> None:
    house.proxy("page=0")
    client = house.client(say=OLD_BROWSER)
    first = read_until(client, b"is waking up")
    house.lease.accept().awake(1)
    head, _, body = (first + everything(client)).partition(b"\r\n\r\n")
    assert b"Transfer-Encoding" not in head
    assert body.startswith(b"<!doctype html>")
    assert body.endswith(b"</html>\n")
    assert RELOADS_AT_ONCE in body


@pytest.mark.parametrize("words", HELD.values(), ids=HELD)
def test_everyone_else_is_held(house: House, words: bytes) -> None:
    target = house.target()
    house.proxy("page=0")
    client = house.client(say=words)
    lease = house.lease.accept()
    lease.tell("waking", waits_for="the runtime to start it")
    in_use(lease, 1)
    assert still_open(client)
    client.sendall(b"x")
    lease.awake(target.port)
    received = b""
    while len(received) < len(words) + 1:
        received += client.recv(65536)
    assert received == words + b"x"


def test_a_listener_without_a_page_holds_browsers_too(house: House) -> None:
    target = house.target()
    house.listen()
    house.listen()
    house.proxy("page=0")  # of the second
    held, shown = house.client(house.listeners[0], BROWSER), house.client(house.listeners[1], BROWSER)
    read_until(shown, b"is waking up")
    assert still_open(held)
    house.lease.accept().awake(target.port, target.port)
    assert held.recv(len(BROWSER)) == BROWSER


def test_a_head_in_pieces_gets_the_page_when_it_is_whole(house: House) -> None:
    house.proxy("page=0")
    client = house.client(say=BROWSER[:30])
    house.lease.accept()
    for piece in (BROWSER[30:-2], BROWSER[-2:-1]):
        client.sendall(piece)
        assert still_open(client)
    client.sendall(BROWSER[-1:])
    read_until(client, b"is waking up")


def test_a_wake_that_is_faster_than_the_page_shows_none(house: House) -> None:
    target = house.target()
    house.proxy("page=3")
    client = house.client(say=BROWSER)
    lease = house.lease.accept()
    lease.tell("waking", waits_for="the runtime to start it")
    assert still_open(client)
    lease.awake(target.port)
    assert client.recv(len(BROWSER)) == BROWSER


def test_a_page_that_comes_later_tells_what_has_passed_already(house: House) -> None:
    house.proxy("page=0.3")
    client = house.client(say=BROWSER)
    lease = house.lease.accept()
    lease.tell("waking", waits_for="one")
    lease.tell("waking", waits_for="two")
    shown = read_until(client, b"<li>Waiting for two")
    assert b"<li>Waiting for one <small>" in shown


def test_who_comes_while_it_is_awake_gets_no_page(house: House) -> None:
    target = house.target()
    house.proxy("page=0")
    first = house.client(say=b"first")
    house.lease.accept().awake(target.port)
    assert first.recv(5) == b"first"
    for _ in range(20):
        assert house.client(say=BROWSER).recv(len(BROWSER)) == BROWSER


DOUBTS_AT_ONCE = "import wakeport.proxy.page.pages as pages; pages.FIRST_WORD_WITHIN = 0.01"
SLOW_TO_DOUBT = "import wakeport.proxy.page.pages as pages; pages.FIRST_WORD_WITHIN = 20"


def test_a_container_that_was_awake_all_along_shows_no_page(house: House) -> None:
    """A proxy that has just started does not know yet, and asks first."""
    target = house.target()
    house.proxy("page=0", before=SLOW_TO_DOUBT)
    client = house.client(say=BROWSER)
    lease = house.lease.accept()
    assert still_open(client)
    lease.awake(target.port)
    assert client.recv(len(BROWSER)) == BROWSER


def test_who_comes_again_after_a_pause_sees_no_page(house: House) -> None:
    """The lease was released in the meantime, so the supervisor has to say once more that it is awake."""
    target = house.target()
    house.proxy("page=0", before=SLOW_TO_DOUBT)
    first = house.client(say=BROWSER)
    lease = house.lease.accept()
    lease.awake(target.port)
    assert first.recv(len(BROWSER)) == BROWSER
    first.close()
    lease.hear_until(lambda message: message.get("busy") is False)
    again = house.client(say=BROWSER)
    lease.hear_until(lambda message: message.get("busy") is True)
    assert still_open(again)
    lease.awake(target.port)
    assert again.recv(len(BROWSER)) == BROWSER


def test_the_supervisor_s_first_word_is_enough_for_a_page(house: House) -> None:
    house.proxy("page=0", before=SLOW_TO_DOUBT)
    client = house.client(say=BROWSER)
    lease = house.lease.accept()
    assert still_open(client)
    lease.tell("waking", waits_for="one")
    read_until(client, b"<li>Waiting for one")


def test_a_container_that_has_gone_shows_the_page_again(house: House) -> None:
    """The target refuses: the supervisor is asked anew, and the browser sees why it takes longer."""
    target = house.target()
    house.proxy("page=0")
    first = house.client(say=b"first")
    house.lease.accept().awake(target.port)
    assert first.recv(5) == b"first"
    first.close()
    target.close()
    house.targets.remove(target)
    client = house.client(say=BROWSER)
    read_until(client, b"is waking up")
    house.lease.accept().tell("waking", waits_for="the runtime to start it")
    read_until(client, b"<li>Waiting for the runtime to start it")


def test_a_stop_that_comes_first_is_a_stage_too(house: House) -> None:
    house.proxy("page=0")
    client = house.client(say=BROWSER)
    lease = house.lease.accept()
    lease.tell("stopping")
    read_until(client, b"<li>Waiting for the run before to stop")
    successor = house.lease.accept()
    lease.close()
    successor.tell("waking", waits_for="the runtime to start it")
    read_until(client, b"<li>Waiting for the runtime to start it")


def test_a_failure_is_told_with_its_reason_and_tried_again(house: House) -> None:
    proxy = house.proxy("page=0")
    client = house.client(say=BROWSER)
    lease = house.lease.accept()
    lease.tell("waking", waits_for="the runtime to start it")
    first = read_until(client, b"<li>Waiting for the runtime to start it")
    lease.tell("failed", reason="exit status <127>", retry_after=4.2)
    page = unchunked(first + everything(client))
    assert b'<li class="failed">exit status &lt;127&gt;; trying again in 5' in page
    assert b'<meta http-equiv="refresh" content="5">' in page
    client.close()
    assert proxy.wait() == 0


def test_who_comes_back_before_the_failure_is_over_gets_it_as_a_page_too(house: House) -> None:
    house.proxy("page=5")
    held = house.client(say=BROWSER)
    house.lease.accept().tell("failed", reason="exit status 127", retry_after=60)
    answers = [everything(held), everything(house.client(say=BROWSER))]
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}" in head.decode()
        assert b'<li class="failed">exit status 127; trying again in' in body
        assert b'http-equiv="refresh"' in body
    assert b"\r\nContent-Type: text/plain" in everything(house.client(say=HELD["curl"]))


def test_a_supervisor_that_never_answers_is_told_too(house: House) -> None:
    house.proxy("answer_within=1", "page=0", before=DOUBTS_AT_ONCE)
    client = house.client(say=BROWSER)
    assert b"no supervisor answered on the lease within 1 s" in unchunked(everything(client))


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
    assert proxy.descriptors() == descriptors
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
    house.proxy("answer_within=1", "page=0", before=DOUBTS_AT_ONCE)
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
    before = proxy.processor_time()
    threading.Event().wait(0.5)
    assert proxy.processor_time() - before <= 3  # of 50 ticks


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
