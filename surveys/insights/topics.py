"""What a case is about. Pure, but for numpy and SciPy, which are loaded when cases are compared.

Somebody's word goes first (a tag: an agent's, or a flow's `close: topic`), then the flow that the case went through, else the
group of cases that it is like. Grouping is hierarchical clustering with average linkage over cosines of TF-IDF vectors, the
ones with which articles are found (`bot/answers/index.py`): no seed, no number of groups to choose, and the same cases make
the same groups in whatever order they come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.answers.unanswered import content_lemmas
from bot.answers.words import base_locale
from bot.texts import is_rtl

APART = 0.8
"""Groups whose cases are on average further apart than this cosine distance are not joined."""
LEAST = 3
"""Cases that make a group."""
MOST = 2_000
"""Cases that are compared: their distances take 8 bytes a pair."""
HEADING = 4  # words


@dataclass(frozen=True, slots=True)
class Case:
    """`text` is what the customer asked first."""

    id: str
    customer_id: str
    text: str
    locale: str


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that are alike: `words` that most of them share, `example` the case most like all others."""

    words: tuple[str, ...]
    locale: str
    cases: tuple[str, ...]
    customers: int
    example: str

    @property
    def is_rtl(self) -> bool:
        return is_rtl(self.locale)

    @property
    def name(self) -> str:
        """Proposed as a topic; a person decides."""
        return " ".join(self.words)


def topic_of(tag: str | None, flow: str | None) -> str | None:
    """The topic under which a case is counted; None: nobody and no flow has said."""
    return tag or flow or None


def groups(cases: Sequence[Case]) -> list[Group]:
    """The groups of at least LEAST cases, the largest first. Languages are never mixed: they share no words."""
    by_locale: dict[str, list[Case]] = {}
    for one in sorted(cases, key=lambda one: one.id, reverse=True)[:MOST]:
        if content_lemmas(one.text, one.locale):
            by_locale.setdefault(base_locale(one.locale), []).append(one)
    found = [group for locale, own in sorted(by_locale.items()) for group in _of_locale(locale, own)]
    return sorted(found, key=lambda one: (-len(one.cases), one.locale, one.cases))


def _of_locale(locale: str, cases: list[Case]) -> list[Group]:
    cases.sort(key=lambda one: one.id)
    if len(cases) < LEAST:
        return []
    import numpy as np
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    from bot.answers.index import Index

    said = [dict.fromkeys(sorted(content_lemmas(one.text, one.locale)), 1.0) for one in cases]
    index = Index(said, np.arange(len(cases), dtype=np.int32), len(cases))
    alike = np.stack([index.similarities(one) for one in said]).astype(float)
    alike = (alike + alike.T) / 2  # the query's length rounds in another order than the row's
    apart = np.clip(1 - alike, 0, 1)
    np.fill_diagonal(apart, 0)
    labels = fcluster(linkage(squareform(np.round(apart, 6), checks=False), "average"), APART, "distance")
    members: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        members.setdefault(int(label), []).append(place)
    made = []
    for places in members.values():
        if len(places) >= LEAST:
            centre = max(places, key=lambda place: (float(alike[place, places].sum()), -place))
            made.append(_group(locale, [cases[place] for place in places], cases[centre]))
    return made


def _group(locale: str, cases: Sequence[Case], example: Case) -> Group:
    counted = Counter(lemma for one in cases for lemma in content_lemmas(one.text, one.locale))
    shared = sorted(
        (word for word, n in counted.items() if n * 2 >= len(cases)), key=lambda word: (-counted[word], word)
    )
    words = shared[:HEADING] or [word for word, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:2]]
    people = len({one.customer_id for one in cases})
    return Group(tuple(words), locale, tuple(one.id for one in cases), people, example.text)


def by_week(counts: Mapping[tuple[str, str], int], weeks: Sequence[str]) -> dict[str, list[int]]:
    """(topic, week) → cases, as a row of weeks for each topic, 0 where there were none."""
    names = sorted({topic for topic, _ in counts})
    return {topic: [counts.get((topic, week), 0) for week in weeks] for topic in names}
