"""When to fetch a human: an ordered list of rules, each with its text and reason code. Pure.

What lives here: what each rule makes of the signals in a talk (`signals`), and how a rule dresses an escalation that was
decided elsewhere (a flow failed, an article did not help). What it must not know: cases, desks, the outbox. The memory is a
few plain values, for a JSON column.

Decisions
- A bot that repeats itself is told by its own sentences, counted since the talk last got on (a question was answered, an
  article told): who looks up five orders hears "Did this help?" five times, and nothing is wrong.
- `vip` and `detractor` never fetch anybody: together they raise the priority of another rule's case by one step.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bot.answers.signals import alike, anger, is_danger
from bot.flows.expressions import Expression, Scope
from bot.flows.words import tokens
from bot.nouns import noun
from bot.texts import Texts

KINDS = ("asked", "safety", "failure", "not_helped", "unsure", "repeated", "loop", "anger", "vip", "detractor")
"""What a rule is about (`when:`). `vip` and `detractor` only raise the priority of another's."""
LISTENING = frozenset({"safety", "loop", "anger"})
"""Rules that speak up at what a customer says."""
RAISING = ("vip", "detractor")
TIMES: Mapping[str, int] = {"not_helped": 2, "unsure": 2, "loop": 2}
"""How often it takes (`times:`), of the rules that count."""
WITHIN_S = 7 * 86_400
"""So long a contact on the same topic counts as repeated, where the rule says nothing."""
PRIORITIES = ("low", "normal", "high", "urgent")
OF_CODE: Mapping[str, str] = {
    "asked": "asked",
    **dict.fromkeys(("retry", "breaker", "connector", "version"), "failure"),
    "not_helped": "not_helped",
    "not_understood": "unsure",
    **dict.fromkeys(("reopened", "returned"), "repeated"),
    "safety": "safety",
    "loop": "loop",
    "anger": "anger",
}
"""reason code → the kind of rule that dresses it."""

FEWEST_WORDS = 3  # of a text that can be repeated: "yes" and "no" may come as often as they are asked for
REMEMBERED = 6  # texts of the customer
OWN_REMEMBERED = 24  # of the bot, since the talk last got on
TURNS = 4  # over which anger is counted
OFFER, FETCH = 2, 4  # points of anger: one strong turn or two weak ones; twice that


@dataclass(frozen=True, slots=True)
class Rule:
    """`text` by language, empty for the built-in sentence. `words` replace the built-in ones of `safety` and `anger`.

    `times` is how often it takes (`TIMES`), `within_s` how long ago a contact may be to count (`repeated`).
    """

    when: str
    reason: str = ""
    text: Mapping[str, str] = field(default_factory=dict)
    priority: str | None = None
    team: str | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    condition: Expression | None = None
    times: int | None = None
    within_s: int | None = None


DEFAULT: tuple[Rule, ...] = tuple(
    Rule(kind, priority="urgent" if kind == "safety" else None) for kind in KINDS if kind != "vip"
)


@noun(frozen=True, slots=True)
class Memory:
    """`said` the last texts, folded · `anger` points of the last turns · `offered` whether a human was offered.

    `told` are sums of what the bot said since the talk last got on.
    """

    said: tuple[str, ...] = ()
    anger: tuple[int, ...] = ()
    offered: bool = False
    told: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Memory:
        if not stored:
            return NOTHING
        said, points, told = stored.get("said"), stored.get("anger"), stored.get("told")
        return cls(tuple(said or ()), tuple(points or ()), bool(stored.get("offered")), tuple(told or ()))


NOTHING = Memory()


@dataclass(frozen=True, slots=True)
class Verdict:
    """`fetch` a human now; else offer one, after what else there is to say."""

    rule: Rule
    fetch: bool


@dataclass(frozen=True, slots=True)
class Dress:
    """What rules add to an escalation: None and {} where they add nothing. `raised` the reasons of a higher priority."""

    reason: str
    text: Mapping[str, str]
    priority: str | None
    team: str | None
    raised: tuple[str, ...] = ()


