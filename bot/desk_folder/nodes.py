"""YAML as admins mean it: values that remember where they stand, plain words that stay words, no surprises.

YAML 1.1, which every Python library reads, turns the Norwegian key `no:` into false, `12:30` into 750 and `0123` into 83,
and silently keeps the last of two equal keys. Here libyaml only cuts the text into events (fast, with places); what a
scalar means follows YAML 1.2's core schema, without octal. Aliases, anchors and tags are refused: no bomb, no class.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bot.desk_folder.faults import FAULT, Fault, Report

LARGEST = 1024 * 1024  # bytes of one file
DEEPEST = 40  # mappings and lists within each other

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?([0-9]{1,18}\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?|[-+]?[0-9]{1,18}[eE][-+]?[0-9]{1,2}")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Node:
    """What every value knows: its file, and its line and column from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar(Node):
    """`text` as written, `value` what it means: text, int, float, bool or None. `style` is "", ', ", | or >."""

    text: str = ""
    value: Any = None
    style: str = ""
    on_one_line: bool = True

    def column_of(self, offset: int) -> int:
        """The column of the character at `offset` of the text; of its beginning where lines were folded."""
        if not self.on_one_line or self.style in {"|", ">"}:
            return self.column
        if self.style == "'":
            return self.column + 1 + offset + self.text[:offset].count("'")
        if self.style == '"':
            return self.column + 1 + offset + sum(self.text[:offset].count(one) for one in '"\\\n\t')
        return self.column + offset


@dataclass(frozen=True, slots=True)
class Items(Node):
    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Map(Node):
    entries: dict[str, Entry] = field(default_factory=dict)

    def get(self, key: str) -> Node | None:
        found = self.entries.get(key)
        return found.value if found else None


class Placed(dict[str, Any]):
    """A plain mapping that still knows where it stood: for conversation tests, which name the line that failed."""

    line: int = 0
    column: int = 0


def plain(node: Node) -> Any:
    """The value without its places (mappings keep their line): keys are texts, always."""
    if isinstance(node, Map):
        found = Placed({key: plain(entry.value) for key, entry in node.entries.items()})
        found.line, found.column = node.line, node.column
        return found
    if isinstance(node, Items):
        return [plain(one) for one in node.items]
    return node.value if isinstance(node, Scalar) else None


def meaning(text: str) -> Any:
    """A bare word's value: YAML 1.2's null, truth values and numbers; `no`, `on`, `12:30`, `0123` are words."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def source(path: Path, file: str, report: Report) -> str | None:
    """The text of a file, or None with a fault: unreadable, too long, not UTF-8."""
    try:
        with path.open("rb") as opened:
            raw = opened.read(LARGEST + 1)
    except OSError as error:
        report.add(Fault(file, 1, 1, f"can't be read: {error.strerror}", FAULT, "file"))
        return None
    if len(raw) > LARGEST:
        report.add(Fault(file, 1, 1, "the file is larger than 1 MB", FAULT, "size"))
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        report.add(Fault(file, line, column, "this is not UTF-8; save the file as UTF-8", FAULT, "encoding"))
        return None


def read(text: str, file: str, report: Report, first_line: int = 1) -> Node | None:
    """The one document of `text`, or None where it is empty or broken (then there is a fault)."""
    try:
        return _Builder(file, report, first_line - 1).document(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + first_line, mark.column + 1) if mark else (first_line, 1)
        about = " ".join(part for part in (error.problem, error.context) if part)
        report.add(Fault(file, line, column, f"this is not YAML: {about}", FAULT, "syntax"))
    except yaml.YAMLError as error:
        report.add(Fault(file, *_unreadable(text, error, first_line), FAULT, "syntax"))
    return None


def _unreadable(text: str, error: yaml.YAMLError, first_line: int) -> tuple[int, int, str]:
    """Where a character stands that YAML forbids (libyaml gives only a position)."""
    at = next((i for i, one in enumerate(text) if ord(one) < 32 and one not in "\t\n\r" or 127 <= ord(one) < 160), 0)
    line, column = text.count("\n", 0, at) + first_line, at - text.rfind("\n", 0, at)
    reason = getattr(error, "reason", None) or "a character that can't be read"
    return line, column, f"this is not YAML: {reason}"


class _Broken(yaml.MarkedYAMLError):
    pass


class _Builder:
    """Nodes from libyaml's events, by a stack of our own: depth costs no recursion."""

    def __init__(self, file: str, report: Report, lines_before: int) -> None:
        self.file, self.report, self.before = file, report, lines_before

    def document(self, events: Iterator[Any]) -> Node | None:
        root: Node | None = None
        stack: list[tuple[Node, list[Any]]] = []
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Broken(problem="one document a file, and here a second begins", problem_mark=event.start_mark)
                continue
            node: Node
            if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self._refuse_extras(event)
                if len(stack) >= DEEPEST:
                    raise _Broken(problem=f"more than {DEEPEST} levels deep", problem_mark=event.start_mark)
                kind = Map if isinstance(event, yaml.MappingStartEvent) else Items
                stack.append((kind(*self._place(event)), []))
                continue
            if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                opened, inner = stack.pop()
                node = self._closed(opened, inner)
            elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent):
                node = self._scalar(event)
            else:
                continue
            if stack:
                stack[-1][1].append(node)
            else:
                root = node
        return root

    def _place(self, event: Any) -> tuple[str, int, int]:
        return self.file, event.start_mark.line + 1 + self.before, event.start_mark.column + 1

    def _fault(self, place: tuple[str, int, int], message: str, rule: str) -> None:
        self.report.add(Fault(*place, message, FAULT, rule))

    def _refuse_extras(self, event: Any) -> None:
        if event.anchor:
            self._fault(self._place(event), f'an anchor ("&{event.anchor}") is not allowed; write the value out', "anchor")
        if event.tag:
            self._fault(self._place(event), f'a tag ("{event.tag}") is not allowed', "tag")

    def _scalar(self, event: Any) -> Scalar:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            self._fault(place, f'an alias ("*{event.anchor}") is not allowed; write the value out', "alias")
            return Scalar(*place)
        self._refuse_extras(event)
        style = event.style or ""
        value = event.value if style else meaning(event.value)
        return Scalar(*place, event.value, value, style, event.start_mark.line == event.end_mark.line)

    def _closed(self, opened: Node, inner: list[Any]) -> Node:
        if not isinstance(opened, Map):
            return Items(opened.file, opened.line, opened.column, tuple(inner))
        for key, value in zip(inner[::2], inner[1::2], strict=True):
            place = key.file, key.line, key.column
            if not isinstance(key, Scalar):
                self._fault(place, "a key is one word or text", "key")
            elif key.text in opened.entries:
                first = opened.entries[key.text].key.line
                self._fault(place, f'"{key.text}" stands here twice; the first is in line {first}', "duplicate")
            else:
                opened.entries[key.text] = Entry(key, value)
        return opened
