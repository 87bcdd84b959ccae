"""Opening hours and holidays: `always`, or `{mon-fri: "9:00-17:00", sat: ["9:00-12:00", "13:00-17:00"]}` in local time."""

from __future__ import annotations

import re
from datetime import date, time

from bot.desk_folder.desk import Week
from bot.desk_folder.fields import Reader
from bot.desk_folder.nodes import Items, Node, Scalar

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"\s*([0-9]{1,2}):([0-9]{2})\s*[-–]\s*([0-9]{1,2}):([0-9]{2})\s*")
Interval = tuple[time, time]


def week(node: Node | None, read: Reader) -> Week | None:
    """None: always open. An interval that ends at or before its beginning runs past midnight."""
    if node is None or (isinstance(node, Scalar) and node.text in {"always", "24/7"}):
        return None
    found: dict[str, tuple[Interval, ...]] = {}
    for key, entry in read.mapping(node, 'opening_hours ("always", or day: hours)').entries.items():
        days = _days(key.strip().lower())
        if not days:
            read.fault(entry.key, f'unknown day "{key[:40]}"; write mon, tue, wed, thu, fri, sat, sun, or mon-fri', "hours")
        hours = _hours(entry.value, read)
        for day in days:
            if day in found:
                read.fault(entry.key, f'"{day}" has hours already', "hours")
            found[day] = hours
    return found


def holidays(node: Node | None, read: Reader) -> frozenset[date]:
    found = set()
    for one in read.items(node, '"holidays"'):
        try:
            found.add(date.fromisoformat(one.text if isinstance(one, Scalar) else ""))
        except ValueError:
            read.fault(one, 'a holiday is a date such as 2026-12-25', "hours")
    return frozenset(found)


def _days(key: str) -> tuple[str, ...]:
    first, dash, last = (part.strip() for part in key.partition("-"))
    if not dash:
        return (first,) if first in DAYS else ()
    if first not in DAYS or last not in DAYS:
        return ()
    begin, end = DAYS.index(first), DAYS.index(last)
    return DAYS[begin : end + 1] if begin <= end else DAYS[begin:] + DAYS[: end + 1]


def _hours(node: Node, read: Reader) -> tuple[Interval, ...]:
    if isinstance(node, Scalar) and (node.value is None or node.text in {"closed", "off"}):
        return ()
    nodes = node.items if isinstance(node, Items) else (node,)
    return tuple(found for one in nodes if (found := _interval(one, read)) is not None)


def _interval(node: Node, read: Reader) -> Interval | None:
    match = _SPAN.fullmatch(node.text) if isinstance(node, Scalar) else None
    begin = _clock(match[1], match[2]) if match else None
    end = _clock(match[3], match[4]) if match else None
    if begin is None or end is None or match is None:
        read.fault(node, 'opening hours are written "9:00-17:00"', "hours")
        return None
    if begin == end and match[3] != "24":
        read.fault(node, "these hours end when they begin; for the whole day write 0:00-24:00", "hours")
        return None
    return begin, end


def _clock(hour: str, minute: str) -> time | None:
    if (hour, minute) == ("24", "00"):
        return time(0)
    return time(int(hour), int(minute)) if int(hour) < 24 and int(minute) < 60 else None
