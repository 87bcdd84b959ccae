"""What one case, one answer, one decision on asking adds to the figures: raw rows in, one flat fact out. Pure.

A fact is a plain dict as it is stored (JSON): `at` (µs since 1970, UTC) decides its day; names are texts, spans seconds, flags
and counts whole numbers; what is None or 0 is left out. `COLUMNS` and `NAMES` say which keys there are.

`spoke` is when the customer last did.

Everything that a case tells only once it has moved on is told once it has: effort and the wait for the customer of ended cases,
the bot's first reply when people were fetched or the case ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import blake2b
from typing import Any

from bot.model import LIVE
from bot.staffing.hours import Hours, business_between
from bot.storage.marks import ANSWERS, ASKS, CASES
from surveys.survey import INSTRUMENTS

Fact = dict[str, Any]
HoursOf = Callable[[str | None], Hours]
"""Team → when its people are there."""

WITHIN = timedelta(days=7)
"""So long a case may come back before it counts as solved at first contact."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BACKLOG = "backlog"  # cases that are with people now; read afresh for each question
STEPS = "steps"  # how many came to each step of a flow in a day, and answered there; counted by bot/tally.py
_PLACES = ("channel", "team", "agent", "flow", "step", "topic", "locale")
TOGETHER = "\n"
"""Between the agents of one case in its `involved`."""

NAMES: Mapping[str, tuple[str, ...]] = {
    CASES: (*_PLACES, "involved", "reason", "outcome"),
    ANSWERS: (*_PLACES, "involved", "instrument"),
    ASKS: (*_PLACES, "involved", "instrument", "state", "skip", "outcome"),
    BACKLOG: (*_PLACES, "reason"),
    STEPS: ("flow", "step"),
}
"""Texts of each family."""

SPANS: Mapping[str, tuple[str, ...]] = {
    CASES: (
        *("frt", "frt_business", "frt_bot", "ttr", "ttr_business", "ttr_first", "ttr_first_business"),
        *("waiting", "queue_wait", "wait_bias", "effort", "spoke"),
    ),
    ANSWERS: ("score",),
    ASKS: ("score", "ttr"),
    BACKLOG: ("backlog_age",),
    STEPS: ("reached", "answered"),
}
"""Numbers that can be missing."""

COUNTS: Mapping[str, tuple[str, ...]] = {
    CASES: (
        *("solved", "ended", "resolved", "reopened", "ever_reopened", "returned", "escalated", "alone", "confirmed"),
        *("needed", "judged", "kept", "promised", "goal_told", "goal_met"),
        *("sla_first", "sla_first_met", "sla_next", "sla_next_met", "sla_resolution", "sla_resolution_met"),
    ),
    ANSWERS: (),
    ASKS: ("delivered",),
    BACKLOG: (),
    STEPS: (),
}
"""Whole numbers, 0 where they are missing."""

LISTS: Mapping[str, tuple[str, ...]] = {CASES: ("next_response", "next_response_business")}
"""Several numbers of one case."""

WHO = "who"
"""A column of 64 bits that stands for the customer: no fact has it, it is added when facts are put into columns."""
OF_PEOPLE = frozenset({CASES, ANSWERS})
"""Families that have it."""


def who(customer_id: str | None) -> int:
    """The number that stands for a customer; 0 for nobody. Two of ten million customers share one once in 370,000 houses."""
    if customer_id is None:
        return 0
    return int.from_bytes(blake2b(customer_id.encode(), digest_size=8).digest(), "little", signed=True)


@dataclass(frozen=True, slots=True)
class Happened:
    """A line of a case's audit."""

    kind: str
    at: datetime
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Word:
    """A message that the customer sees: `by` is customer | bot | agent | system; `step` where the flow rested after it."""

    by: str
    at: datetime
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """What the customer was told about their wait; `outcome` kept | broken | void, None while it is open."""

    kind: str
    told_at: datetime
    wait_s: float | None
    outcome: str | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class RawCase:
    """One case with what belongs to it, each in the order of time. `row` are the columns of `cases`.

    `again_at`: when the same customer next opened a case on the same topic, after this one ended.
    """

    row: Mapping[str, Any]
    events: Sequence[Happened] = ()
    words: Sequence[Word] = ()
    promises: Sequence[Promise] = ()
    again_at: datetime | None = None


def ended_at(row: Mapping[str, Any]) -> datetime | None:
    """When a case was last solved; None while it is live, also once more after a reopening."""
    at: datetime | None = None if row["status"] in LIVE else row["resolved_at"]
    return at


