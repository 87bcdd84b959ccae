"""YAML as admins mean it, each value with its place, and a reader that collects every fault in one pass.

Never `yaml.safe_load`: YAML 1.1 turns the Norwegian key `no:` into false, `12:30` into 750 and `0123` into 83, and
silently keeps the last of two equal keys. Here libyaml's events become `Node`s by the rules of YAML 1.2's core schema;
where a text is wanted, a scalar counts as it was written. Aliases, anchors and tags are refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import yaml

MAX_BYTES = 1024 * 1024
"""Of one file; a flow of 100 steps has 10 kB."""
MAX_NESTING = 40
MAX_FAULTS = 1000
LONGEST_MESSAGE = 1000  # characters
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_ADVICE: Mapping[str, str] = {
    "mapping values are not allowed": 'a colon where no key can stand: put quotes around a text with ": " in it, or mend the '
    "indentation (one line may also lack its colon)",
    "did not find expected ','": "the bracket{since} is not closed before this, or a comma is missing; a text with a comma, a "
    "colon or a bracket in it needs quotes",
    "did not find expected '-'": "the list{since} goes on here without a -; mend the indentation",
    "did not find expected key": "something is left over here: mend the indentation; a quote within quotes is written twice ('')",
    "unknown escape character": "within double quotes a \\ is written \\\\; or take single quotes",
}
"""What libyaml says, and what that mostly is."""

_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?\Z")
_BASED = re.compile(r"0(o[0-7]+|x[0-9a-fA-F]+)\Z")
_CONSTANTS: Mapping[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DURATION = re.compile(r"([0-9]{1,6})\s*(s|m|h|d|w)?\Z")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where: lines and columns count from 1. `severity` is fault | warning."""

    file: str
    line: int
    column: int
    message: str
    severity: str = "fault"
    rule: str = ""

    def __str__(self) -> str:
        kind = "warning: " if self.severity == "warning" else ""
        return f"{self.file}:{self.line}:{self.column}: {kind}{self.message}"


@dataclass(slots=True, eq=False)
class Node:
    """One value of a file. `kind` is map | list | scalar; `raw` a scalar as written, `plain` whether without quotes.

    It stands at `text[start:end]`, where that of a block's mapping or list says only where it begins; `style` is a
    scalar's mark (`"`, `'`, `|`, `>` or nothing), and `{` for a mapping or list in brackets.
    """

    kind: str
    line: int
    column: int
    value: Any = None
    raw: str = ""
    plain: bool = True
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Node] = field(default_factory=dict)
    single_line: bool = True
    start: int = 0
    end: int = 0
    style: str = ""

    def content(self) -> Any:
        """The bare value: mappings, lists and scalars, for JSON."""
        if self.kind == "map":
            return {key: node.content() for key, node in self.entries.items()}
        return [node.content() for node in self.items] if self.kind == "list" else self.value

    def within(self, offset: int) -> tuple[int, int]:
        """Line and column of a character of a scalar's text."""
        if not self.single_line:
            return self.line, self.column
        return self.line, self.column + (0 if self.plain else 1) + offset


class Faults:
    """Collects what is wrong with one desk."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, file: str, line: int, column: int, message: str, rule: str, severity: str = "fault") -> None:
        if len(self.found) < MAX_FAULTS:
            self.found.append(Fault(_in_one_line(file), line, column, _in_one_line(message), severity, rule))


def _in_one_line(text: str) -> str:
    """What an admin wrote is quoted in faults: no line of its own, no control characters, no page of it."""
    shown = "".join(one if one.isprintable() else " " for one in text[: LONGEST_MESSAGE + 1])
    return shown if len(shown) <= LONGEST_MESSAGE else shown[: LONGEST_MESSAGE - 1] + "…"


def read(file: str, text: str, faults: Faults) -> Node | None:
    """The one document of `text`, or None where it cannot be read; the reason goes to `faults`."""
    try:
        return _Builder(file, faults).build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        faults.add(file, line, column, f"not valid YAML: {_for_writers(text, error)}", "syntax")
    except yaml.YAMLError as error:
        faults.add(file, 1, 1, f"not valid YAML: {str(error).splitlines()[0]}", "syntax")
    return None


def _for_writers(text: str, error: yaml.MarkedYAMLError) -> str:
    """What to mend, for who writes a desk and knows nothing of scanners; the parser's own words where we know no better."""
    problem, mark, began = error.problem or "", error.problem_mark, error.context_mark
    since = f" of line {began.line + 1}" if began else ""
    here = text[mark.index : mark.index + 1] if mark else ""
    if "cannot start any token" in problem:
        return "a tab; indent with spaces" if here == "\t" else f'a text that begins with "{here}" needs quotes'
    if "found unexpected end of stream" in problem:
        return f"the quote{since} is never closed"
    return next(
        (advice.format(since=since) for known, advice in _ADVICE.items() if known in problem),
        " ".join(part for part in (error.context, problem) if part) or "cannot be read",
    )


