"""Where in a YAML file a value stands, and which splices could change it: proposals, each (from, to, new words). Pure.

Nothing here is believed: `edit` reads the file again after each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.desk_folder.spelling import double, plain, spellings
from bot.errors import DeskFault
from bot.flows.source import Faults, Node, read

Place = Sequence[str | int]
Edit = tuple[int, int, str]
_TAIL = re.compile(r"[ \t]*(#[^\r\n]*)?(\r\n|\n|\Z)")


class CannotEdit(DeskFault):
    """The file cannot be changed so; it says why in one line."""


@dataclass(frozen=True, slots=True)
class File:
    text: str
    root: Node
    newline: str

    @classmethod
    def of(cls, raw: bytes) -> File:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CannotEdit("the file is not UTF-8: it cannot be changed here") from None
        return cls(text, parsed(text), newline_of(text))

    def find(self, place: Place) -> Node | None:
        node: Node | None = self.root
        for part in place:
            if node is None:
                return None
            if isinstance(part, str):
                node = node.entries.get(part)
            elif 0 <= part < len(node.items):
                node = node.items[part]
            else:
                return None
        return node

    def at(self, place: Place) -> Node:
        node = self.find(place)
        if node is None:
            raise CannotEdit(f"there is nothing at {shown(place)} in this file")
        return node

    def column(self, index: int) -> int:
        return index - (self.text.rfind("\n", 0, index) + 1)

    def line_end(self, index: int) -> int:
        """Where the next line begins, if nothing but blanks and a comment stands between; else -1."""
        tail = _TAIL.match(self.text, index)
        return tail.end() if tail else -1

    def end(self, node: Node) -> int:
        """Where a value ends: a block's last line without its break, a collection with its last child."""
        if node.kind == "scalar" and node.style in {"|", ">"}:
            header = self.text[node.start : node.end].partition("\n")[0]
            body = self.text[node.start : node.end]
            return node.start + len(body if "+" in header else body.rstrip()) if body.strip() else node.end
        if node.kind == "scalar" or node.style == "{":
            return node.end
        last = children(node)[-1] if children(node) else None
        return self.end(last) if last is not None else node.start


def parsed(text: str) -> Node:
    faults = Faults()
    root = read("the file", text, faults)
    wrong = next((one for one in faults.found if one.severity == "fault"), None)
    if wrong is not None:
        raise CannotEdit(f"line {wrong.line}, column {wrong.column}: {wrong.message}; mend that first")
    return root if root is not None else Node("map", 1, 1, start=len(text), end=len(text))


def children(node: Node) -> list[Node]:
    return list(node.entries.values()) if node.kind == "map" else node.items


def newline_of(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def shown(place: Place) -> str:
    return ".".join(str(part) for part in place)


def changes(file: File, place: tuple[str | int, ...], value: str) -> Iterator[Edit]:
    node = file.find(place)
    if node is not None:
        if node.kind != "scalar":
            raise CannotEdit(f"{shown(place)} is not a single value")
        base = file.column(file.at(place[:-1]).start) if len(place) > 1 else 0
        gap = " " if node.start == node.end else ""
        for words in spellings(value, node, file.text, base, file.newline):
            yield node.start, file.end(node), gap + words
        return
    depth = next((n for n in range(len(place) - 1, 0, -1) if file.find(place[:n]) is not None), 0)
    if not all(isinstance(part, str) for part in place[depth:]):
        raise CannotEdit(f"there is nothing at {shown(place)} in this file")
    yield from additions(file, file.at(place[:depth]), [str(part) for part in place[depth:]], double(value))


def additions(file: File, parent: Node, keys: list[str], words: str) -> Iterator[Edit]:
    """A new entry behind the mapping's last one."""
    inside = words
    for key in reversed(keys[1:]):
        inside = f"{{{_key(key)}: {inside}}}"
    in_brackets = f"{_key(keys[0])}: {inside}"
    if parent.kind == "scalar" and not parent.raw:
        yield parent.start, parent.end, f" {{{in_brackets}}}"
        return
    if parent.kind != "map":
        raise CannotEdit("there stands a single value or a list, which has no keys")
    if parent.style == "{":
        if not parent.entries:
            yield parent.start + 1, parent.start + 1, in_brackets
        else:
            end = file.end(children(parent)[-1])
            yield end, end, f", {in_brackets}"
        return
    column = file.column(next(iter(parent.keys.values())).start) if parent.keys else 0
    lines = [f"{' ' * (column + 2 * depth)}{_key(key)}:" for depth, key in enumerate(keys)]
    lines[-1] += f" {words}"
    yield from new_line(file, file.end(children(parent)[-1]) if parent.keys else len(file.text), lines)


def new_line(file: File, end: int, lines: Sequence[str]) -> Iterator[Edit]:
    """Lines below the one in which a value ends."""
    at = file.line_end(end)
    if at < 0:
        return
    gap = "" if not at or file.text[at - 1] == "\n" else file.newline
    yield at, at, gap + file.newline.join(lines) + file.newline


def _key(key: str) -> str:
    return plain(key) or double(key)


def removals(file: File, place: tuple[str | int, ...]) -> Iterator[Edit]:
    if not place:
        raise CannotEdit("a whole file is not removed so")
    node, parent = file.at(place), file.at(place[:-1])
    begins = [one.start for one in (parent.keys.values() if parent.kind == "map" else parent.items)]
    at, end = next(n for n, one in enumerate(children(parent)) if one is node), file.end(node)
    if parent.style == "{":
        comma = re.compile(r"\s*,[ \t]*").match(file.text, end)
        if at:
            yield file.end(children(parent)[at - 1]), end, ""
        elif len(begins) > 1:
            yield begins[0], begins[1], ""
        yield begins[at], comma.end() if comma else end, ""
        return
    start = file.text.rfind("\n", 0, begins[at]) + 1
    stop = file.line_end(end)
    if stop >= 0 and not file.text[start : begins[at]].strip(" -?"):
        yield start, stop, ""
    if len(begins) > at + 1:  # the first entry of a mapping that is an item: the next one takes its place
        yield begins[at], begins[at + 1], ""
