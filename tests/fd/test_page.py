"""The waiting page: who gets it, what it says while the container wakes, and how it ends."""

from __future__ import annotations

import select
import socket
import struct

import pytest

from tests.fd.conftest import Holder, House, everything

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
    house.proxy("page=30")
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


def test_who_comes_to_a_container_that_dozes_sees_no_page(house: House) -> None:
    """Nor when the supervisor says so in answer: from there it is back at once."""
    target = house.target()
    house.proxy("page=0", "doze=yes", before=SLOW_TO_DOUBT)
    first = house.client(say=BROWSER)
    lease = house.lease.accept()
    lease.awake(target.port)
    assert first.recv(len(BROWSER)) == BROWSER
    first.close()
    lease.hear_until(lambda message: message.get("busy") is False)
    lease.tell("dozing")
    again = house.client(say=BROWSER)
    lease.hear_until(lambda message: message.get("busy") is True)
    lease.tell("dozing")
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
    lease.tell("failed", reason="exit status <127>", retry_after=4.99)
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
