"""Who may leave: a guess from what the house sees, and called risk wherever it is shown. Pure.

Its signs: opted out, a bad score last, the last case unsolved, three contacts on one topic, silence after a bad case. Everybody
is looked at, in columns: half a million cases take a fifth of a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from surveys.rollups.facts import micros

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

SILENCE = timedelta(days=90)
"""Without a word after a bad case."""
SAME_TOPIC = 3
"""Contacts on one topic within SAME_TOPIC_WITHIN."""
SAME_TOPIC_WITHIN = timedelta(days=90)
BAD_OUTCOMES = frozenset({"no_solution", "abandoned"})
NOT_SCORED = -1


class Sign(StrEnum):
    """Why somebody is at risk."""

    OPTED_OUT = "opted_out"
    DETRACTOR = "detractor"
    UNSOLVED = "unsolved"
    SAME_TOPIC = "same_topic"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Numbered:
    """Whose each row is: `people` are customers' numbers, once each, ascending; `of[row]` is a place among them; `order` are the
    rows by those places, each customer's in the order in which they stand.
    """

    people: Array
    of: Array
    order: Array


@dataclass(frozen=True, slots=True)
class Contacts:
    """Cases in the order of their opening `at` (µs), as columns. `topic` is 0 where there is none, `detractor` 1 or 0,
    NOT_SCORED where nobody answered; `said` when the customer last wrote (µs).
    """

    who: Numbered
    at: Array
    topic: Array
    unsolved: Array
    detractor: Array
    said: Array


@dataclass(frozen=True, slots=True)
class Risk:
    """Everybody with a case: `people` are their numbers, ascending, `last` the place of each one's last case, `said` when they
    last wrote (µs); `signs` tell of each person whether a sign holds.
    """

    people: Array
    last: Array
    said: Array
    signs: Mapping[Sign, Array]

    @property
    def count(self) -> Array:
        """How many signs each person has."""
        return sum((held.astype(int) for held in self.signs.values()), start=self.last * 0)


def risk(contacts: Contacts, opted_out: Array, now: datetime) -> Risk:
    """The signs of everybody, of cases up to `now`."""
    import numpy as np

    people, of, order = contacts.who.people, contacts.who.of, contacts.who.order
    many = np.bincount(of, minlength=len(people))
    starts = np.cumsum(many) - many
    last = order[starts + many - 1] if len(people) else order
    said = np.maximum.reduceat(contacts.said[order], starts) if len(people) else contacts.said
    unsolved, detractor = contacts.unsolved[last], contacts.detractor[last] == 1
    silent = (unsolved | detractor) & (micros(now) - said >= SILENCE / timedelta(microseconds=1))
    signs = {
        Sign.OPTED_OUT: are_among(people, opted_out),
        Sign.DETRACTOR: _last_score(contacts) == 1,
        Sign.UNSOLVED: unsolved,
        Sign.SAME_TOPIC: _same_topic(contacts, now),
        Sign.SILENT: silent,
    }
    return Risk(people, last, said, signs)


def _last_score(contacts: Contacts) -> Array:
    """Of each person the last score that they gave."""
    import numpy as np

    found = np.full(len(contacts.who.people), NOT_SCORED)
    scored = np.flatnonzero(contacts.detractor != NOT_SCORED)
    found[contacts.who.of[scored]] = contacts.detractor[scored]  # of several the last one stays
    return found


def _same_topic(contacts: Contacts, now: datetime) -> Array:
    import numpy as np

    of = contacts.who.of
    lately = (micros(now) - contacts.at <= SAME_TOPIC_WITHIN / timedelta(microseconds=1)) & (contacts.topic > 0)
    topics = int(contacts.topic.max(initial=0)) + 1
    pairs, many = np.unique(of[lately] * topics + contacts.topic[lately], return_counts=True)
    found = np.zeros(len(contacts.who.people), dtype=bool)
    found[pairs[many >= SAME_TOPIC] // topics] = True
    return found


def scored(who: Numbered, at: Array, answers_who: Array, answers_at: Array, bad: Array) -> Array:
    """Each case's `detractor`: an answer belongs to the last case that its customer had opened before.

    Cases and answers are in the order of their times; of two answers to one case the later counts.
    """
    import numpy as np

    people, of, order = who.people, who.of, who.order
    found = np.full(len(of), NOT_SCORED)
    base = int(at.min(initial=0))
    width = (
        int(max(at.max(initial=0), answers_at.max(initial=0)) - base) // 1000 + 2
    )  # milliseconds: both fit into 63 bits
    keys = of[order] * width + (at[order] - base) // 1000
    person, known = places_of(people, answers_who)
    place = np.searchsorted(keys, person * width + (answers_at - base) // 1000, side="right") - 1
    mine = np.flatnonzero(known & (place >= 0))
    mine = mine[of[order[place[mine]]] == person[mine]]
    found[order[place[mine]]] = bad[mine]
    return found


def numbered(who: Array) -> Numbered:
    """`who[row]` is a customer's number."""
    import numpy as np

    order = np.argsort(who)  # far quicker than a stable one; what that would give is mended by sorting once more
    ordered = who[order]
    begins = np.ones(len(who), dtype=bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    places = np.cumsum(begins) - 1
    order = np.sort(places * len(who) + order) - places * len(who)
    of = np.empty(len(who), dtype=np.int64)
    of[order] = places
    return Numbered(ordered[begins], of, order)


def places_of(people: Array, numbers: Array) -> tuple[Array, Array]:
    """(the place of each number among people who are in order, whether it is there at all)."""
    import numpy as np

    if not len(people):
        return np.zeros(len(numbers), dtype=np.int64), np.zeros(len(numbers), dtype=bool)
    places = people.searchsorted(numbers).clip(max=len(people) - 1)
    return places, people[places] == numbers


def are_among(people: Array, numbers: Array) -> Array:
    """Which of the people, who are in order, these numbers name."""
    import numpy as np

    found = np.zeros(len(people), dtype=bool)
    places, there = places_of(people, numbers)
    found[places[there]] = True
    return found
