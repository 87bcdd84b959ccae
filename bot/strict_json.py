"""JSON that comes from outside. What two parsers might read differently, or one never finishes, is no JSON here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn

MOST_LEVELS = 64
_TOO_DEEP = f"it is over {MOST_LEVELS} levels deep"


def loads(raw: str | bytes) -> Any:
    """The value of a JSON text (bytes: UTF-8) of any size: the caller caps it.

    Raises ValueError, UnicodeDecodeError among them: no JSON, a key twice in one object, NaN or Infinity, or over 64 levels.
    """
    told = raw if isinstance(raw, str) else raw.decode("utf-8")
    try:
        value = json.loads(told, object_pairs_hook=_unique, parse_constant=_no_number)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if any(level > MOST_LEVELS for level in _levels(value)):
        raise ValueError(_TOO_DEEP)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        msg = "a key stands twice in one object"
        raise ValueError(msg)
    return made


def _no_number(name: str) -> NoReturn:
    msg = f"{name} is no number in JSON"
    raise ValueError(msg)


def _levels(value: Any) -> Iterator[int]:
    """The depth of each container, without recursion."""
    waiting = [(value, 1)]
    while waiting:
        one, level = waiting.pop()
        if isinstance(one, dict | list):
            yield level
            inner = one.values() if isinstance(one, dict) else one
            waiting += [(child, level + 1) for child in inner if isinstance(child, dict | list)]
