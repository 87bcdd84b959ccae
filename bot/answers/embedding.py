"""A model that turns texts into vectors, as a plug-in; none is shipped, and without one nothing here costs anything.

A plug-in is a package with an entry point of the group `stafett.embedder`:

    [project.entry-points."stafett.embedder"]
    mine = "my_package:MyEmbedder"          # called without arguments, once

What it gives is joined with the search's own score (`knowledge`), so set the thresholds again: `stafett kb calibrate`.
It is asked in a thread while articles are indexed, and once for every question inside a turn: keep that under 30 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Protocol, Self

import structlog

from bot.errors import SettingsFault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = structlog.get_logger()
GROUP = "stafett.embedder"
SHARE = 0.4
"""Of the vectors in the joint score. The rest is the search's own, which knows what the model has never seen."""


class Embedder(Protocol):
    """`floor` is the cosine of two texts that have nothing to do with each other: 0 for some models, 0.8 for others."""

    @property
    def floor(self) -> float: ...

    def embed(self, texts: Sequence[str], *, is_question: bool) -> Sequence[Sequence[float]]:
        """One vector a text, all of one length. `is_question`: a customer's words, else an article's."""


FindEmbedder = Callable[[], "Embedder | None"]
"""Asked when articles are first indexed, in a thread: making a model may take seconds."""


def installed() -> Embedder | None:
    """The embedder that is installed, made anew; None without one. Raises SettingsFault: several, or it cannot be made."""
    found = sorted(entry_points(group=GROUP), key=lambda one: one.name)
    if not found:
        return None
    if len(found) > 1:
        names = ", ".join(one.name for one in found)
        msg = f"several packages bring a {GROUP}: {names}; uninstall all but one"
        raise SettingsFault(msg)
    try:
        made: Embedder = found[0].load()()
    except Exception as error:
        msg = f"the {GROUP} {found[0].name} ({found[0].value}) cannot be made: {type(error).__name__}: {error}"
        raise SettingsFault(msg) from error
    return made


@cache
def installed_or_none() -> Embedder | None:
    """As `installed`, once a process. A plug-in that does not work is told in the log; the search goes on without."""
    try:
        return installed()
    except SettingsFault as fault:
        log.error("embedder", fault=str(fault))  # noqa: TRY400 - one line; the cause stands in it
        return None


class Vectors:
    """Texts of articles as unit vectors, and how near a question is to each: 0 at the embedder's floor, 1 for the same."""

    def __init__(self, embedder: Embedder, texts: Sequence[str]) -> None:
        self._embedder = embedder
        self._rows = _units(embedder.embed(texts, is_question=False)) if texts else None

    @classmethod
    def of(cls, embedder: Embedder | None, texts: Sequence[str]) -> Self | None:
        """None without an embedder, and where it fails: the search's own score is enough to answer."""
        try:
            return None if embedder is None else cls(embedder, texts)
        except Exception as error:  # noqa: BLE001 - it is somebody else's code
            log.warning("embedder failed", texts=len(texts), error=repr(error)[:500])
            return None

    def near(self, question: str) -> NDArray[np.float32] | None:
        """One value a text; None where there are no texts, or the embedder fails."""
        import numpy as np

        if self._rows is None:
            return None
        try:
            asked = _units(self._embedder.embed([question], is_question=True))[0]
        except Exception as error:  # noqa: BLE001 - it is somebody else's code
            log.warning("embedder failed", texts=1, error=repr(error)[:500])
            return None
        floor = min(self._embedder.floor, 0.99)
        found: NDArray[np.float32] = np.clip((self._rows @ asked - floor) / (1 - floor), 0, 1).astype(np.float32)
        return found


def _units(vectors: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    import numpy as np

    made = np.asarray(vectors, dtype=np.float32)
    lengths = np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)
    units: NDArray[np.float32] = (made / lengths).astype(np.float32)
    return units
