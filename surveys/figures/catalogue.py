"""Every metric that there is: what it counts and of what. `docs/figures.md` is held against this table by a test.

A metric's source is a family of facts (`surveys/rollups/facts.py`) and columns of it. Its kind says how the column becomes a
figure and which interval that gets:

    MEAN, SHARE, NPS   scores: Student's t (and Wilson for the part of 5–7) · Wilson · adjusted Wald
    RATE               hits ÷ trials: Wilson
    TIME               seconds: median with order statistics, 90th percentile, mean without an interval
    AMOUNT             a mean of counts or signed seconds: Student's t
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from bot.storage.marks import ANSWERS, ASKS, CASES
from surveys.rollups.facts import BACKLOG, STEPS
from surveys.survey import INSTRUMENTS, Measure


class Kind(Enum):
    MEAN = "mean"
    SHARE = "share"
    NPS = "nps"
    RATE = "rate"
    TIME = "time"
    AMOUNT = "amount"


@dataclass(frozen=True, slots=True)
class Metric:
    """`hits` and `trials` (rates) or `column` (times, amounts) name columns of the family. `better` is up | down | neither."""

    id: str
    kind: Kind
    family: str
    label: str
    rule: str
    better: str = "neither"
    column: str = ""
    hits: str = ""
    trials: str = ""
    unit: str = ""

    @property
    def is_score(self) -> bool:
        return self.kind in {Kind.MEAN, Kind.SHARE, Kind.NPS}


def _time(name: str, label: str, rule: str, better: str = "down", family: str = CASES) -> Metric:
    return Metric(name, Kind.TIME, family, label, rule, better, column=name, unit="s")


def _rate(name: str, label: str, rule: str, hits: str, trials: str, better: str = "up", family: str = CASES) -> Metric:
    return Metric(name, Kind.RATE, family, label, rule, better, hits=hits, trials=trials)


_SCORES = tuple(
    Metric(
        one.id,
        {Measure.MEAN: Kind.MEAN, Measure.SHARE: Kind.SHARE, Measure.NPS: Kind.NPS}[one.measure],
        ANSWERS,
        one.label,
        {
            Measure.MEAN: f"mean of the scores {one.min} to {one.max}; beside it the share of {one.good_from} to {one.max}",
            Measure.SHARE: f"answers of at least {one.good_from} ÷ answers",
            Measure.NPS: f"100 · (answers of {one.good_from} to {one.max} − answers up to {one.detractor_to}) ÷ answers",
        }[one.measure],
        "up",
        column=one.id,
        unit={Measure.MEAN: "points", Measure.SHARE: "share", Measure.NPS: "NPS"}[one.measure],
    )
    for one in INSTRUMENTS.values()
)

_TIMES = (
    _time("ttr", "time to resolution", "case opened → last solved; cases that are live again still run"),
    _time("ttr_first", "to first resolution", "case opened → first solved"),
    _time(
        "frt",
        "first human reply",
        "case opened → first reply of a person that the customer sees; the bot's never count",
    ),
    _time(
        "frt_bot",
        "first reply of the bot",
        "case opened → the bot's first message, of cases that people were fetched for or that have ended",
    ),
    _time(
        "next_response",
        "next response",
        "a customer's first unanswered word → the next reply of a person, after the first",
    ),
    _time("ttr_business", "time to resolution, business time", "as ttr, in the opening hours of the case's team"),
    _time("ttr_first_business", "to first resolution, business time", "as ttr_first, in the team's opening hours"),
    _time("frt_business", "first human reply, business time", "as frt, in the team's opening hours"),
    _time("next_response_business", "next response, business time", "as next_response, in the team's opening hours"),
    _time(
        "waiting", "waiting for the customer", "of ended cases with people: while it was the customer's turn", "neither"
    ),
    _time("queue_wait", "wait in the queue", "fetched → taken by an agent, of the case's first escalation"),
    _time(
        "wait_error",
        "error of estimated waits",
        "how far the wait that was told first is from the real one, either way",
    ),
    _time(
        "backlog_age",
        "age of the backlog",
        "cases that people have or are to take, at this moment: fetched → now",
        family=BACKLOG,
    ),
)

_RATES = (
    _rate("reopened", "reopened / solved", "cases that were reopened within 7 days of being solved ÷ cases ever solved",
          "reopened", "solved", "down"),
    _rate("fcr", "solved at first contact", "outcome resolved, not reopened, no case of that customer on that topic in 7 days "
          "÷ ended cases; unknown, and not counted, until 7 days have passed", "fcr", "fcr_known"),
    _rate("goal_met", "got what they came for", "customers who said yes when they were asked ÷ those who said yes or no; of each "
          "case the first answer", "goal_met", "goal_told"),
    _rate("response", "answered / delivered", "survey invitations answered ÷ those that arrived", "answered", "delivered",
          family=ASKS),
    _rate("escalated", "escalated / cases", "cases that people were fetched for or that an agent took ÷ cases", "escalated",
          "one", "neither"),
    _rate("bot_confirmed", "solved by the bot, confirmed", "ended without people, and the customer said that it helped (in a "
          "flow, `confirmed` of its `close` tells) ÷ ended cases", "bot_confirmed", "ended"),
    _rate("bot_assumed", "solved by the bot, assumed", "ended without people with outcome resolved, but nobody said so ÷ ended "
          "cases", "bot_assumed", "ended", "neither"),
    _rate("contained", "ended without people", "ended cases that no person had to do with ÷ ended cases", "contained",
          "ended", "neither"),
    _rate("contained_no_return", "… and nobody came back", "contained, not reopened, no case of that customer on that topic in 7 "
          "days ÷ ended cases; unknown until 7 days have passed", "contained_stayed", "fcr_known"),
    _rate("escalation_precision", "escalations that were needed", "agents' verdict: needed a person ÷ all verdicts", "needed",
          "judged"),
    _rate("promises_kept", "promises kept", "promised waits, and times at which people are back (a minute's grace): kept ÷ kept "
          "and broken", "kept", "promised"),
    _rate("sla_first_response", "SLA kept: first response", "targets met ÷ targets that ended or passed", "sla_first_met",
          "sla_first"),
    _rate("sla_next_response", "SLA kept: next response", "targets met ÷ targets that ended or passed", "sla_next_met",
          "sla_next"),
    _rate("sla_resolution", "SLA kept: resolution", "targets met ÷ targets that ended or passed", "sla_resolution_met",
          "sla_resolution"),
    _rate("step_answered", "answered at a step", "of the questions (`ask`) of the flows in force: times that one was answered ÷ "
          "times that it was reached; the rest left there, or went another way", "answered", "reached", family=STEPS),
)  # fmt: skip

_AMOUNTS = (
    Metric("effort", Kind.AMOUNT, CASES, "effort of the customer",
           "of ended cases: questions asked and retries + hand-overs + changes of channel", "down", column="effort"),
    Metric("wait_bias", Kind.AMOUNT, CASES, "bias of estimated waits",
           "by how much the real wait was longer (below zero: shorter) than told first", "neither", column="wait_bias",
           unit="s"),
)  # fmt: skip

METRICS: Mapping[str, Metric] = {one.id: one for one in (*_SCORES, *_TIMES, *_RATES, *_AMOUNTS)}


def chosen(names: tuple[str, ...]) -> tuple[Metric, ...]:
    """These metrics, or all. Raises ValueError for one that there is not."""
    for name in names:
        if name not in METRICS:
            raise ValueError(f'metrics: "{name[:40]}" is none of {", ".join(METRICS)}')
    return tuple(METRICS[name] for name in names or METRICS)
