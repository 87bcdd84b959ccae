"""Reading one mapping of a desk's file: every key known, every value of the right kind, every fault where it stands."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from bot.desk_folder.faults import FAULT, WARNING, Fault, Report, did_you_mean
from bot.desk_folder.nodes import Items, Map, Node, Scalar

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""An id: of a flow, a step, a team, an agent …"""
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(ms|s|m|h|d|w)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = timedelta(days=3660)


@dataclass(slots=True)
class Reader:
    """Tells what is wrong to the report, and gives None (or nothing) in its place, so that reading goes on."""

    report: Report = field(default_factory=Report)

    def fault(self, at: Node, message: str, rule: str, column: int | None = None) -> None:
        self.report.add(Fault(at.file, at.line, column or at.column, message, FAULT, rule))

    def warn(self, at: Node, message: str, rule: str, column: int | None = None) -> None:
        self.report.add(Fault(at.file, at.line, column or at.column, message, WARNING, rule))

    # ── kinds ──
    def fields(self, node: Node | None, known: Collection[str], what: str) -> Fields:
        """The mapping `node`, its unknown keys told; `what` names it in faults, as in "a team"."""
        opened = self.mapping(node, what)
        for key, entry in opened.entries.items():
            if key not in known:
                near = did_you_mean(key, known) or f"; known are {', '.join(known)}"
                self.fault(entry.key, f'unknown key "{key}" in {what}{near}', "unknown-key")
        return Fields(self, opened, what)

    def mapping(self, node: Node | None, what: str) -> Map:
        if isinstance(node, Map):
            return node
        if node is not None and not _is_nothing(node):
            self.fault(node, f"{what} must be a mapping (key: value)", "type")
        at = node or Node("", 1, 1)
        return Map(at.file, at.line, at.column)

    def items(self, node: Node | None, what: str) -> Sequence[Node]:
        if node is None or _is_nothing(node):
            return ()
        if isinstance(node, Items):
            return node.items
        self.fault(node, f"{what} must be a list", "type")
        return ()

    def text(self, node: Node, what: str) -> str | None:
        """A text as it was written (`007` stays `007`); not empty."""
        if isinstance(node, Scalar) and node.text.strip():
            return node.text
        self.fault(node, f"{what} must be a text", "type")
        return None

    def name(self, node: Node, what: str) -> str | None:
        text = self.text(node, what)
        if text is not None and not NAME.fullmatch(text):
            self.fault(node, f'{what} "{text[:80]}" must be letters, digits, _ - and . (at most 64)', "name")
            return None
        return text

    def one_of(self, node: Node, known: Collection[str], what: str, rule: str = "value") -> str | None:
        text = self.text(node, what)
        if text is None or text in known:
            return text
        near = did_you_mean(text, known)
        listed = "" if near or not known else f"; known are {', '.join(known)}"
        self.fault(node, f'unknown {what} "{text[:80]}"{near or listed}', rule)
        return None

    def names(self, node: Node | None, what: str) -> tuple[str, ...]:
        """One text or a list of texts."""
        if node is None:
            return ()
        many = [node] if isinstance(node, Scalar) and not _is_nothing(node) else self.items(node, what)
        return tuple(text for one in many if (text := self.text(one, what)) is not None)

    def flag(self, node: Node, what: str) -> bool:
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.fault(node, f"{what} must be true or false", "type")
        return False

    def whole(self, node: Node, what: str, lowest: int = 0, highest: int = 1_000_000) -> int | None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest:
            return value
        self.fault(node, f"{what} must be a whole number from {lowest} to {highest}", "type")
        return None

    def number(self, node: Node, what: str) -> float | None:
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        self.fault(node, f"{what} must be a number", "type")
        return None

    def span(self, node: Node, what: str) -> timedelta | None:
        """`5s`, `15m`, `72h`, `2d`, or 0."""
        text = node.text.strip() if isinstance(node, Scalar) else ""
        match = _DURATION.fullmatch(text)
        if text == "0":
            return timedelta(0)
        found = timedelta(seconds=float(match[1]) * _SECONDS[match[2]]) if match else None
        if found is None or found > LONGEST:
            self.fault(node, f"{what} must be a time span such as 5s, 15m, 72h or 2d", "type")
            return None
        return found


@dataclass(frozen=True, slots=True)
class Fields:
    """One mapping, asked key by key. A missing key gives None; a missing required one is a fault at the mapping."""

    reader: Reader
    node: Map
    what: str

    def __contains__(self, key: str) -> bool:
        return key in self.node.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.node.entries)

    def at(self, key: str) -> Node:
        """Where the key stands; the mapping where there is none."""
        entry = self.node.entries.get(key)
        return entry.key if entry else self.node

    def get(self, key: str, *, required: bool = False) -> Node | None:
        found = self.node.get(key)
        if found is None and required:
            self.reader.fault(self.node, f'{self.what} needs "{key}"', "missing-key")
        return found

    def text(self, key: str, *, required: bool = False) -> str | None:
        node = self.get(key, required=required)
        return None if node is None else self.reader.text(node, f'"{key}"')

    def name(self, key: str, *, required: bool = False) -> str | None:
        node = self.get(key, required=required)
        return None if node is None else self.reader.name(node, f'"{key}"')

    def one_of(self, key: str, known: Collection[str], what: str = "", *, required: bool = False) -> str | None:
        node = self.get(key, required=required)
        return None if node is None else self.reader.one_of(node, known, what or key)

    def names(self, key: str) -> tuple[str, ...]:
        return self.reader.names(self.get(key), f'"{key}"')

    def items(self, key: str) -> Sequence[Node]:
        return self.reader.items(self.get(key), f'"{key}"')

    def flag(self, key: str) -> bool:
        node = self.get(key)
        return False if node is None else self.reader.flag(node, f'"{key}"')

    def whole(self, key: str, lowest: int = 0, highest: int = 1_000_000, *, required: bool = False) -> int | None:
        node = self.get(key, required=required)
        return None if node is None else self.reader.whole(node, f'"{key}"', lowest, highest)

    def number(self, key: str) -> float | None:
        node = self.get(key)
        return None if node is None else self.reader.number(node, f'"{key}"')

    def span(self, key: str, *, required: bool = False) -> timedelta | None:
        node = self.get(key, required=required)
        return None if node is None else self.reader.span(node, f'"{key}"')


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.value is None