def of_case(raw: RawCase, hours_of: HoursOf) -> Fact:
    """The fact of a case."""
    row, opened = raw.row, raw.row["opened_at"]
    ended, first = ended_at(row), row["first_resolved_at"]
    escalation, hours = row["escalation"] or {}, hours_of(row["team"])
    with_people = bool(row["escalation"] or row["escalated_at"] or row["agents"])  # a reopening forgets `escalated_at`

    def business(end: datetime | None) -> float | None:
        return None if end is None else business_between(hours, opened, end).total_seconds()

    fact = {
        "at": micros(opened),
        "channel": row["channel"],
        "team": row["team"],
        "agent": row["last_agent_id"] or row["agent_id"],
        "involved": _together(row["agents"]),
        "flow": row["flow"],
        "step": next((word.step for word in reversed(raw.words) if word.step), None),
        "topic": row["topic"],
        "locale": row["locale"],
        "reason": escalation.get("reason_code"),
        "outcome": row["outcome"],
        "frt": _span(opened, row["first_reply_at"]),
        "frt_business": business(row["first_reply_at"]),
        "ttr": _span(opened, ended),
        "ttr_business": business(ended),
        "ttr_first": _span(opened, first),
        "ttr_first_business": business(first),
        "spoke": _span(opened, row["last_customer_at"]),
        "solved": int(bool(first or row["resolved_at"])),
        "ended": int(ended is not None),
        "resolved": int(ended is not None and row["outcome"] == "resolved"),
        "reopened": int(_came_back(raw)),
        "ever_reopened": int(row["reopened"] > 0),
        "returned": int(ended is not None and raw.again_at is not None and raw.again_at - ended <= WITHIN),
        "escalated": int(with_people),
        "alone": int(ended is not None and not with_people),
        "confirmed": int(row["confirmed"] is True),
        **_waits(raw),
        **_kept(raw.promises),
        **_levels(raw),
        **_verdict(raw.events),
        **_goal(raw.events),
    }
    if with_people or row["first_resolved_at"] is not None or ended is not None:
        fact["frt_bot"] = _span(opened, next((word.at for word in raw.words if word.by == "bot"), None))
    if ended is not None:
        moves = sum(one.kind == "moved" for one in raw.events)
        fact["effort"] = float(row["questions"] + row["handoffs"] + moves)
    nexts = list(_next_responses(raw.words))
    fact["next_response"] = [_span(start, end) for start, end in nexts]
    fact["next_response_business"] = [business_between(hours, *one).total_seconds() for one in nexts]
    return _without_nothing(fact)


def of_answer(row: Mapping[str, Any], snapshot: Mapping[str, Any]) -> Fact:
    """The fact of a survey answer; `row` of `survey_responses`, `snapshot` of its invitation."""
    return _without_nothing(
        {
            "at": micros(row["at"]),
            "channel": row["channel"],
            "team": row["team"],
            "agent": row["agent_id"],
            "involved": _together(snapshot.get("agents") or filter(None, [row["agent_id"]])),
            "flow": snapshot.get("flow"),
            "step": snapshot.get("step"),
            "topic": row["topic"],
            "locale": row["locale"],
            "instrument": row["instrument"],
            "score": float(row["score"]),
        }
    )


def of_ask(row: Mapping[str, Any], score: float | None) -> Fact:
    """The fact of a decision on asking; `row` of `survey_invitations`, `score` what was answered."""
    snapshot = row["snapshot"] or {}
    return _without_nothing(
        {
            "at": micros(row["decided_at"]),
            "channel": row["channel"] or snapshot.get("channel"),
            **{name: snapshot.get(name) for name in ("team", "agent", "flow", "step", "topic")},
            "locale": row["locale"],
            "instrument": row["instrument"],
            "state": row["state"],
            "skip": row["skip_reason"] if row["state"] == "skipped" else None,
            "involved": _together(snapshot.get("agents")),
            "outcome": snapshot.get("outcome"),
            "ttr": snapshot.get("ttr"),
            "delivered": int(row["delivered_at"] is not None),
            "score": score if row["state"] == "answered" else None,
        }
    )


def of_waiting(row: Mapping[str, Any], now: datetime) -> Fact:
    """How long a case has been with people, as a fact; `row` of `cases`."""
    age = {"at": micros(now), "backlog_age": _span(row["escalated_at"] or row["opened_at"], now)}
    names = {name: row[name] for name in ("channel", "team", "flow", "topic", "locale")}
    reason = (row["escalation"] or {}).get("reason_code")
    return _without_nothing({**age, **names, "agent": row["agent_id"], "reason": reason})


def of_step(flow: str, step: str, day: str, reached: int, answered: int, zone: tzinfo) -> Fact:
    """A day of a step, as it begins in `zone`. Who came before midnight and answered after it is not answered more than
    reached.
    """
    at = micros(datetime.fromisoformat(day).replace(tzinfo=zone))
    places = {"flow": flow, "step": f"{flow}/{step}"}
    return {"at": at, **places, "reached": float(reached), "answered": float(min(answered, reached))}


