"""Blocks that were read before, kept in memory: days that are over seldom change, and every report reads all of them.

A block has a name of its own (`made`), and another one whenever it is made again: what lies here under a name holds for ever. So
nothing has to be taken away but for want of room, and it does not matter on which node a block was made, or in which database.

All tables here have their names numbered alike, so that a year is put together without a look at each row. The numbering only
grows: by an agent, a topic, a step at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final

from surveys.rollups.blocks import Numbering, Table, unpack

MOST: Final = 256 * 2**20
"""Bytes of tables: some three million cases with what was asked about them."""


class Shelf:
    """For several threads at once. `most` bytes; what was used longest ago goes first."""

    def __init__(self, most: int = MOST) -> None:
        self._most, self._held = most, 0
        self._tables: OrderedDict[str, Table] = OrderedDict()
        self._numbering = Numbering()
        self._lock = Lock()

    def take(
        self, family: str, names: Sequence[str], read: Callable[[Sequence[str]], Mapping[str, bytes]]
    ) -> list[Table]:
        """The tables of these blocks, in their order; `read` brings those that are not here yet."""
        with self._lock:
            found = {name: self._tables[name] for name in names if name in self._tables}
            for name in found:
                self._tables.move_to_end(name)
        missing = [name for name in names if name not in found]
        for name, block in read(missing).items() if missing else ():
            found[name] = self._put(name, unpack(family, block))
        return [found[name] for name in names]

    def numbered(self, table: Table) -> Table:
        """A table that is not kept, numbered as those that are."""
        with self._lock:
            return self._numbering.renamed(table)

    def _put(self, name: str, table: Table) -> Table:
        with self._lock:
            kept = self._numbering.renamed(table)
            if name not in self._tables:
                self._tables[name] = kept
                self._held += kept.size
            while self._held > self._most and self._tables:
                self._held -= self._tables.popitem(last=False)[1].size
            return kept