def hear(
    rules: Sequence[Rule],
    memory: Memory,
    text: str,
    own: Texts | None = None,
    said: tuple[str, ...] | None = None,
) -> tuple[Memory, Verdict | None]:
    """What the first rule that speaks up says to a customer's words, and what is remembered of them.

    `own` are the desk's texts, which may bring word lists; `said` the words of the text, where it has been taken apart.
    """
    said = tokens(text) if said is None else said
    angry = find(rules, "anger")
    points = anger(text, said, angry.words, own) if angry is not None else 0
    texts, lately = (*memory.said, " ".join(said))[-REMEMBERED:], (*memory.anger, points)[-TURNS:]
    for rule in rules:
        fetch = _speaks(rule, memory, said, lately, own) if rule.when in LISTENING else None
        if fetch is not None:
            return Memory(texts, lately, offered=True, told=memory.told), Verdict(rule, fetch)
    return Memory(texts, lately, memory.offered, memory.told), None


def _speaks(
    rule: Rule, memory: Memory, said: tuple[str, ...], lately: tuple[int, ...], own: Texts | None
) -> bool | None:
    """True: fetch; False: offer; None: this rule has nothing to say. `lately` are the points of anger with this turn's."""
    if rule.when == "safety":
        return True if is_danger(said, rule.words, own) else None
    if rule.when == "loop":
        most, again = rule.times or TIMES["loop"], _again(memory, said)
        strength = OFFER if again == most else FETCH if again > most else 0
    else:
        strength = sum(lately) if lately[-1] else 0
    if strength >= FETCH:
        return True
    return False if strength >= OFFER and not memory.offered else None


def _again(memory: Memory, said: tuple[str, ...]) -> int:
    """How often this was said before, or the bot has repeated itself."""
    folded = " ".join(said)
    again = sum(alike(folded, before) for before in memory.said) if len(said) >= FEWEST_WORDS else 0
    if len(set(memory.told)) < len(memory.told):
        again = max(again, max(Counter(memory.told).values()) - 1)
    return again


def told(memory: Memory, texts: Sequence[str], *, got_on: bool) -> Memory:
    """What the bot said in a turn is remembered, until the talk gets on: then repeating oneself begins anew."""
    if got_on:
        return Memory(memory.said, memory.anger, memory.offered) if memory.told else memory
    folded = [" ".join(said) for one in texts if len(said := tokens(one)) >= FEWEST_WORDS]
    sums = [f"{zlib.crc32(one.encode('utf-8', 'replace')):x}" for one in dict.fromkeys(folded)]
    return Memory(memory.said, memory.anger, memory.offered, (*memory.told, *sums)[-OWN_REMEMBERED:])


def dress(rules: Sequence[Rule], code: str, priority: str | None, scope: Scope, *, unhappy: bool = False) -> Dress:
    """How the rules see an escalation for this reason code.

    Where the condition of `vip` holds, or the customer was `unhappy` the last time they were asked, the priority is one
    step higher; such a rule's own text is told where the first one has none.
    """
    kind = OF_CODE.get(code, "")
    rule = next((one for one in rules if one.when == kind), Rule(kind))
    holds = [one for one in rules if _raises(one, scope, unhappy=unhappy)]
    wanted = priority or rule.priority
    if holds:
        wanted = PRIORITIES[min(PRIORITIES.index(wanted or "normal") + 1, len(PRIORITIES) - 1)]
    text = next((one.text for one in (rule, *holds) if one.text), {})
    team = next((one.team for one in (rule, *holds) if one.team), None)
    return Dress(rule.reason or code, text, wanted, team, tuple(one.reason or one.when for one in holds))


def _raises(rule: Rule, scope: Scope, *, unhappy: bool) -> bool:
    if rule.when == "detractor":
        return unhappy
    return rule.when == "vip" and rule.condition is not None and rule.condition.holds(scope)


def find(rules: Sequence[Rule], kind: str) -> Rule | None:
    return next((rule for rule in rules if rule.when == kind), None)


def times(rules: Sequence[Rule], kind: str) -> int | None:
    """After how often a rule that counts fetches a human; None: the desk has no such rule, nobody is fetched."""
    rule = find(rules, kind)
    return None if rule is None else rule.times or TIMES[kind]


def is_unhappy(instrument: str, score: float) -> bool:
    """Whether a survey's answer is a detractor's: CES 1–3, CSAT 1–2 or no, NPS 0–6."""
    return score <= {"csat5": 2, "csat2": 0, "nps": 6}.get(instrument, 3)
