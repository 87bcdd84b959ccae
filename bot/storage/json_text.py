"""JSON as the database keeps it: orjson's speed, and the standard library's word where orjson would say something else.

orjson reads whole numbers of more than 64 bits as floats, and neither writes nor reads halves of surrogate pairs; it refuses keys
that are no text. People do write such numbers (an account's), and platforms do send such halves.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, is_dataclass
from typing import Any

import orjson

_LONG = re.compile(r"\d{19}")
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


def loads(text: str) -> Any:
    if _LONG.search(text) is None:
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
    return json.loads(text)


JSON_TEXT = {"json_serializer": dumps, "json_deserializer": loads}
"""What an engine is made with."""