class _Builder:
    """From libyaml's events to nodes, without recursion."""

    def __init__(self, file: str, faults: Faults) -> None:
        self.file = file
        self.faults = faults
        self.root: Node | None = None
        self.open: list[tuple[Node, list[Node]]] = []  # a map or list, and the key that waits for its value
        self.documents = 0

    def build(self, text: str) -> Node | None:
        for event in yaml.parse(text, Loader=_LOADER):
            self.take(event)
        return self.root

    def fault(self, event: Any, message: str, rule: str) -> None:
        self.faults.add(self.file, event.start_mark.line + 1, event.start_mark.column + 1, message, rule)

    def take(self, event: Any) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents == 2:
                self.fault(event, "a second document; write one document a file", "syntax")
        elif isinstance(event, yaml.CollectionEndEvent):
            node, _ = self.open.pop()
            node.end = event.end_mark.index if event.end_mark else 0
            self.place(node)
        elif isinstance(event, yaml.NodeEvent):
            self.take_node(event)

    def take_node(self, event: Any) -> None:
        node = Node("scalar", event.start_mark.line + 1, event.start_mark.column + 1)
        node.start, node.end = event.start_mark.index, event.end_mark.index
        if isinstance(event, yaml.AliasEvent):
            self.fault(event, f'aliases are not allowed ("*{event.anchor}"); write the value out', "alias")
            self.place(node)
            return
        if event.tag is not None and not (isinstance(event, yaml.ScalarEvent) and event.tag == "!"):
            self.fault(event, f'tags are not allowed ("{event.tag}")', "tag")
        if isinstance(event, yaml.ScalarEvent):
            node.raw, node.style = event.value, event.style or ""
            node.plain = event.style in {None, ""} and event.tag is None
            node.value = scalar(event.value) if node.plain else event.value
            node.single_line = _one_line(event) and event.style not in {"|", ">"}
            self.place(node)
            return
        node.kind = "map" if isinstance(event, yaml.MappingStartEvent) else "list"
        node.style = "{" if event.flow_style else ""
        if len(self.open) >= MAX_NESTING:
            raise yaml.MarkedYAMLError(problem=f"more than {MAX_NESTING} levels deep", problem_mark=event.start_mark)
        self.open.append((node, []))

    def place(self, node: Node) -> None:
        if not self.open:
            if self.documents <= 1:
                self.root = node
            return
        parent, waiting = self.open[-1]
        if parent.kind == "list":
            parent.items.append(node)
        elif not waiting:
            waiting.append(node)
        else:
            self.pair(parent, waiting.pop(), node)

    def pair(self, parent: Node, key: Node, value: Node) -> None:
        where = self.file, key.line, key.column
        if key.kind != "scalar":
            self.faults.add(*where, "a key must be a word", "type")
        elif key.raw in parent.entries:
            first = parent.keys[key.raw].line
            self.faults.add(*where, f'the key "{key.raw}" stands here twice; the first is in line {first}', "duplicate")
        else:
            parent.entries[key.raw] = value
            parent.keys[key.raw] = key


def _one_line(event: yaml.ScalarEvent) -> bool:
    return bool(event.start_mark and event.end_mark and event.start_mark.line == event.end_mark.line)


