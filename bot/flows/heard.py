"""All phrases of a desk at once, by their first words: what a message may mean costs the same for 5 flows and for 500.

It finds just what `words.find` finds, phrase list by phrase list; a test holds the two together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.flows.words import HEBREW_PREFIXES, Found, is_hebrew, phrase

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk
    from bot.flows.schema import Flow

Phrases = Mapping[str, Sequence[str]]
_ALEPH = "\u05d0"
"""Before this letter no word begins with a Hebrew one, and none needs to be taken apart."""
KEPT = 8
"""Desks whose phrases are kept: the one in force, and a few that are being tested or replaced."""


@dataclass(frozen=True, slots=True)
class _Listed:
    owner: str
    locale: str
    place: int  # of the language in its list: of equal phrases the first language's counts
    wanted: tuple[str, ...]


class Heard:
    """The phrases of some owners (flows, interrupts)."""

    def __init__(self, owners: Iterable[tuple[str, Phrases]]) -> None:
        self._first: dict[str, list[_Listed]] = {}  # by their first words
        for owner, phrases in owners:
            for place, locale in enumerate(phrases):
                for text in phrases[locale]:
                    if wanted := phrase(text):
                        self._first.setdefault(wanted[0], []).append(_Listed(owner, locale, place, wanted))

    def find(self, said: Sequence[str], locale: str) -> dict[str, Found]:
        """For each owner with a phrase in the message the longest one; of equal ones that of the customer's language."""
        if self._first.keys().isdisjoint(said) and max(said, default="") < _ALEPH:
            return {}  # most messages: no phrase begins with a word of theirs, and none of them is Hebrew
        best: dict[str, tuple[tuple[int, bool, int], Found]] = {}
        for at, word in enumerate(said):
            for first in _stems(word) if word >= _ALEPH else (word,):
                for one in self._first.get(first, ()):
                    length = len(one.wanted)
                    if tuple(said[at + 1 : at + length]) != one.wanted[1:]:
                        continue
                    rank = length, one.locale == locale, -one.place
                    if one.owner not in best or rank > best[one.owner][0]:
                        best[one.owner] = rank, Found(one.locale, length, length == len(said))
        return {owner: found for owner, (_, found) in best.items()}


def _stems(word: str) -> Iterable[str]:
    """The word, and what is left of it without the short words that Hebrew writes onto it."""
    yield word
    for cut in (1, 2):
        rest = word[cut:]
        if len(rest) >= 3 and is_hebrew(rest) and set(word[:cut]) <= HEBREW_PREFIXES:
            yield rest


@dataclass(frozen=True, slots=True)
class OfDesk:
    triggers: Heard
    interrupts: Heard
    by_value: tuple[Flow, ...] = ()  # those that a slot's value alone starts


_kept: OrderedDict[tuple[int, int], tuple[object, object, OfDesk]] = OrderedDict()


def of_desk(desk: Desk) -> OfDesk:
    """The phrases of this desk; made once as long as its flows and interrupts are the same objects."""
    key = id(desk.flows), id(desk.interrupts)
    found = _kept.get(key)
    if found is None:
        triggers = Heard((flow.id, flow.triggers.phrases) for flow in desk.flows.values())
        by_value = tuple(flow for flow in desk.flows.values() if flow.triggers.slots)
        interrupts = Heard((one.id, one.phrases) for one in desk.interrupts)
        # The objects are kept with it: while they live, nothing else has their ids.
        found = _kept[key] = desk.flows, desk.interrupts, OfDesk(triggers, interrupts, by_value)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found[2]
