"""A long text in parts that fit a channel, cut where a reader would: paragraph, line, sentence, word, grapheme.

Nothing is lost but white space at the cuts. A grapheme (what people call a character: a flag, a family, a letter
with its points) is cut only where it alone is longer than a part.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

Unit = Literal["utf16", "codepoints", "bytes"]

TELEGRAM_LIMIT = 4096
"""UTF-16 code units of one Telegram message, counted after entities are taken out (Bot API, sendMessage)."""

_SPACE = re.compile(r"\s*")
_PLACES = (  # what to cut after, and how much of a part must be full by then
    (re.compile(r"\n[ \t]*\n\s*"), 0.5),
    (re.compile(r"\n\s*"), 0.5),
    (re.compile(r"[.!?…。]+[\"'”’)\]]*\s+"), 0.4),
    (re.compile(r"\s+"), 0.2),
)
_FENCE = re.compile(r"^```", re.MULTILINE)
_FENCE_ROOM = len("```\n") + len("\n```")
_LOOKAHEAD = 64  # code points after the window that tell whether its end is inside a grapheme


def length(text: str, unit: Unit) -> int:
    """How long `text` is for a platform that counts in `unit`."""
    if unit == "codepoints" or text.isascii():
        return len(text)
    if unit == "bytes":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) + sum(char > "\uffff" for char in text)


def split(text: str, limit: int, unit: Unit = "utf16") -> list[str]:
    """`text` in parts of at most `limit` (4 or more) of `unit`. A code fence that is cut is closed and opened again."""
    if length(text, unit) <= limit:
        return [text] if text else []
    if limit < 4 * _FENCE_ROOM or not _FENCE.search(text):
        return [text[start:end] for start, end in _ranges(text, limit, unit)]
    parts, inside = [], False
    for start, end in _ranges(text, limit - _FENCE_ROOM, unit):
        part = text[start:end]
        ends_inside = inside ^ (len(_FENCE.findall(part)) % 2 == 1)
        parts.append(("```\n" if inside else "") + part + ("\n```" if ends_inside and end < len(text) else ""))
        inside = ends_inside
    return parts


def split_entities(
    text: str, entities: Sequence[Mapping[str, Any]], limit: int = TELEGRAM_LIMIT
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Telegram's text and entities in parts of at most `limit` UTF-16 units; an entity that is cut goes on in the next.

    Offsets and lengths are in UTF-16 units, counted from the beginning of each part.
    """
    if length(text, "utf16") <= limit:
        return [(text, [dict(entity) for entity in entities])] if text else []
    parts = []
    base, at = 0, 0  # the part's offset in UTF-16 units, and the place that it belongs to
    for start, end in _ranges(text, limit, "utf16"):
        base += length(text[at:start], "utf16")
        at = start
        part = text[start:end]
        parts.append((part, list(_clipped(entities, base, base + length(part, "utf16")))))
    return parts


def grapheme_floor(text: str, place: int) -> int:
    """The last grapheme boundary of `text` at or before `place`; `place` itself if a single grapheme fills it all."""
    if place >= len(text):
        return len(text)
    start = max(0, place - 512)
    if text[start : place + 1].isascii():
        return place - 1 if text[place - 1 : place + 1] == "\r\n" and place > 1 else place
    ends = [start + end for end in _boundaries(text[start : place + _LOOKAHEAD]) if start + end <= place]
    return ends[-1] if ends else place


def _clipped(entities: Sequence[Mapping[str, Any]], start: int, end: int) -> Iterator[dict[str, Any]]:
    for entity in entities:
        first, last = max(start, entity["offset"]), min(end, entity["offset"] + entity["length"])
        if first < last:
            yield {**entity, "offset": first - start, "length": last - first}


def _ranges(text: str, limit: int, unit: Unit) -> Iterator[tuple[int, int]]:
    """(start, end) of each part, in code points; parts are not empty and have no white space at their ends."""
    if limit < 4:
        raise ValueError(f"a part of {limit} is too short: some characters alone take 4")
    at = 0
    while at < len(text):
        end = _fitting(text, at, limit, unit)
        if end < len(text):
            end = _cut(text, at, end)
        stripped = at + len(text[at:end].rstrip())
        if stripped > at:
            yield at, stripped
        at = _after_space(text, stripped, end)


def _fitting(text: str, start: int, limit: int, unit: Unit) -> int:
    """The farthest end such that `text[start:end]` fits."""
    window = text[start : start + limit]
    if length(window, unit) <= limit:
        return start + len(window)
    return start + bisect_left(range(len(window)), True, key=lambda size: length(window[: size + 1], unit) > limit)


def _cut(text: str, at: int, end: int) -> int:
    """Where to cut `text[at:end]`: after a paragraph, line, sentence or word that fills enough of it."""
    size = end - at
    # Whether the window's end is inside a grapheme is known only with a look at what follows.
    ends = _boundaries(text[at : end + _LOOKAHEAD])
    allowed = set(ends)
    following = text[end : end + 1]
    window = text[at:end] + (following if following.isspace() else "")  # a word may end just where the window does
    for pattern, least in _PLACES:
        places = (min(match.end(), size) for match in reversed(list(pattern.finditer(window))))
        place = next((place for place in places if place >= size * least and place in allowed), 0)
        if place:
            return at + place
    inside = [place for place in ends if place <= size]
    return at + (inside[-1] if inside else size)


def _after_space(text: str, part_end: int, cut: int) -> int:
    """Where the next part begins: after the white space, but with the indent that follows a line's end.

    `part_end` is where the part before ends, less its white space; `cut`, at or after it, where it was cut.
    """
    space = _SPACE.match(text, cut)
    end = space.end() if space else cut
    if end > cut and _boundaries(text[end - 1 : end + 2])[0] > 1:
        end -= 1  # the last space carries an accent: they are one grapheme
    line = text.rfind("\n", part_end, end)
    return end if line < 0 else line + 1


def _boundaries(text: str) -> Sequence[int]:
    """The ends of the graphemes of `text`, in order."""
    if text.isascii() and "\r" not in text:
        return range(1, len(text) + 1)
    import regex

    return [match.end() for match in regex.finditer(r"\X", text)]
