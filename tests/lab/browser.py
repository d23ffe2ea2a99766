"""A real browser without a screen, driven over the Chrome DevTools Protocol: JSON over two pipes."""

from __future__ import annotations

import base64
import json
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

from lab import Lab

PATIENCE: Final = 60.0  # seconds; the first start of a browser on a busy machine takes some

# No sandbox, for it runs as root in a lab that is one. --remote-debugging-pipe: NUL after each message,
# read from descriptor 3 and written to 4, which are the two pipes that a parent always can make.
COMMAND: Final = """exec chromium --headless --no-sandbox --remote-debugging-pipe --no-first-run \
--disable-gpu --disable-dev-shm-usage --disable-background-networking --disable-component-update \
--disable-sync --user-data-dir="$(mktemp -d)" --window-size=900,640 about:blank \
3<&0 4>&1 </dev/null >/dev/null 2>&1"""


class Refused(Exception):
    """The browser did not do what it was told; the text is its own."""


class Browser:
    """One tab. `documents` are the statuses and addresses of what was navigated to, in order."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.commands: IO[bytes] = process.stdin
        self.replies: IO[bytes] = process.stdout
        self.pending = b""
        self.last = 0
        self.session = ""
        self.documents: list[tuple[int, str]] = []
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.do("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its result. Raises Refused."""
        number = self._send(method, parameters)
        deadline = time.monotonic() + PATIENCE
        while (message := self._next(deadline)).get("id") != number:
            self._note(message)
        if "error" in message:
            raise Refused(f"{method}: {message['error']}")
        result: dict[str, Any] = message["result"]
        return result

    def go(self, address: str) -> None:
        """Set off to `address`, as by the address bar, and wait for nothing."""
        self._send("Page.navigate", {"url": address})

    def look(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page as it is now; Refused between two pages."""
        found = self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def text(self) -> str:
        """What there is to read; nothing between two pages."""
        try:
            return str(self.look("document.body ? document.body.innerText : ''"))
        except Refused:
            return ""

    def sees(self, condition: Callable[[str], bool]) -> str:
        """The text of the page, once `condition` holds for it."""
        deadline = time.monotonic() + PATIENCE
        while not condition(text := self.text()):
            assert time.monotonic() < deadline, f"the browser still shows {text!r}"
            time.sleep(0.02)
        return text

    def prefers(self, scheme: str) -> None:
        self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self) -> bytes:
        """What is painted now, as PNG."""
        return base64.b64decode(self.do("Page.captureScreenshot", format="png")["data"])

    def _send(self, method: str, parameters: dict[str, Any]) -> int:
        self.last += 1
        message: dict[str, Any] = {"id": self.last, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        return self.last

    def _next(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self.pending:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self.replies], [], [], left)[0], "nothing from the browser"
            data = self.replies.read1(65536)  # type: ignore[attr-defined]  # a BufferedReader
            assert data, "the browser has ended"
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        said = message.get("params", {})
        if message.get("method") == "Network.responseReceived" and said.get("type") == "Document":
            self.documents.append((said["response"]["status"], said["response"]["url"]))


@contextmanager
def browser(lab: Lab) -> Iterator[Browser]:
    """Chromium in the lab, ended with the block."""
    process = lab.popen(["sh", "-c", COMMAND], stdin=subprocess.PIPE, text=False)
    try:
        yield Browser(process)
    finally:
        process.kill()
        process.communicate()
