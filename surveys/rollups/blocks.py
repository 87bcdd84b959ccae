"""The facts of a day in columns, as bytes; and many days as one table of columns. Pure; numpy is imported on first use.

A block is a line of JSON (what follows, as `Head`), padded to eight bytes, then the columns one after another, little-endian:
`at` in 64 bits; spans in single precision, NaN where missing; names as numbers into the block's own list of texts, 0 for none;
counts in 16 bits; lists as (row, value) pairs. Only the columns that are asked for are touched when it is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from surveys.rollups.facts import COUNTS, LISTS, NAMES, SPANS, Fact

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]

FORMAT = 1
"""Of facts and blocks. A program that finds another number makes all of them anew."""
NOBODY = ""  # the text of name 0


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one family: all of the same length, but for `lists`, which are (row, value).

    `names[column]` are the texts that the numbers in `codes[column]` stand for; 0 is none.
    """

    n: int
    at: Array
    codes: Mapping[str, Array] = field(default_factory=dict)
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numbers: Mapping[str, Array] = field(default_factory=dict)
    lists: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)


def pack(family: str, facts: Sequence[Fact]) -> bytes:
    """A day's block."""
    import numpy as np

    columns: list[tuple[str, str, Array]] = [("at", "at", np.array([one["at"] for one in facts], dtype="<i8"))]
    names: dict[str, list[str]] = {}
    for name in SPANS[family]:
        spans = [one.get(name, np.nan) for one in facts]
        columns.append(("number", name, np.array(spans, dtype="<f4")))
    for name in LISTS.get(family, ()):
        rows = [row for row, one in enumerate(facts) for _ in one.get(name, ())]
        columns.append(("rows", name, np.array(rows, dtype="<u4")))
        columns.append(("list", name, np.array([value for one in facts for value in one.get(name, ())], dtype="<f4")))
    for name in NAMES[family]:
        known = {NOBODY: 0}
        codes = [known.setdefault(one.get(name) or NOBODY, len(known)) for one in facts]
        names[name] = list(known)
        columns.append(("code", name, np.array(codes, dtype="<u2" if len(known) <= 65535 else "<u4")))
    for name in COUNTS[family]:
        counts = [min(one.get(name, 0), 65535) for one in facts]
        columns.append(("number", name, np.array(counts, dtype="<u2")))
    layout = [(kind, name, column.dtype.str, len(column)) for kind, name, column in columns]
    head = orjson.dumps({"format": FORMAT, "n": len(facts), "names": names, "columns": layout}) + b"\n"
    head += b" " * (-len(head) % 8)
    parts = (column.tobytes() for _, _, column in columns)
    return head + b"".join(part + b"\0" * (-len(part) % 8) for part in parts)


def unpack(block: bytes, wanted: Collection[str] | None = None) -> Table:
    """What `pack` made; of names, spans, counts and lists only those `wanted` (None: all)."""
    import numpy as np

    end = block.index(b"\n") + 1
    head = orjson.loads(block[:end])
    place = end + -end % 8
    at = np.zeros(0, dtype="<i8")
    codes: dict[str, Array] = {}
    numbers: dict[str, Array] = {}
    lists: dict[str, tuple[Array, Array]] = {}
    rows: dict[str, Array] = {}
    for kind, name, dtype, count in head["columns"]:
        size = np.dtype(dtype).itemsize * count
        if kind == "at" or wanted is None or name in wanted:
            column = np.frombuffer(block, dtype=dtype, count=count, offset=place)
            if kind == "at":
                at = column
            elif kind == "code":
                codes[name] = column
            elif kind == "rows":
                rows[name] = column
            elif kind == "list":
                lists[name] = (rows[name], column)
            else:
                numbers[name] = column
        place += size + -size % 8
    return Table(head["n"], at, codes, {name: head["names"][name] for name in codes}, numbers, lists)


def of(family: str, facts: Sequence[Fact], wanted: Collection[str] | None = None) -> Table:
    """These facts as a table."""
    return unpack(pack(family, facts), wanted)


def join(family: str, tables: Iterable[Table]) -> Table:
    """Many days as one table; names that are the same text become the same number."""
    import numpy as np

    parts = list(tables) or [of(family, ())]
    starts = np.cumsum([0, *(part.n for part in parts)])
    codes, names = {}, {}
    for column in parts[0].codes:
        known = {NOBODY: 0}
        renamed = []
        for part in parts:
            there = [known.setdefault(text, len(known)) for text in part.names[column]]
            renamed.append(np.array(there, dtype=np.int32)[part.codes[column]])
        codes[column], names[column] = np.concatenate(renamed), list(known)
    return Table(
        int(starts[-1]),
        np.concatenate([part.at for part in parts]),
        codes,
        names,
        {column: np.concatenate([part.numbers[column] for part in parts]) for column in parts[0].numbers},
        {
            column: (
                np.concatenate(
                    [part.lists[column][0].astype(np.int64) + start for part, start in zip(parts, starts, strict=False)]
                ),
                np.concatenate([part.lists[column][1] for part in parts]),
            )
            for column in parts[0].lists
        },
    )


def only(table: Table, rows: np.ndarray) -> Table:
    """Those rows (a mask) of a table."""
    import numpy as np

    if bool(rows.all()):
        return table
    new_place = np.cumsum(rows) - 1
    lists = {}
    for column, (row, value) in table.lists.items():
        kept = rows[row]
        lists[column] = (new_place[row[kept]], value[kept])
    return Table(
        int(rows.sum()),
        table.at[rows],
        {column: codes[rows] for column, codes in table.codes.items()},
        table.names,
        {column: numbers[rows] for column, numbers in table.numbers.items()},
        lists,
    )
