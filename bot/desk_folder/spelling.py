"""A text as YAML writes it, in the style that stood there before where that can hold it. Pure.

Each function gives a proposal or None: whoever splices it into a file reads the file again before believing it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.flows.source import Node, scalar

_HEADER = re.compile(r"[|>][-+0-9]*(?P<comment>[ \t]+#[^\r\n]*)?")
_SAFE_START = re.compile(r"[^\s\-?:,\[\]{}#&*!|>'\"%@`=~]")
_NEEDS_QUOTES = re.compile(r"[\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff]|: |:$| #|[,\[\]{}]|\s$")
_SWITCHES = {"yes", "no", "on", "off", "y", "n"}  # texts to us, truth values to older readers of YAML
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
# What a file must not hold as it is, and marks of direction, which in a file would stand there unseen.
_HIDDEN = re.compile(
    '[\\\\"\x00-\x1f\x7f-\x9f\xa0\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]'
)


def spellings(value: str, before: Node, text: str, base: int, newline: str) -> Iterator[str]:
    """`value` as it could stand in place of the scalar `before`, the likeliest first; the last one can hold any text.

    `text` is the file, `newline` its own; `base` the column of the mapping or list around the scalar.
    """
    if before.style in {"|", ">"}:
        header, _, below = text[before.start : before.end].replace("\r\n", "\n").partition("\n")
        found = _HEADER.match(header)
        comment = (found["comment"] or "") if found else ""
        first = next((line for line in below.split("\n") if line.strip()), "")
        inner = max(len(first) - len(first.lstrip(" ")) - base, 0) or 2
        for mark in (">", "|") if before.style == ">" else ("|",):
            yield from _block(value, mark + comment, base, inner, newline)
    if before.style == "'" and (one := single(value)) is not None:
        yield one
    if before.style == "" and (one := plain(value)) is not None:
        yield one
    yield double(value)


def plain(value: str) -> str | None:
    """Without quotes, where nobody could take it for anything but this text."""
    if not _SAFE_START.match(value) or _NEEDS_QUOTES.search(value) or _HIDDEN.search(value.replace("\xa0", "")):
        return None
    return value if isinstance(scalar(value), str) and value.casefold() not in _SWITCHES else None


def single(value: str) -> str | None:
    return None if _HIDDEN.search(value.replace('"', "").replace("\\", "")) else "'" + value.replace("'", "''") + "'"


def double(value: str) -> str:
    """Any text on one line."""
    return f'"{_HIDDEN.sub(_escaped, value)}"'


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    return _ESCAPES.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}")


def _block(value: str, header: str, base: int, inner: int, newline: str) -> Iterator[str]:
    """A block whose lines go in by `base + inner`, without its last line's break, which stays the file's."""
    body = value.rstrip("\n")
    ends = len(value) - len(body)
    if not value.strip() or ends > 1 or inner > 9 or _HIDDEN.search(re.sub(r'[\\"\n\t]', "", value)):
        return  # more than one break at the end would take in what blank lines follow: quotes are plainer
    lines = body.split("\n")
    width = str(inner) if lines[0][:1] in {" ", "\t", ""} else ""
    if header[0] == ">":
        lines = [one for line in lines for one in (line, "")][:-1]
    written = [f"{' ' * (base + inner)}{line}" if line else "" for line in lines]
    yield f"{header[0]}{width}{'' if ends else '-'}{header[1:]}{newline}" + newline.join(written)
