"""What a notice is, and the one decision per customer: tell, later, or leave alone. No I/O.

Decisions.
- An *incident* is about something that the customer has with us: it is told without having been asked for, unless they asked
  to be left alone. A *campaign* is not: it needs their consent, waits for the end of their case, and comes seldom.
- While a person talks with a customer nothing is told over their head: the words become a note, and the person tells them.
- Nobody is told in quiet hours, of whatever: a notice for which that is too late has an end.
- "Everybody" has to be said: an audience without any condition is refused, for that is how the wrong people are told.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from bot.errors import StafettError
from bot.model import LIVE, CaseStatus
from bot.quiet import after_quiet, quiet_of
from bot.texts.titles import LONGEST_TITLE

LONGEST_TEXT = 3_500  # characters: one message on every channel
GRACE = timedelta(seconds=2)
"""So far behind its pace a notice makes up for it at once: timers ring a little late."""
MOST_NAMED = 10_000  # customers named one by one
ENDS_AFTER = timedelta(days=2)
"""From its start, unless a notice says otherwise: what is older is no news."""
NEARLY = timedelta(hours=12)
"""Who may be told a campaign so much later (a tenth of `campaign_every`, if that is less) waits for it, and is not dropped."""
WITH_A_PERSON = frozenset({CaseStatus.OPEN, CaseStatus.PENDING, CaseStatus.SNOOZED})
CONSENT = "news"
"""The slot of scope customer that says yes to campaigns: a flow may ask for it, `/subscribe` sets it."""


class NoticeFault(StafettError):
    """A notice that cannot be told as it is: `at` names the part of it (title, texts, flow, audience)."""

    def __init__(self, at: str, told: str) -> None:
        super().__init__(f"{at}: {told}")
        self.at = at
        self.told = told


class Kind(StrEnum):
    INCIDENT = "incident"
    CAMPAIGN = "campaign"


class State(StrEnum):
    DRAFT = "draft"
    APPROVED = "approved"
    TOLD = "told"
    """Everybody has their row, and nobody waits any more."""
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why a customer was not told, in the order of the checks."""

    CANCELLED = "cancelled"
    TOO_LATE = "too_late"
    TOLD_ALREADY = "told_already"
    OPTED_OUT = "opted_out"
    NO_CONSENT = "no_consent"
    OPEN_CASE = "open_case"
    WITH_A_PERSON = "with_a_person"
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    NOT_DELIVERED = "not_delivered"


@dataclass(frozen=True, slots=True)
class Rules:
    """desk.yaml's `notices:`. `quiet` is from and to in local time (equal: never); `per_minute` customers, of each notice."""

    quiet: tuple[time, time] = (time(21), time(8))
    per_minute: int = 60
    campaign_every: timedelta = timedelta(days=30)

    @property
    def gap(self) -> timedelta:
        """Between one customer and the next."""
        return timedelta(minutes=1) / self.per_minute


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is affected. All conditions that are given must hold; those on cases hold of one and the same case.

    `topic` is as figures have it: where nobody gave a case one, its flow. `since` is when such a case was opened, at the
    earliest. `slots` are values of the customer's own slots. `customers` names them one by one; `problem` and `wish` are the
    ids of records, for all who wait for those, however many. `everyone` is for all, and then nothing else may be given
    besides `channel` and `locale`.
    """

    topic: str | None = None
    flow: str | None = None
    team: str | None = None
    since: datetime | None = None
    channel: str | None = None
    locale: str | None = None
    slots: Mapping[str, Any] = field(default_factory=dict)
    customers: Sequence[str] = ()
    problem: str | None = None
    wish: str | None = None
    everyone: bool = False

    @property
    def asks_for_case(self) -> bool:
        return any(one is not None for one in (self.topic, self.flow, self.team, self.since))

    @property
    def fault(self) -> str:
        """What is wrong with it, in a line; "" when nothing is."""
        some = bool(self.asks_for_case or self.slots or self.customers or self.problem or self.wish)
        if self.everyone and some:
            return "everyone is everyone: give no other condition, or leave everyone away"
        if not (self.everyone or some):
            return "say who is affected (topic, flow, team, since, slots or customers), or everyone"
        if len(self.customers) > MOST_NAMED:
            return f"at most {MOST_NAMED:,} customers can be named one by one"
        return ""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice. `texts` are Markdown by locale; `source` is what drafted it, where no person did.

    The next customer is told at `free_at`, no sooner; who is put off stands in line behind `last_at`.
    """

    id: str
    kind: Kind
    state: State
    title: str
    texts: Mapping[str, str]
    audience: Audience
    drafted_by: str
    drafted_at: datetime
    flow: str | None = None
    source: Mapping[str, Any] | None = None
    approved_by: str | None = None
    approved_at: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    listed_to: str | None = None
    listed_at: datetime | None = None
    free_at: datetime | None = None
    last_at: datetime | None = None


