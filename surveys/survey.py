"""The questions: which there are, how they are put in each language, and what counts as an answer.

What lives here: the table of instruments, and pure functions from it to a message body and from a typed text
to a score. What it must not know: when or whom to ask (`timing.py`), and where answers are kept.

Decisions. The scale is always drawn ascending, in every language: in Hebrew the layout is mirrored, not the
polarity. Both ends are spelled out in the text, because a platform may wrap its buttons. The ease question
(`ces7`) and the CES 2.0 statement (`ces7_statement`) are two instruments: wording is part of the instrument.
`csat2` is 0 = no, 1 = yes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from bot.model import Body, Choice, SurveyCard
from bot.texts import Texts, is_rtl, isolate, say

_INVISIBLE = re.compile("[\u200e\u200f\u2066-\u2069\u202a-\u202e]")  # what right-to-left keyboards put around digits
_LONE_NUMBER = re.compile("0|[1-9][0-9]?")
_SKIP = re.compile(r"/skip(@\w+)?", re.IGNORECASE)


class Measure(Enum):
    """How scores become one figure."""

    MEAN = "mean"  # and the share at or above `good_from` beside it
    SHARE = "share"  # of scores at or above `good_from`
    NPS = "nps"  # 100·(promoters − detractors)/n


@dataclass(frozen=True, slots=True)
class Instrument:
    """A question with its scale. Scores from `good_from` count for it, up to `detractor_to` ask for a call-back."""

    id: str
    min: int
    max: int
    measure: Measure
    good_from: int
    detractor_to: int
    label: str  # in reports

    @property
    def scores(self) -> range:
        return range(self.min, self.max + 1)

    def key(self, part: str) -> str:
        """The text key, less its `survey_`, of `question`, `low` or `high`."""
        return f"{self.id}_{part}"


INSTRUMENTS: Mapping[str, Instrument] = {
    one.id: one
    for one in (
        Instrument("ces7", 1, 7, Measure.MEAN, 5, 3, "CES (ease, 1-7)"),
        Instrument("ces7_statement", 1, 7, Measure.MEAN, 5, 3, "CES 2.0 (statement, 1-7)"),
        Instrument("csat5", 1, 5, Measure.SHARE, 4, 2, "CSAT (1-5)"),
        Instrument("csat2", 0, 1, Measure.SHARE, 1, 0, "CSAT (yes/no)"),
        Instrument("nps", 0, 10, Measure.NPS, 9, 6, "NPS (0-10)"),
    )
}

RELATIONSHIP = ("nps",)
"""Instruments about all that a customer has had with us: asked by campaigns, never about one case."""

REASONS = ("speed", "knowledge", "kindness", "solved", "repeat")
"""The reason buttons under "why?"; each has a text `survey_reason_<reason>`."""


class Said(Enum):
    """An answer that is not a score."""

    SKIP = "skip"


def instrument(name: str) -> Instrument:
    """The instrument of that name; ValueError names those there are."""
    try:
        return INSTRUMENTS[name]
    except KeyError:
        raise ValueError(f'unknown instrument "{name}": use one of {", ".join(INSTRUMENTS)}') from None


def parse_score(
    text: str, asked: Instrument, labels: Mapping[str, int] | None = None
) -> int | Literal[Said.SKIP] | None:
    """The score that a typed text is: a lone number on the scale, or just the label of a button.

    None for anything else: "7 items missing" is a new message, not a score. `/skip` declines. Only ASCII digits
    count, without sign, leading zero or fraction.
    """
    said = _INVISIBLE.sub("", text).strip()
    if _SKIP.fullmatch(said):
        return Said.SKIP
    if _LONE_NUMBER.fullmatch(said):
        return int(said) if int(said) in asked.scores else None
    return {label.casefold(): score for label, score in (labels or {}).items()}.get(said.casefold())


def labels(asked: Instrument, locale: str, own: Texts | None = None) -> dict[str, int]:
    """The words on the buttons and their scores, where the buttons show words: only a yes/no question."""
    if asked.max - asked.min > 1:
        return {}
    return {wording(asked.key("low"), locale, own): asked.min, wording(asked.key("high"), locale, own): asked.max}


def card(name: str, id: str, locale: str, own: Texts | None = None) -> SurveyCard:  # noqa: A002 - the card's own word
    """What a channel draws; `id` is the invitation's."""
    asked = instrument(name)
    low, high = wording(asked.key("low"), locale, own), wording(asked.key("high"), locale, own)
    return SurveyCard(id, asked.id, asked.min, asked.max, low, high)


def body(name: str, id: str, locale: str, own: Texts | None = None, company: str = "") -> Body:  # noqa: A002
    """The question as a plain-text message: the ends spelled out, and the whole scale ascending as choices."""
    asked, drawn = instrument(name), card(name, id, locale, own)
    question = wording(asked.key("question"), locale, own, company=company or wording("we", locale, own))
    words = {score: label for label, score in labels(asked, locale, own).items()}
    choices = tuple(Choice(str(score), words.get(score, str(score))) for score in asked.scores)
    if not words:
        ends = {"min": asked.min, "low": drawn.low, "max": asked.max, "high": drawn.high}
        question += "\n" + wording("scale", locale, own, **ends)
    return Body(text=question, choices=choices, survey=drawn)


def why_body(score: int, asked: Instrument, locale: str, own: Texts | None = None) -> Body:
    """The thanks for a score and the optional question after it, with reason buttons of `value` "why:<reason>"."""
    key = "why_bad" if is_detractor(score, asked) else "why"
    buttons = tuple(Choice(f"why:{one}", wording(f"reason_{one}", locale, own)) for one in REASONS)
    return Body(text=wording(key, locale, own), choices=buttons)


def is_promoter(score: float, asked: Instrument) -> bool:
    """The best that can be said; of NPS 9 and 10."""
    return score >= (asked.good_from if asked.measure is Measure.NPS else asked.max)


def is_detractor(score: float, asked: Instrument) -> bool:
    return score <= asked.detractor_to


def contact_body(locale: str, own: Texts | None = None) -> Body:
    """Whether a colleague may contact them, with buttons of `value` "contact:yes" and "contact:no"."""
    buttons = tuple(Choice(f"contact:{one}", wording(f"contact_{one}", locale, own)) for one in ("yes", "no"))
    return Body(text=wording("contact", locale, own), choices=buttons)


def goal_body(locale: str, own: Texts | None = None) -> Body:
    """Whether they got what they came for, with buttons of `value` "goal:yes" and "goal:no"."""
    buttons = tuple(Choice(f"goal:{one}", wording(f"goal_{one}", locale, own)) for one in ("yes", "no"))
    return Body(text=wording("goal", locale, own), choices=buttons)


def parse_choice(text: str, body: Body) -> str | None:
    """The value of the button whose words a typed text is; None for anything else."""
    said = _INVISIBLE.sub("", text).strip().rstrip(".!").casefold()
    return next((one.value for one in body.choices if one.label.casefold() == said), None)


def wording(key: str, locale: str, own: Texts | None = None, **values: object) -> str:
    """The sentence `survey_<key>`; in a right-to-left language numbers are isolated too, to keep "1 = …" whole."""
    if is_rtl(locale):
        values = {name: isolate(str(value)) for name, value in values.items()}
    return say(f"survey_{key}", locale, own, **values)
