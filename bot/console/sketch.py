"""What the simulator is asked to play: a conversation's language, how things stand, and what is done, line by line. Pure.

A sketch is the whole state of the simulator: it travels in the page's form and is played from its beginning each time. So
nothing is kept on the server, a line can be taken back, and the same conversation can be played again on a changed desk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

MOST_LINES = 200
LONGEST = 4000  # characters of one line

_TEXTS = ("user", "choose", "file", "agent", "note", "resolve", "switch_channel")
_NUMBERS = ("score", "after", "agents")
_FLAGS = ("claim", "open")
OUTCOMES = ("resolved", "no_solution", "duplicate", "abandoned", "spam")
CHANNELS = ("web", "telegram", "slack")


@dataclass(frozen=True, slots=True)
class Sketch:
    """A conversation as it was played: its language, how things stand at its beginning, and what was done, in order.

    `lines` are (kind, value) as in a test's script, `after` in seconds; `given` as in a test's head.
    """

    locale: str
    given: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[tuple[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"locale": self.locale, "given": self.given, "lines": self.lines}

    @classmethod
    def from_json(cls, stored: Any, locales: Sequence[str]) -> Sketch:
        """What a page sent back; whatever is no line of a script is left out."""
        content = stored if isinstance(stored, dict) else {}
        given, lines = content.get("given"), content.get("lines")
        return cls(
            next((one for one in locales if one == content.get("locale")), locales[0]),
            _given(given) if isinstance(given, dict) else {},
            tuple(_lines(lines) if isinstance(lines, list) else ())[:MOST_LINES],
        )

    def then(self, kind: str, value: Any) -> Sketch:
        """With one line more, unless it is none; the oldest conversation has an end, too."""
        more = tuple(_lines([[kind, value]]))
        return self if len(self.lines) >= MOST_LINES else replace(self, lines=(*self.lines, *more))

    def back(self) -> Sketch:
        return replace(self, lines=self.lines[:-1])


def _given(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in ("connectors", "customer", "case"):
        if isinstance(given.get(key), dict) and given[key]:
            found[key] = given[key]
    if isinstance(given.get("model"), str) and given["model"].strip():
        found["model"] = given["model"][:LONGEST]
    if isinstance(given.get("agents"), int) and 0 <= given["agents"] <= 1000:
        found["agents"] = int(given["agents"])
    if isinstance(given.get("open"), bool):
        found["open"] = given["open"]
    if isinstance(given.get("at"), str) and is_moment(given["at"]):
        found["at"] = given["at"]
    return found


def is_moment(text: str) -> bool:
    """Whether it is a day and time without a zone: 2026-01-05T22:00."""
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _lines(lines: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for one in lines:
        if not isinstance(one, list | tuple) or len(one) != 2 or not isinstance(one[0], str):
            continue
        kind, value = one
        if kind in _TEXTS and isinstance(value, str) and value.strip():
            if (kind != "switch_channel" or value in CHANNELS) and (kind != "resolve" or value in OUTCOMES):
                yield kind, value[:LONGEST]
        elif kind in _FLAGS and isinstance(value, bool):
            yield kind, value
        elif kind in _NUMBERS and isinstance(value, int) and 0 <= value <= 400 * 86_400:
            yield kind, int(value)
        elif kind == "event" and isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str):
            yield kind, (value[0], value[1] if isinstance(value[1], dict) else {})