def check(notice: Notice, flows: Container[str]) -> None:
    """Raises NoticeFault with the first thing that is wrong with it. `flows` are the ids of the desk's."""
    too_long = [one for one, text in notice.texts.items() if len(text) > LONGEST_TEXT]
    faults = (
        ("title", not notice.title.strip(), "say in a few words what it is about"),
        ("title", len(notice.title) > LONGEST_TITLE, f"at most {LONGEST_TITLE} characters"),
        ("texts", not any(text.strip() for text in notice.texts.values()), "a notice needs words"),
        (
            "texts",
            bool(too_long),
            f"{', '.join(too_long)}: at most {LONGEST_TEXT:,} characters, one message on every channel",
        ),
        ("flow", notice.flow is not None and notice.flow not in flows, f'there is no flow "{notice.flow}"'),
        ("audience", bool(notice.audience.fault), notice.audience.fault),
    )
    for at, holds, told in faults:
        if holds:
            raise NoticeFault(at, told)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one customer at the moment at which they would be told.

    `status` is their live case's, None without one. `last_campaign` is when the last one was told to them.
    """

    told: bool = False
    opted_out: bool = False
    consents: bool = False
    status: CaseStatus | None = None
    reachable: bool = True
    last_campaign: datetime | None = None


@dataclass(frozen=True, slots=True)
class Tell:
    pass


@dataclass(frozen=True, slots=True)
class Later:
    """`alone`: for what was told to this customer before. Nobody else waits for that."""

    at: datetime
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    reason: Reason


def decide(notice: Notice, facts: Facts, rules: Rules, now: datetime, zone: ZoneInfo) -> Tell | Later | Skip:
    """Tell one customer now, at a later moment (never one in the quiet hours), or skip with the first reason that holds."""
    campaign = notice.kind is Kind.CAMPAIGN
    free = _free_at(facts, rules, now) if campaign else now
    nearly = free - now <= min(NEARLY, rules.campaign_every / 10)
    at = after_quiet(free if nearly else now, rules.quiet, zone)
    checks = (
        (Reason.CANCELLED, notice.state is State.CANCELLED),
        (Reason.TOO_LATE, notice.ends_at is not None and at >= notice.ends_at),
        (Reason.TOLD_ALREADY, facts.told),
        (Reason.OPTED_OUT, facts.opted_out),
        (Reason.NO_CONSENT, campaign and not facts.consents),
        (Reason.OPEN_CASE, campaign and facts.status in LIVE),
        (Reason.WITH_A_PERSON, facts.status in WITH_A_PERSON),
        (Reason.UNREACHABLE, not facts.reachable),
        (Reason.THROTTLED, not nearly),
    )
    for reason, holds in checks:
        if holds:
            return Skip(reason)
    return Tell() if at <= now else Later(at, alone=free > now)


def _free_at(facts: Facts, rules: Rules, now: datetime) -> datetime:
    """When the last campaign leaves them free for another one. The same one repeated just so long after it comes to some a
    little earlier: who is told in what moment depends on who else is, on the night, and on summer time.
    """
    return now if facts.last_campaign is None else max(now, facts.last_campaign + rules.campaign_every)


def tell_next(notice: Notice, rules: Rules, now: datetime) -> Notice | None:
    """The notice, its pace kept, when one more customer is told; None: it is too soon after the last one."""
    if notice.free_at is not None and now < notice.free_at:
        return None
    return replace(notice, free_at=max(notice.free_at or now, now - GRACE) + rules.gap)


def in_line(notice: Notice, rules: Rules, at: datetime, zone: ZoneInfo) -> tuple[Notice, datetime]:
    """A moment for one customer more, `at` or later: at the notice's pace, and never in the quiet hours."""
    free = notice.last_at + rules.gap if notice.last_at is not None else at
    moment = after_quiet(max(at, free), rules.quiet, zone)
    return replace(notice, last_at=moment), moment


def text_for(texts: Mapping[str, str], locale: str, locales: Sequence[str]) -> str:
    """The words for a customer: in their language, else in the first of the desk's languages that has them."""
    for one in (locale, *locales, *texts):
        if texts.get(one):
            return texts[one]
    return ""


def rules_from(section: Mapping[str, Any] | None) -> Rules:
    """The rules of desk.yaml's `notices:`, as the desk's loader has checked them."""
    found = section or {}
    default = Rules()
    quiet = found.get("quiet_hours")
    return Rules(
        quiet_of(str(quiet)) if quiet is not None else default.quiet,
        int(found.get("per_minute", default.per_minute)),
        timedelta(seconds=found["campaign_every"]) if "campaign_every" in found else default.campaign_every,
    )
