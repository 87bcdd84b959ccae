"""A model that turns texts into vectors, as a plug-in; none is shipped, and without one nothing here costs anything.

A plug-in is a package with an entry point of the group `stafett.embedder`:

    [project.entry-points."stafett.embedder"]
    mine = "my_package:MyEmbedder"          # called without arguments, once

What it gives is joined with the search's own score (`knowledge`), so set the thresholds again: `stafett kb calibrate`.
It is asked in a thread, while articles are indexed and once for every question: the customer waits for it, nobody else does.
`stafett doctor` tells whether it works.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
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


REMEMBERED = 500
"""Questions whose vectors are kept: each is searched for in several languages, and again after "no, that did not help"."""


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


class Questions:
    """What an embedder made of the questions that were lately asked. `ahead`: it is never asked while somebody searches."""

    def __init__(self, find: FindEmbedder, *, ahead: bool = False) -> None:
        self._find, self._ahead = find, ahead
        self._known: OrderedDict[str, NDArray[np.float32] | None] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def embedder(self) -> Embedder | None:
        return self._find()

    def knows(self, question: str) -> bool:
        """Whether the embedder has seen it."""
        with self._lock:
            return question in self._known

    def ask(self, question: str) -> None:
        """Have it seen by the embedder. One that fails is not asked again for it: the search goes on without."""
        if self.knows(question):
            return
        found = None
        embedder = self.embedder
        try:
            found = None if embedder is None else _units(embedder.embed([question], is_question=True))[0]
        except Exception as error:  # noqa: BLE001 - it is somebody else's code
            log.warning("embedder failed", texts=1, error=repr(error)[:500])
        with self._lock:
            self._known[question] = found
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def vector(self, question: str) -> NDArray[np.float32] | None:
        """None where there is none: no embedder, it failed, or nobody asked it ahead."""
        if not self._ahead:
            self.ask(question)
        with self._lock:
            return self._known.get(question)


class Vectors:
    """Texts of articles as unit vectors, and how near a question is to each: 0 at the embedder's floor, 1 for the same."""

    def __init__(self, questions: Questions, embedder: Embedder, texts: Sequence[str]) -> None:
        self._questions = questions
        self._rows = _units(embedder.embed(texts, is_question=False)) if texts else None
        self._floor = min(float(embedder.floor), 0.99)

    @classmethod
    def of(cls, questions: Questions, texts: Sequence[str]) -> Self | None:
        """None without an embedder, and where it fails: the search's own score is enough to answer."""
        try:
            embedder = questions.embedder
            return None if embedder is None else cls(questions, embedder, texts)
        except Exception as error:  # noqa: BLE001 - it is somebody else's code
            log.warning("embedder failed", texts=len(texts), error=repr(error)[:500])
            return None

    def near(self, question: str) -> NDArray[np.float32] | None:
        """One value a text; None where there are no texts, or the embedder has nothing to say to the question."""
        import numpy as np

        asked = None if self._rows is None else self._questions.vector(question)
        if self._rows is None or asked is None or asked.shape != self._rows.shape[1:]:
            return None
        found: NDArray[np.float32] = np.clip((self._rows @ asked - self._floor) / (1 - self._floor), 0, 1)
        return found.astype(np.float32)


def trial() -> str:
    """What is wrong with the installed embedder, in a line; "" where it works, or there is none. It is asked for two vectors."""
    try:
        embedder = installed()
    except SettingsFault as fault:
        return str(fault)
    if embedder is None:
        return ""
    try:
        article = _units(embedder.embed(["where is my parcel"], is_question=False))
        asked = _units(embedder.embed(["where is my parcel"], is_question=True))
        floor = float(embedder.floor)
    except Exception as error:  # noqa: BLE001 - it is somebody else's code
        return f"the {GROUP} fails: {type(error).__name__}: {str(error)[:200]}"
    if article.shape != asked.shape or article.ndim != 2 or not article.shape[1]:
        return f"the {GROUP} gives vectors of shape {article.shape} for an article and {asked.shape} for a question"
    return "" if -1 <= floor < 1 else f"the {GROUP} says its floor is {floor}; it must be from -1 to below 1"


def _units(vectors: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    import numpy as np

    made = np.asarray(vectors, dtype=np.float32)
    lengths = np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)
    units: NDArray[np.float32] = (made / lengths).astype(np.float32)
    return units
