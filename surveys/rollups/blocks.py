"""The facts of a day or of a month in columns, as bytes; and many of those as one table of columns. Pure; numpy is imported on
first use.

A block is a line of JSON (what follows), padded to eight bytes, then the columns one after another, little-endian: `at` in 64
bits; spans in single precision, NaN where missing; names as numbers into the block's own list of texts, 0 for none; all counts of
a fact together as one number into the block's own list of *kinds*; lists as (row, value) pairs. Only the columns that are asked
for are touched when it is read.

A year's million cases have some thousand kinds: how many of each kind a group has is counted once, and tells all its rates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from surveys.rollups.facts import COUNTS, LISTS, NAMES, OF_PEOPLE, SPANS, WHO, Fact

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]

FORMAT = 3
"""Of facts and blocks. A program that finds another number makes all of them anew."""
NOBODY = ""  # the text of name 0
KIND = "kind"
"""The column of kinds; its names are tuples, a number for each of the family's COUNTS."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one family: all of the same length, but for `lists`, which are (row, value).

    `names[column]` are the texts that the numbers in `codes[column]` stand for; 0 is none.
    """

    family: str
    n: int
    at: Array
    codes: Mapping[str, Array] = field(default_factory=dict)
    names: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    numbers: Mapping[str, Array] = field(default_factory=dict)
    lists: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)

    def counts_of_kinds(self) -> Array:
        """How much each kind counts: shape `(kinds, COUNTS of the family)`."""
        import numpy as np

        return np.array(self.names[KIND], dtype=np.int64).reshape(len(self.names[KIND]), len(COUNTS[self.family]))

    def count(self, name: str) -> Array:
        """A column of counts, row by row."""
        counts: Array = self.counts_of_kinds()[:, COUNTS[self.family].index(name)][self.codes[KIND]]
        return counts

    @property
    def size(self) -> int:
        """Bytes."""
        columns = (self.at, *self.codes.values(), *self.numbers.values())
        return sum(one.nbytes for one in columns) + sum(one.nbytes for pair in self.lists.values() for one in pair)


def of(family: str, facts: Sequence[Fact], wanted: Collection[str] | None = None) -> Table:
    """These facts as a table; of names, spans and lists only those `wanted` (None: all)."""
    import numpy as np

    def is_wanted(name: str) -> bool:
        return wanted is None or name in wanted

    codes: dict[str, Array] = {}
    names: dict[str, list[Any]] = {}

    def number(name: str, none: Any, values: Iterable[Any]) -> None:
        known = {none: 0}
        codes[name] = _narrow(np.array([known.setdefault(one, len(known)) for one in values], dtype=np.int64), known)
        names[name] = list(known)

    counted = COUNTS[family]
    number(KIND, (0,) * len(counted), (tuple(one.get(name, 0) for name in counted) for one in facts))
    for name in filter(is_wanted, NAMES[family]):
        number(name, NOBODY, (one.get(name) or NOBODY for one in facts))
    lists = {}
    for name in filter(is_wanted, LISTS.get(family, ())):
        rows = [row for row, one in enumerate(facts) for _ in one.get(name, ())]
        values = [value for one in facts for value in one.get(name, ())]
        lists[name] = np.array(rows, dtype=np.uint32), np.array(values, dtype=np.float32)
    numbers = {
        name: np.array([one.get(name, np.nan) for one in facts], dtype=np.float32)
        for name in filter(is_wanted, SPANS[family])
    }
    if family in OF_PEOPLE and is_wanted(WHO):
        numbers[WHO] = np.array([one.get(WHO, 0) for one in facts], dtype=np.int64)
    at = np.array([one["at"] for one in facts], dtype=np.int64)
    return Table(family, len(facts), at, codes, names, numbers, lists)


def _narrow(codes: Array, names: Collection[Any]) -> Array:
    """In as few bytes as hold them."""
    import numpy as np

    return codes.astype(np.min_scalar_type(max(0, len(names) - 1)), copy=False)


def pack(table: Table) -> bytes:
    """A table as a block."""
    columns: list[tuple[str, str, Array]] = [("at", "at", table.at)]
    columns += [("code", name, _narrow(codes, table.names[name])) for name, codes in table.codes.items()]
    columns += [("number", name, numbers) for name, numbers in table.numbers.items()]
    for name, (rows, values) in table.lists.items():
        columns += [("rows", name, rows.astype("<u4", copy=False)), ("list", name, values)]
    little = [(kind, name, column.astype(column.dtype.newbyteorder("<"), copy=False)) for kind, name, column in columns]
    layout = [(kind, name, column.dtype.str, len(column)) for kind, name, column in little]
    names = {name: list(texts) for name, texts in table.names.items()}
    head = orjson.dumps({"format": FORMAT, "n": table.n, "names": names, "columns": layout}) + b"\n"
    head += b" " * (-len(head) % 8)
    parts = (column.tobytes() for _, _, column in little)
    return head + b"".join(part + b"\0" * (-len(part) % 8) for part in parts)


def unpack(family: str, block: bytes, wanted: Collection[str] | None = None) -> Table:
    """What `pack` made, of names, spans and lists only those `wanted` (None: all). The columns are the block's own bytes."""
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
        if kind == "at" or name == KIND or wanted is None or name in wanted:
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
    names = {name: head["names"][name] for name in codes}
    names[KIND] = [tuple(one) for one in names[KIND]]
    return Table(family, head["n"], at, codes, names, numbers, lists)


