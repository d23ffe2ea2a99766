"""JSON: reading and writing by the C half of Python's module, the same values and the same text."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from json import dump, dumps, load, loads
else:
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    class _Reading:
        """How json.loads reads where it is asked for nothing else."""

        strict = True
        object_hook = object_pairs_hook = None
        parse_float, parse_int, parse_constant = float, int, float

    _scan = make_scanner(_Reading)
    _SPACE = " \t\n\r"

    def loads(text):
        """Raises ValueError."""
        if not isinstance(text, str):
            text = text.decode("utf-8", "surrogatepass")
        stripped = text.strip(_SPACE)
        try:
            value, end = _scan(stripped, 0)
        except (StopIteration, SystemError):
            # The latter in place of the other half's own error, where that half is not there (3.11).
            raise ValueError(f"no JSON: {stripped[:40]!a}") from None
        if end != len(stripped):
            raise ValueError(f"no JSON behind {end} characters: {stripped[:40]!a}")
        return value

    def load(file):
        return loads(file.read())

    def dumps(value, separators=(", ", ": ")):
        item, key = separators
        encode = make_encoder({}, _refuse, encode_basestring_ascii, None, key, item, False, False, True)
        return "".join(encode(value, 0))

    def dump(value, file):
        file.write(dumps(value))

    def _refuse(value):
        raise TypeError(f"{value!r:.100} is no value of JSON")


__all__ = ["dump", "dumps", "load", "loads"]
