"""JSON as the database keeps it: orjson's speed, and the standard library's word where orjson would say something else.

orjson reads whole numbers of more than 64 bits as floats, and neither writes nor reads halves of surrogate pairs; it refuses keys
that are no text. People do write such numbers (an account's), and platforms do send such halves.
"""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any

import orjson

LONG = 19  # digits: from there on a number may have more than 64 bits
_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_PLAIN = orjson.OPT_PASSTHROUGH_DATETIME  # a date is no JSON, here as there


def dumps(value: Any) -> str:
    """Raises TypeError for what is no JSON. Frozen dataclasses of ours are: an object of their fields."""
    try:
        return orjson.dumps(value, option=_PLAIN).decode()
    except TypeError:
        return json.dumps(value, default=_fields)


def _fields(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    msg = f"{type(value).__name__} is no JSON"
    raise TypeError(msg)


def loads(text: str | float) -> Any:
    """Raises TypeError for what is no text: SQLite gives what is a bare number as one."""
    if not isinstance(text, str):
        msg = f"{type(text).__name__} is no JSON text"
        raise TypeError(msg)
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) < LONG or b"0" * LONG not in raw.translate(_ZEROS):  # a fifteenth of what a regular expression takes
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
    return json.loads(text)


JSON_TEXT = {"json_serializer": dumps, "json_deserializer": loads}
"""What an engine is made with."""
