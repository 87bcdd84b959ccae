"""One value of a YAML file changed, and every other byte kept: comments, quotes, order, line ends, blank lines.

A place is the way to a value: `("order_q", "nl")`, `("questions", 2)`. What is written is read again before it is handed
back: when anything but this value reads differently, nothing is changed and `CannotEdit` says so. Pure: bytes → bytes.

    change(raw, place, value)     a text; what of its place is missing in mappings is added at the end of the last one there is
    change_number(raw, place, value)  a number
    change_to_map(raw, place, values) a mapping of texts where one text stood
    remove(raw, place)            an entry with its key, or an item of a list
    change_list(raw, place, values)   a list of texts: items that stay keep their lines and comments
    append(raw, block)            more items, as YAML, behind a file that is one list
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from bot.desk_folder.spelling import double, plain
from bot.desk_folder.splices import (
    CannotEdit,
    Edit,
    File,
    Place,
    additions,
    changes,
    children,
    new_line,
    newline_of,
    parsed,
    removals,
)
from bot.flows.source import Faults, Node, read

__all__ = ["CannotEdit", "Place", "append", "change", "change_list", "change_number", "change_to_map", "remove"]

_BOM = b"\xef\xbb\xbf"


def change(raw: bytes, place: Place, value: str) -> bytes:
    """The file with the text `value` at `place`. Raises CannotEdit."""
    return _edited(raw, lambda file: changes(file, tuple(place), value), lambda tree: _put(tree, place, value))


def change_number(raw: bytes, place: Place, value: float) -> bytes:
    """As `change`, with a number."""
    words = repr(value)

    def edits(file: File) -> Iterator[Edit]:
        node = file.find(place)
        if node is not None:
            yield node.start, file.end(node), f" {words}" if node.start == node.end else words
            return
        depth = next((n for n in range(len(place) - 1, 0, -1) if file.find(place[:n]) is not None), 0)
        yield from additions(file, file.at(place[:depth]), [str(part) for part in place[depth:]], words)

    return _edited(raw, edits, lambda tree: _put(tree, place, _Scalar(words, value)))


def change_to_map(raw: bytes, place: Place, values: Mapping[str, str]) -> bytes:
    """As `change`, with a mapping of texts in the place of a single value."""

    def edits(file: File) -> Iterator[Edit]:
        node = file.at(place)
        words = ", ".join(f"{plain(key) or double(key)}: {plain(one) or double(one)}" for key, one in values.items())
        yield node.start, file.end(node), f"{{{words}}}"
        quoted = ", ".join(f"{double(key)}: {double(one)}" for key, one in values.items())
        yield node.start, file.end(node), f"{{{quoted}}}"

    return _edited(
        raw, edits, lambda tree: _put(tree, place, [(key, _Scalar(one, one)) for key, one in values.items()])
    )


def remove(raw: bytes, place: Place) -> bytes:
    """The file without the entry or item at `place`; of a mapping that would be left empty, the whole entry goes.

    Raises CannotEdit, also where nothing stands there.
    """
    file = File.of(raw)
    while len(place) > 1 and len(children(file.at(place[:-1]))) == 1:
        place = place[:-1]
    return _edited(raw, lambda file: removals(file, tuple(place)), lambda tree: _drop(tree, place))


def change_list(raw: bytes, place: Place, values: Sequence[str]) -> bytes:
    """The file with the list of `values` at `place`, which is added where it is missing; an empty one is removed."""
    file = File.of(raw)
    node = file.find(place)
    if node is not None and node.kind == "scalar" and node.raw:
        raw, node = remove(raw, place), None
    if node is None or not node.items:
        return _with_new_list(raw, place, values) if values else raw
    if not values:
        return remove(raw, place)
    old = [item.raw for item in node.items]
    for what, begin, end, start, stop in reversed(SequenceMatcher(None, old, list(values), False).get_opcodes()):
        kept = min(end - begin, stop - start) if what == "replace" else 0
        for at in range(kept):
            raw = change(raw, (*place, begin + at), values[start + at])
        if what in {"replace", "insert"}:
            for value in reversed(values[start + kept : stop]):
                raw = _insert(raw, place, begin + kept, value)
        if what in {"replace", "delete"}:
            for at in reversed(range(begin + kept, end)):
                raw = remove(raw, (*place, at))
    return raw


def append(raw: bytes, block: str) -> bytes:
    """The file with `block`, items of a list that begin in the first column, behind its last line. Raises CannotEdit."""
    text = raw.decode("utf-8-sig", "replace")
    newline = newline_of(text)
    gap = "" if not text or text.endswith("\n") else newline
    added = (gap + block.rstrip("\n").replace("\n", newline) + newline).encode()
    more = File.of(block.encode()).root

    def extended(tree: Any) -> Any:
        return [*(tree or []), *_plain(more)] if tree is None or isinstance(tree, list) else None

    if not text.strip() or _is_empty(raw):
        return raw + added
    return _edited(raw, lambda file: iter([(len(file.text), len(file.text), added.decode())]), extended)


def _edited(raw: bytes, edits: Callable[[File], Iterator[Edit]], wanted: Callable[[Any], Any]) -> bytes:
    """The first of the proposed edits after which the file reads as `wanted` says of what it read before."""
    file = File.of(raw)
    goal = wanted(_plain(file.root))
    for start, end, words in edits(file):
        text = file.text[:start] + words + file.text[end:]
        try:
            now = _plain(parsed(text))
        except CannotEdit:
            continue
        if now == goal:
            try:
                return (_BOM if raw.startswith(_BOM) else b"") + text.encode()
            except UnicodeEncodeError:
                continue
    raise CannotEdit("this value cannot be changed alone without touching others; change the file itself")


def _is_empty(raw: bytes) -> bool:
    faults = Faults()
    return read("the file", raw.decode("utf-8-sig", "replace"), faults) is None and not faults.found


def _plain(node: Node) -> Any:
    """A file as its readers see it: a scalar is (its words, its value); keys keep their order."""
    if node.kind == "map":
        return [(key, _plain(child)) for key, child in node.entries.items()]
    return [_plain(item) for item in node.items] if node.kind == "list" else _Scalar(node.raw, node.value)


@dataclass(frozen=True, slots=True)
class _Scalar:
    raw: str
    value: Any


def _put(tree: Any, place: Place, value: Any) -> Any:
    """`_plain`'s tree with a text at `place`; what is missing is added last."""
    if not place:
        return _Scalar(value, value) if isinstance(value, str) else value
    head, rest = place[0], place[1:]
    if isinstance(head, int):
        return [_put(one, rest, value) if at == head else one for at, one in enumerate(tree)]
    entries = tree if isinstance(tree, list) else []
    if all(key != head for key, _ in entries):
        return [*entries, (head, _put([], rest, value))]
    return [(key, _put(one, rest, value) if key == head else one) for key, one in entries]


