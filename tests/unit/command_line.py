"""How systemd takes a command line apart: a small reader of systemd.syntax(7) stands in for it."""

from __future__ import annotations

import re


def systemd_reads(command: str) -> list[str]:
    """The arguments that systemd would pass: split, unquote, unescape, then expand % and $."""
    words, at = [], 0
    while at < len(command):
        word = b""
        quoted = command[at] == '"'
        at += quoted
        while at < len(command) and command[at] != ('"' if quoted else " "):
            if command[at] == "\\":
                if command[at + 1] == "x":
                    word += bytes.fromhex(command[at + 2 : at + 4])
                    at += 4
                else:
                    word += command[at + 1].encode()
                    at += 2
            else:
                word += command[at].encode()
                at += 1
        at += quoted
        text = word.decode()
        assert not re.search(r"%(?!%)", text.replace("%%", "")), "a specifier would be expanded"
        assert "$" not in text.replace("$$", ""), "a variable would be expanded"
        words.append(text.replace("%%", "%").replace("$$", "$"))
        assert at == len(command) or command[at] == " "
        at += 1
    return words