class Numbering:
    """One list of names for many tables, so that they can be joined without a look at each row. It only ever grows."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[Any, int]] = {}
        self._texts: dict[tuple[str, str], list[Any]] = {}

    def renamed(self, table: Table) -> Table:
        """The same table, its names numbered as all others here are. Not for two threads at once."""
        import numpy as np

        codes: dict[str, Array] = {}
        names: dict[str, Sequence[Any]] = {}
        for column, old in table.codes.items():
            of_column = (table.family, column)
            known = self._known.setdefault(of_column, {})
            texts = self._texts.setdefault(of_column, [])
            for text in table.names[column]:
                if text not in known:
                    known[text] = len(texts)
                    texts.append(text)
            there = np.array([known[text] for text in table.names[column]], dtype=np.int64)
            codes[column], names[column] = _narrow(there, texts)[old], texts
        return replace(table, codes=codes, names=names)


def join(family: str, tables: Iterable[Table], wanted: Collection[str] | None = None) -> Table:
    """Many tables as one, of names, spans and lists only those `wanted`; names that are the same become the same number."""
    import numpy as np

    parts = [part for part in tables if part.n] or [of(family, (), wanted)]
    if any(part.names[column] is not parts[0].names[column] for part in parts for column in parts[0].codes):
        numbering = Numbering()
        parts = [numbering.renamed(part) for part in parts]

    def together(columns: Iterable[Array]) -> Array:
        every = list(columns)
        return every[0] if len(every) == 1 else np.concatenate(every)

    def is_wanted(name: str) -> bool:
        return wanted is None or name in wanted

    starts = np.cumsum([0, *(part.n for part in parts)])
    codes = [name for name in parts[0].codes if name == KIND or is_wanted(name)]
    return Table(
        family,
        int(starts[-1]),
        together(part.at for part in parts),
        {name: together(part.codes[name] for part in parts) for name in codes},
        {name: parts[0].names[name] for name in codes},
        {name: together(part.numbers[name] for part in parts) for name in parts[0].numbers if is_wanted(name)},
        {
            name: (
                together(
                    part.lists[name][0].astype(np.int64) + start for part, start in zip(parts, starts, strict=False)
                ),
                together(part.lists[name][1] for part in parts),
            )
            for name in parts[0].lists
            if is_wanted(name)
        },
    )


def taken(table: Table, rows: Array) -> Table:
    """These rows (their numbers) of a table, also more than once."""
    import numpy as np

    lists = {}
    for column, (row, value) in table.lists.items():
        first, last = np.searchsorted(row, rows, "left"), np.searchsorted(row, rows, "right")
        many = last - first
        ends = np.cumsum(many)
        places = np.arange(int(many.sum())) + np.repeat(first - ends + many, many)
        lists[column] = (np.repeat(np.arange(len(rows)), many), value[places])
    return replace(
        table,
        n=len(rows),
        at=table.at[rows],
        codes={name: column[rows] for name, column in table.codes.items()},
        numbers={name: column[rows] for name, column in table.numbers.items()},
        lists=lists,
    )


def only(table: Table, kept: np.ndarray) -> Table:
    """Those rows (a mask) of a table."""
    import numpy as np

    rows = np.flatnonzero(kept)
    if len(rows) == table.n:
        return table
    lists = {}
    if table.lists:
        new_place = np.cumsum(kept) - 1
        for column, (row, value) in table.lists.items():
            there = np.flatnonzero(kept[row])
            lists[column] = (new_place[row[there]], value[there])
    return Table(
        table.family,
        len(rows),
        table.at[rows],
        {column: codes[rows] for column, codes in table.codes.items()},
        table.names,
        {column: numbers[rows] for column, numbers in table.numbers.items()},
        lists,
    )