def scalar(raw: str) -> Any:
    """A plain scalar by YAML 1.2's core schema: `no`, `on` and `12:30` are texts, `0123` is 123."""
    if raw in _CONSTANTS:
        return _CONSTANTS[raw]
    if len(raw) > 30:
        return raw
    if _INT.match(raw):
        return int(raw)
    if _FLOAT.match(raw):
        number = float(raw)
        return number if abs(number) < float("inf") else raw
    return int(raw, 0) if _BASED.match(raw) else raw


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "order"?`, or nothing when nothing is near."""
    from rapidfuzz import fuzz, process  # only a desk with a fault needs it

    found = process.extractOne(word[:100], list(known), scorer=fuzz.ratio, score_cutoff=60)
    return f'; did you mean "{found[0]}"?' if found else ""


def seconds(raw: str) -> int | None:
    """`30s`, `5m`, `2h`, `1d`, `1w` or a number of seconds; None for anything else."""
    match = _DURATION.match(raw.strip())
    return int(match[1]) * _UNITS[match[2] or "s"] if match else None


_KINDS = {"map": "a mapping (key: value)", "list": "a list", "scalar": "a single value"}


class Reader:
    """Reads the nodes of one file with the types that are wanted; what is wrong is collected, never raised."""

    def __init__(self, file: str, faults: Faults) -> None:
        self.file = file
        self.faults = faults

    def fault(self, node: Node, message: str, rule: str, offset: int | None = None) -> None:
        line, column = (node.line, node.column) if offset is None else node.within(offset)
        self.faults.add(self.file, line, column, message, rule)

    def warn(self, node: Node, message: str, rule: str) -> None:
        self.faults.add(self.file, node.line, node.column, message, rule, "warning")

    def entries(
        self, node: Node, known: Collection[str] | None, what: str, required: Collection[str] = ()
    ) -> dict[str, Node]:
        """The mapping's entries that are known; unknown keys and missing required ones are faults."""
        if node.kind != "map":
            self.wrong(node, f"{what} must be a mapping (key: value)")
            return {}
        for key, name in node.keys.items():
            if known is not None and key not in known:
                self.fault(name, f'{what}: unknown key "{key}"{nearest(key, known)}', "unknown-key")
        for key in required:
            if key not in node.entries:
                self.fault(node, f'{what}: "{key}" is missing', "missing-key")
        return {key: value for key, value in node.entries.items() if known is None or key in known}

    def wrong(self, node: Node, wanted: str) -> None:
        found = f'"{node.raw}"' if node.kind == "scalar" and node.raw else _KINDS[node.kind]
        if node.kind == "scalar" and not node.raw:
            found = "nothing"
        self.fault(node, f"{wanted}, not {found}", "type")

    def items(self, node: Node, what: str) -> list[Node]:
        if node.kind != "list":
            self.wrong(node, f"{what} must be a list")
            return []
        return node.items

    def text(self, node: Node, what: str) -> str | None:
        """A text that is not empty, as it was written (`no` and `0123` stay what they are)."""
        if node.kind != "scalar":
            self.wrong(node, f"{what} must be a text")
            return None
        if not node.raw.strip() or (node.plain and node.value is None):
            self.fault(node, f"{what} is empty", "type")
            return None
        return node.raw

    def texts(self, node: Node, what: str) -> tuple[str, ...]:
        """A list of texts; one alone counts as a list of one."""
        nodes = node.items if node.kind == "list" else [node]
        return tuple(text for one in nodes if (text := self.text(one, what)) is not None)

    def flag(self, node: Node, what: str) -> bool:
        if not isinstance(node.value, bool):
            self.wrong(node, f"{what} must be true or false")
        return node.value is True

    def whole(self, node: Node, what: str, fewest: int = 0, most: int = 1_000_000) -> int | None:
        if not isinstance(node.value, int) or isinstance(node.value, bool) or not fewest <= node.value <= most:
            self.wrong(node, f"{what} must be a whole number from {fewest} to {most}")
            return None
        return node.value

    def number(self, node: Node, what: str) -> float | None:
        if not isinstance(node.value, int | float) or isinstance(node.value, bool):
            self.wrong(node, f"{what} must be a number")
            return None
        return node.value

    def one_of(self, node: Node, known: Collection[str], what: str, rule: str = "value") -> str | None:
        text = self.text(node, what)
        if text is None or text in known:
            return text
        listed = f"; known are {', '.join(sorted(known))}" if 0 < len(known) <= 12 else ""
        self.fault(node, f'{what}: unknown "{text}"{nearest(text, known) or listed}', rule)
        return None

    def span(self, node: Node, what: str, most: timedelta = timedelta(days=3660)) -> timedelta | None:
        found = seconds(node.raw) if node.kind == "scalar" else None
        if found is None or found > most.total_seconds():
            self.wrong(node, f"{what} must be a duration such as 30s, 5m, 2h or 1d")
            return None
        return timedelta(seconds=found)
