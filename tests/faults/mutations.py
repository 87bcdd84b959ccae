"""Payloads gone wrong: a good one, with something in it replaced, cut, doubled, blown up, or not even JSON any more. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**400, -0.0, 1e308, float("inf"),
    float("nan"), 0.1, "", " ", "0", "-1", "null", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "\u202egnp.exe", "\u200b",
    "\ufeff", "\U000e0041\U000e007f", "x" * 300, "x" * 70_000, "\N{SMILING FACE WITH OPEN MOUTH}" * 5_000, "\n" * 20_000,
    "9" * 5_000, "١٢٣", "<script>alert(1)</script>", "<!channel> <@U1> <#C1|x>", "'; DROP TABLE messages; --", "%n%s%d",
    "{{slots.x}} {x.__class__}", "../../etc/passwd", "file:///etc/passwd", "javascript:alert(1)", "http://169.254.169.254/",
    "__proto__", "2026-13-45T99:99:99Z", "00000000-0000-0000-0000-000000000000", [], {}, [[]], [None], {"": None}, [{}] * 50,
    list(range(1_000)), ["x"] * 10_000, {str(n): n for n in range(1_000)}, {"id": {"id": {"id": []}}},
)  # fmt: skip
SCRAPS = (
    b"", b"\x00", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"{", b"}", b"[", b'"', b"\\", b"\\u0000",
    b"\\ud800", b"NaN", b"1e999", b",", b":", b"null", b"\r\n\r\n", b"' OR 1=1", b"-", b"9" * 400,
)  # fmt: skip
IN_A_PATH = (
    "..", "%00", "%ff", "x" * 3000, "-1", "1e9", "%F0%9F%98%80", "%ED%A0%80", "null", "a/b", "9" * 20,
)  # fmt: skip
"""What may stand in an address where an id should."""
DEEP = 100_000


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in it."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


def mutated(good: Any, chance: Random) -> Any:
    """The value with one to four things in it gone wrong."""
    made = deepcopy(good)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        found = list(places(made))
        if not found:
            return deepcopy(chance.choice(NASTY))
        inside, key = chance.choice(found)
        match chance.randrange(8):
            case 0:
                del inside[key]
            case 1:
                inside[key] = [inside[key]]
            case 2:
                inside[key] = {"id": inside[key]}
            case 3:
                other, there = chance.choice(found)
                inside[key] = (
                    deepcopy(other[there])
                    if there in other or (isinstance(other, list) and there < len(other))
                    else None
                )
            case 4 if isinstance(inside, dict):
                inside[str(chance.choice(("id", "type", "text", "", "x" * 300, "\x00", "from", "event")))] = inside[key]
            case _:
                inside[key] = deepcopy(chance.choice(NASTY))
    return made


def as_bytes(value: Any, chance: Random) -> bytes:
    """As JSON; what Python can write and no standard allows is among it."""
    if chance.random() < 0.5:
        return json.dumps(value).encode()
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def scrambled(raw: bytes, chance: Random) -> bytes:
    """Not a matter of JSON any more: bytes lost, doubled, changed, put in; or a tower of brackets."""
    at = chance.randrange(len(raw) + 1)
    to = min(len(raw), at + chance.randrange(1, 60))
    match chance.randrange(9):
        case 0:
            return raw[:at]
        case 1:
            return raw[at:]
        case 2:
            return raw[:at] + raw[to:]
        case 3:
            return raw[:at] + raw[at:to] * 3 + raw[to:]
        case 4:
            return raw[:at] + bytes(chance.randrange(256) for _ in range(to - at)) + raw[to:]
        case 5 if chance.random() < 0.1:
            return chance.choice((b"[", b'{"a":', b'[{"":')) * DEEP
        case 6 if chance.random() < 0.1:
            return raw[:at] + b"x" * chance.choice((70_000, 1_100_000)) + raw[at:]
        case _:
            return raw[:at] + chance.choice(SCRAPS) + raw[at:]


def payloads(good: list[Any], chance: Random, count: int) -> Iterator[bytes]:
    """So many bodies; one in three is not even JSON, or only by luck."""
    for _ in range(count):
        raw = as_bytes(mutated(chance.choice(good), chance), chance)
        yield scrambled(raw, chance) if chance.random() < 0.35 else raw