def _drop(tree: Any, place: Place) -> Any:
    head, rest = place[0], place[1:]
    if isinstance(head, int):
        kept = [_drop(one, rest) if at == head and rest else one for at, one in enumerate(tree)]
        return kept if rest else [one for at, one in enumerate(kept) if at != head]
    return [(key, _drop(one, rest) if key == head else one) for key, one in tree if rest or key != head]


def _insert(raw: bytes, place: Place, at: int, value: str) -> bytes:
    """A text as a new item of a list that has some."""

    def edits(file: File) -> Iterator[Edit]:
        parent = file.at(place)
        items = parent.items
        if parent.style == "{":
            if at < len(items):
                yield items[at].start, items[at].start, f"{double(value)}, "
            else:
                yield file.end(items[-1]), file.end(items[-1]), f", {double(value)}"
            return
        line = f"{' ' * file.column(parent.start)}- {plain(value) or double(value)}"
        if at:
            yield from new_line(file, file.end(items[at - 1]), [line])
        else:
            start = file.text.rfind("\n", 0, items[0].start) + 1
            yield start, start, line + file.newline

    def wanted(tree: Any) -> Any:
        old = _found(tree, place)
        return _put(tree, place, [*old[:at], _Scalar(value, value), *old[at:]])

    return _edited(raw, edits, wanted)


def _found(tree: Any, place: Place) -> Any:
    for part in place:
        tree = tree[part] if isinstance(part, int) else dict(tree)[part]
    return copy.copy(tree)


def _with_new_list(raw: bytes, place: Place, values: Sequence[str]) -> bytes:
    """A list of texts where there was none."""
    file = File.of(raw)
    if file.find(place) is not None:
        raw = remove(raw, place)

    def edits(file: File) -> Iterator[Edit]:
        depth = next((n for n in range(len(place) - 1, 0, -1) if file.find(place[:n]) is not None), 0)
        words = f"[{', '.join(plain(one) or double(one) for one in values)}]"
        yield from additions(file, file.at(place[:depth]), [str(part) for part in place[depth:]], words)

    return _edited(raw, edits, lambda tree: _put(tree, place, [_Scalar(one, one) for one in values]))
