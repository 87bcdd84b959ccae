"""PostgreSQL: all that waits to be written goes in by one statement, so by one round trip.

    WITH p0 AS (INSERT INTO messages (…) SELECT v.c0, … FROM unnest($1::VARCHAR[], …) AS v(c0, …)),
         p1 AS (INSERT INTO timeline …)
    UPDATE conversations SET last_seq=v.c0 FROM unnest($30::INTEGER[], …) AS v(c0, …) WHERE customer_id = v.c1

A turn writes into some eight tables. One after the other that is eight times the way to the server and back, and each row is a
statement of its own there; here a column of all rows is one array, which gives them in its order (the outbox counts by it).

All parts see what was there before the statement, and none sees what another one writes: so no row may be for two of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

FEW = 2  # with fewer parts there is nothing to be gained
_PLACE = re.compile(r"\$(\d+)(?:::(TIMESTAMP WITH TIME ZONE|DOUBLE PRECISION|[A-Z]+))?")
_INSERT = re.compile(r"(INSERT INTO (\w+) \([^()]+\)) VALUES \(([^()]+)\)(.*)", re.DOTALL)
_UPDATE = re.compile(r"(UPDATE (\w+) SET [^()]+?) WHERE ([^()]+)", re.DOTALL)

Rows = Sequence[Sequence[Any]]


def as_one(parts: Sequence[tuple[str, Rows]]) -> tuple[str, list[tuple[Any, ...]]] | None:
    """The statement that does what these do, each for all of its rows, and its arguments; None where it takes several.

    Each is an INSERT … VALUES or an UPDATE … WHERE as SQLAlchemy says it to asyncpg, every value with its type: `$1::VARCHAR`.
    Updates of one table are of different rows.
    """
    parts = sorted(parts, key=lambda part: part[0])  # the fewer statements there are, the fewer have to be planned
    whole = _whole(tuple(sql for sql, _ in parts)) if len(parts) >= FEW else None
    if whole is None:
        return None
    return whole, [column for _, rows in parts for column in zip(*rows, strict=True)]


@lru_cache(maxsize=512)
def _whole(statements: tuple[str, ...]) -> str | None:
    said, tables, before = list[str](), {"INSERT": set[str](), "UPDATE": set[str]()}, 0
    for sql in statements:
        part = _part(sql, before)
        if part is None:
            return None
        table, text, width = part
        tables[sql[:6]].add(table)
        said.append(text)
        before += width
    if not tables["INSERT"].isdisjoint(tables["UPDATE"]):
        return None
    *first, last = said
    return f"WITH {', '.join(f'p{place} AS ({text})' for place, text in enumerate(first))} {last}"


def _part(sql: str, before: int) -> tuple[str, str, int] | None:
    """Its table, the statement for arrays, and for how many; `before` it stand so many parameters."""
    kinds: dict[int, str] = {int(number): kind for number, kind in _PLACE.findall(sql)}
    if not all(kinds.values()) or sorted(kinds) != list(range(1, len(kinds) + 1)):
        return None
    arrays = ", ".join(f"${before + number}::{kinds[number]}[]" for number in sorted(kinds))
    given = f"FROM unnest({arrays}) AS v({', '.join(f'c{number}' for number in sorted(kinds))})"
    if (found := _INSERT.fullmatch(sql)) is not None:
        into, table, values, rest = found.groups()
        return table, f"{into} SELECT {_columns(values)} {given}{rest}", len(kinds)
    if (found := _UPDATE.fullmatch(sql)) is not None:
        change, table, where = found.groups()
        return table, f"{_columns(change)} {given} WHERE {_columns(where)}", len(kinds)
    return None


def _columns(sql: str) -> str:
    return _PLACE.sub(r"v.c\1", sql)
