"""Another name for a flow, everywhere where it is named: its own file, who runs it, the desk's interrupts, tests. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bot.flows.source import Faults, Node, read

NAMES_A_FLOW = ("run", "flow")
"""Keys whose plain value is a flow's id."""


def renamed(files: Mapping[str, str], path: str, target: str, old: str, new: str) -> dict[str, str | None]:
    """The files that change, None for the one that goes. Every other byte of each stays."""
    changed: dict[str, str | None] = {}
    for one, text in files.items():
        written = replaced(text, old, new)
        if one == path:
            changed[path], changed[target] = None, written
        elif written != text:
            changed[one] = written
    return changed


def replaced(text: str, old: str, new: str) -> str:
    """`text` with the flow's name replaced wherever one of NAMES_A_FLOW has it as its value."""
    root = read("", text, Faults())
    if root is None:
        return text
    lines = text.split("\n")
    places = sorted({(node.line, node.column) for node in _named(root, old)}, reverse=True)
    for line, column in places:
        row = lines[line - 1]
        at = row.find(old, column - 1)
        if 0 <= at - (column - 1) <= 1:  # quotes stay around it
            lines[line - 1] = row[:at] + new + row[at + len(old) :]
    return "\n".join(lines)


def _named(node: Node, old: str) -> Iterator[Node]:
    for key, value in node.entries.items():
        if key in NAMES_A_FLOW and value.kind == "scalar" and value.raw == old:
            yield value
        yield from _named(value, old)
    for one in node.items:
        yield from _named(one, old)
