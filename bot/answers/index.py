"""An inverted index with idf-weighted cosines, in numpy. Knows features and rows, nothing of articles.

Memory: 8 bytes a posting. Arrays are built once and only read afterwards, so any thread may search.
numpy is imported when the first index is built.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from bot.answers.words import Features

    Floats = NDArray[np.float32]
    Ints = NDArray[np.int32]


class Index:
    """Rows of features, each scaled to length one; `owners[row]` is the thing that the row speaks for."""

    def __init__(self, rows: Iterable[Features], owners: Ints, owner_count: int) -> None:
        import numpy as np

        self._columns: dict[str, int] = {}
        columns, counts, lengths = array("i"), array("f"), array("i")
        for features in rows:
            lengths.append(len(features))
            for feature, count in features.items():
                columns.append(self._columns.setdefault(feature, len(self._columns)))
                counts.append(count)
        self.row_count = len(lengths)
        column = np.frombuffer(columns, dtype=np.int32) if columns else np.zeros(0, np.int32)
        weight = np.frombuffer(counts, dtype=np.float32) if counts else np.zeros(0, np.float32)
        row = np.repeat(np.arange(self.row_count, dtype=np.int32), np.frombuffer(lengths, dtype=np.int32))
        held_by = np.bincount(column, minlength=len(self._columns))
        self._idf: Floats = (np.log((1 + self.row_count) / (1 + held_by)) + 1).astype(np.float32)
        self._unseen = math.log(1 + self.row_count) + 1
        self._idf_or_none: Floats = np.append(self._idf, np.float32(0))  # its last is asked for by features unseen
        weight = _damped(weight) * self._idf[column]
        norm = np.sqrt(np.bincount(row, weight**2, minlength=self.row_count))
        weight = (weight / np.maximum(norm, 1e-9)[row]).astype(np.float32)
        self.owner_norms_squared = _summed_norms(owners[row], column, weight, owner_count, len(self._columns))
        order = np.argsort(column, kind="stable")
        self._rows: Ints = row[order]
        self._weights: Floats = weight[order]
        self._starts = np.concatenate([[0], np.cumsum(held_by)])

    def similarities(self, query: Features) -> Floats:
        """The cosine of the query with every row, shape `(row_count,)`, each 0..1.

        Features that no row has count in the query's length: the less of it is known, the lower all cosines.
        """
        import numpy as np

        columns = np.fromiter((self._columns.get(one, -1) for one in query), np.int64, len(query))
        counts = np.fromiter(query.values(), np.float32, len(query))
        weights = _damped(counts) * np.where(columns < 0, self._unseen, self._idf_or_none[columns])
        length = math.sqrt(float(weights @ weights))
        known = columns >= 0
        columns, weights = columns[known], weights[known]
        if not len(columns):
            return np.zeros(self.row_count, np.float32)
        starts = self._starts[columns]
        sizes = self._starts[columns + 1] - starts
        ends = np.cumsum(sizes)
        at = np.arange(ends[-1]) + np.repeat(starts - ends + sizes, sizes)  # every posting of every column, in a row
        parts = self._weights[at] * np.repeat(weights / length, sizes)
        return np.bincount(self._rows[at], parts, minlength=self.row_count).astype(np.float32)


def _damped(counts: Floats) -> Floats:
    """Sublinear counts: the tenth mention says less than the first."""
    import numpy as np

    return np.where(counts < 1, counts, 1 + np.log(np.maximum(counts, 1))).astype(np.float32)


def _summed_norms(owners: Ints, columns: Ints, weights: Floats, owner_count: int, column_count: int) -> Floats:
    """The squared length of the sum of each owner's rows, shape `(owner_count,)`. `owners` must ascend.

    In slices of owners: sorting all cells at once would double the peak of memory.
    """
    import numpy as np

    width = max(column_count, 1)
    squared = np.zeros(owner_count, np.float32)
    for first in range(0, owner_count, 500):
        start, end = np.searchsorted(owners, [first, first + 500])
        key = (owners[start:end] - first).astype(np.int64) * width + columns[start:end]
        cells, cell_of = np.unique(key, return_inverse=True)
        sums = np.bincount(cell_of, weights[start:end], minlength=len(cells))
        slice_of = squared[first : first + 500]
        slice_of += np.bincount(cells // width, sums**2, minlength=len(slice_of)).astype(np.float32)
    return squared