def is_known(instrument: str) -> bool:
    """Whether figures are made of its answers."""
    return instrument in INSTRUMENTS


def micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def day_of(fact: Fact) -> int:
    """The day in UTC that a fact lies in, counted from 1970."""
    return int(fact["at"] // 86_400_000_000)


def _together(agents: Iterable[str] | None) -> str | None:
    return TOGETHER.join(sorted(set(agents or ()))) or None


# ── parts of a case ────────────────────────────────────────────────────────────────────────────────────────────────
def _span(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())


def _came_back(raw: RawCase) -> bool:
    """Whether it was reopened within 7 days of being solved."""
    solved: datetime | None = None
    told = False
    for one in raw.events:
        if one.kind == "resolve":
            solved = one.at
        elif one.kind == "reopen":
            told = True
            if solved is not None and one.at - solved <= WITHIN:
                return True
    return not told and bool(raw.row["reopened"])


def _next_responses(words: Sequence[Word]) -> Sequence[tuple[datetime, datetime]]:
    """(the customer's first unanswered word, the reply of a person to it), after the first such reply."""
    found: list[tuple[datetime, datetime]] = []
    waiting: datetime | None = None
    answered = False
    for word in words:
        if word.by == "customer":
            waiting = waiting or word.at
        elif word.by == "agent":
            if answered and waiting is not None:
                found.append((waiting, word.at))
            waiting, answered = None, True
    return found


_ASKS_CUSTOMER = {"reply", "await_customer"}
_ENDS_WAITING = {"customer_wrote", "escalate", "release", "transfer", "snooze", "resolve", "close", "reopen", "merged"}


def _waits(raw: RawCase) -> Fact:
    """While it was the customer's turn, of ended cases; and the first wait in the queue."""
    waited, since = timedelta(), None
    fetched: datetime | None = None
    taken: datetime | None = None
    for one in raw.events:
        if one.kind in _ASKS_CUSTOMER:
            since = since or one.at
        elif one.kind in _ENDS_WAITING and since is not None:
            waited, since = waited + (one.at - since), None
        if one.kind == "escalate":
            fetched = fetched or one.at
        elif one.kind == "claim" and fetched is not None:
            taken = taken or one.at
    over = ended_at(raw.row) is not None
    is_with_people = bool(raw.row["agents"])
    return {
        "waiting": waited.total_seconds() if over and is_with_people else None,
        "queue_wait": _span(fetched, taken),
    }


def _kept(promises: Sequence[Promise]) -> Fact:
    judged = [one.outcome for one in promises if one.outcome in {"kept", "broken"}]
    told = next((one for one in promises if one.kind == "wait" and one.wait_s is not None), None)
    bias = None
    if (
        told is not None
        and told.outcome in {"kept", "broken"}
        and told.ended_at is not None
        and told.wait_s is not None
    ):
        bias = (told.ended_at - told.told_at).total_seconds() - told.wait_s
    return {"kept": judged.count("kept"), "promised": len(judged), "wait_bias": bias}


_TARGETS = {"first_response": "sla_first", "next_response": "sla_next", "resolution": "sla_resolution"}


def _levels(raw: RawCase) -> Fact:
    """Targets that ended, as the audit tells of them, and those that passed and have not ended."""
    counted = dict.fromkeys((name + more for name in _TARGETS.values() for more in ("", "_met")), 0)
    passed: set[str] = set()
    for one in raw.events:
        name = _TARGETS.get(str(one.data.get("target")))
        if name is None:
            continue
        if one.kind == "sla_breach":
            passed.add(name)
        elif one.kind == "sla":
            passed.discard(name)
            counted[name] += 1
            counted[f"{name}_met"] += bool(one.data.get("met"))
    for name in passed:
        counted[name] += 1
    return dict(counted)


def _verdict(events: Sequence[Happened]) -> Fact:
    """The last word of an agent on whether people were needed."""
    last = next((one for one in reversed(events) if one.kind == "verdict"), None)
    return {"judged": int(last is not None), "needed": int(last is not None and last.data.get("needed") is True)}


def _goal(events: Sequence[Happened]) -> Fact:
    """Whether the customer got what they came for, as they said it first: a "no" gives the case back, and it is asked no more."""
    first = next((one for one in events if one.kind == "goal"), None)
    return {"goal_told": int(first is not None), "goal_met": int(first is not None and first.data.get("met") is True)}


_ALL_SPANS = frozenset(name for names in SPANS.values() for name in names)


def _without_nothing(fact: Fact) -> Fact:
    """A span of no seconds is one; a count of none is left out."""
    return {key: value for key, value in fact.items() if value or (value == 0 and key in _ALL_SPANS)}
