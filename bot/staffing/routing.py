"""Who takes a case: of the colleagues of its team who are there and have room, the one that the desk's way picks. Pure.

Language and skill are asked for, never a dead end: where nobody of the team has them at all, absent or not, whoever is there
takes it. Who knew the customer goes first. Who let the case lie once is not offered it again. Nobody gets more cases than
their capacity, and nobody who is away gets any: that holds for every way.

The ladder is what happens while nobody answers: rungs of desk.yaml, each after its span of business time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from bot.texts import canonical

WAYS = ("manual", "round_robin", "least_busy")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A case that waits. `knew` is the agent who helped this customer before; `tried` who had it and let it lie."""

    case: str
    team: str | None
    locale: str
    skills: tuple[str, ...] = ()
    knew: str | None = None
    tried: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Colleague:
    """An agent as routing sees them. `holds` are their open cases, `capacity` the most that they are given (None: any).

    No `team`: every team's. No `locales`: all languages. `given` numbers the cases that were given out: that of their last
    one, 0 for none; so the smallest is whose turn it is, and the order of desk.yaml settles the rest.
    """

    id: str
    team: str | None = None
    locales: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    available: bool = True
    holds: int = 0
    capacity: int | None = None
    given: int = 0

    @property
    def has_room(self) -> bool:
        return self.capacity is None or self.holds < self.capacity


@dataclass(frozen=True, slots=True)
class Choice:
    """`why`: knew | round_robin | least_busy."""

    agent: str
    why: str


@dataclass(frozen=True, slots=True)
class Rung:
    """After so much business time without an answer: on to a `team`, or call a `group` (of Slack) or a `person` (agent)."""

    after: timedelta
    team: str | None = None
    group: str | None = None
    person: str | None = None


def speaks(colleague: Colleague, locale: str) -> bool:
    return not colleague.locales or any(_language(one) == _language(locale) for one in colleague.locales)


def suited(wanted: Wanted, colleagues: Sequence[Colleague]) -> list[Colleague]:
    """Who could take it, were they here: of the team, with its language and its skills where anybody has them."""
    team = [one for one in colleagues if wanted.team is None or one.team in {None, wanted.team}]
    fluent = [one for one in team if speaks(one, wanted.locale)] or team
    return [one for one in fluent if set(wanted.skills) <= set(one.skills)] or fluent


def choose(wanted: Wanted, colleagues: Sequence[Colleague], way: str) -> Choice | None:
    """Whom the case is given to now; None: nobody, it waits (always, where agents claim by themselves)."""
    if way == "manual":
        return None
    free = [one for one in suited(wanted, colleagues) if one.available and one.has_room and one.id not in wanted.tried]
    if any(one.id == wanted.knew for one in free):
        return Choice(wanted.knew or "", "knew")
    if not free:
        return None
    picked = min(free, key=lambda one: (one.holds if way == "least_busy" else 0, one.given))
    return Choice(picked.id, way)


def allot(waiting: Sequence[Wanted], colleagues: Sequence[Colleague], way: str) -> dict[str, Choice]:
    """Who would get which of the cases that wait, were they given out now in this order: case → choice."""
    found: dict[str, Choice] = {}
    staff = list(colleagues)
    for wanted in waiting:
        choice = choose(wanted, staff, way)
        if choice is not None:
            found[wanted.case] = choice
            last = max(one.given for one in staff) + 1
            staff = [replace(one, holds=one.holds + 1, given=last) if one.id == choice.agent else one for one in staff]
    return found


def due(ladder: Sequence[Rung], rung: int, waited: timedelta) -> Iterator[Rung]:
    """The rungs from number `rung` on whose time has come after `waited` of business time."""
    for one in ladder[rung:]:
        if one.after > waited:
            return
        yield one


def team_for(
    locale: str, skills: Collection[str], first: str | None, teams: Sequence[tuple[str, Sequence[str], Sequence[str]]]
) -> str | None:
    """The team of a case that nobody sent to one: `first` if it has the language and the skills, else the first that has.

    `teams` are (id, languages, skills), an empty list meaning all languages, or no special skill.
    """

    def serves(team: tuple[str, Sequence[str], Sequence[str]]) -> bool:
        _, languages, able = team
        fluent = not languages or any(_language(one) == _language(locale) for one in languages)
        return fluent and set(skills) <= set(able)

    ordered = sorted(teams, key=lambda one: one[0] != first)
    return next((one[0] for one in ordered if serves(one)), first)


def _language(locale: str) -> str:
    return canonical(locale).split("-")[0]
