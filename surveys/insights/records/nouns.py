"""The nouns of what is to be mended. Frozen, plain; dates are days in the desk's time zone, times UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

LONGEST_TEXT = 4_000
LONGEST_MESSAGE = 3_500


class AlarmState(StrEnum):
    OPEN = "open"
    DISMISSED = "dismissed"
    HANDLED = "handled"


@dataclass(frozen=True, slots=True)
class Alarm:
    """A topic that came up far more often in a week (`2026-W47`) than it used to. `notice_id` is the draft that it made."""

    id: str
    topic: str
    week: str
    cases: int
    customers: int
    expected: float
    p: float
    q: float
    state: AlarmState
    at: datetime
    notice_id: str | None = None
    problem_id: str | None = None

    @property
    def ratio(self) -> float:
        return self.cases / self.expected if self.expected else float(self.cases)


class LabelKind(StrEnum):
    COMPLAINT = "complaint"
    SUGGESTION = "suggestion"
    PRAISE = "praise"


class Area(StrEnum):
    PRODUCT = "product"
    SERVICE = "service"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Label:
    """What a case told us besides its question. `source` is flow or agent; `by` who set it, None for a flow."""

    id: str
    case_id: str
    customer_id: str
    kind: LabelKind
    area: Area | None
    text: str
    source: str
    by: str | None
    at: datetime
    number: int | None = None
    topic: str | None = None
    channel: str | None = None


class ProblemState(StrEnum):
    OPEN = "open"
    FIXING = "fixing"
    FIXED = "fixed"
    VERIFIED = "verified"
    DROPPED = "dropped"


STANDING = frozenset({ProblemState.OPEN, ProblemState.FIXING})
"""Not mended yet: these age."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A cause behind several cases. `message` is what those who wait are told when it is fixed, by locale."""

    id: str
    title: str
    created_by: str
    created_at: datetime
    updated_at: datetime
    topic: str | None = None
    cause: str = ""
    owner: str = ""
    fix: str = ""
    message: Mapping[str, str] = field(default_factory=dict)
    state: ProblemState = ProblemState.OPEN
    due_on: date | None = None
    verified_on: date | None = None
    fixed_at: datetime | None = None
    notice_id: str | None = None


@dataclass(frozen=True, slots=True)
class Linked:
    """A case of a problem."""

    case_id: str
    customer_id: str
    number: int | None
    customer: str
    status: str
    topic: str | None
    opened_at: datetime


class WishState(StrEnum):
    OPEN = "open"
    PLANNED = "planned"
    SHIPPED = "shipped"
    DECLINED = "declined"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class Wish:
    """What customers would like to have. `votes` counts customers, however often they said it."""

    id: str
    title: str
    state: WishState
    created_by: str
    created_at: datetime
    updated_at: datetime
    area: Area | None = None
    merged_into: str | None = None
    message: Mapping[str, str] = field(default_factory=dict)
    shipped_at: datetime | None = None
    notice_id: str | None = None
    votes: int = 0


@dataclass(frozen=True, slots=True)
class Vote:
    id: str
    wish_id: str
    customer_id: str
    case_id: str | None
    text: str
    locale: str
    at: datetime
    customer: str = ""
    number: int | None = None


class Metric(StrEnum):
    """By what an improvement is judged."""

    CSAT = "csat"
    CES = "ces"
    CES_GOOD = "ces_good"
    NPS = "nps"
    CONTACTS = "contacts"
    REOPENED = "reopened"
    ESCALATED = "escalated"
    UNSOLVED = "unsolved"
    TTR = "ttr"

    @property
    def fewer_is_better(self) -> bool:
        return self in {Metric.CONTACTS, Metric.REOPENED, Metric.ESCALATED, Metric.UNSOLVED, Metric.TTR}

    @property
    def by_survey(self) -> bool:
        return self in {Metric.CSAT, Metric.CES, Metric.CES_GOOD, Metric.NPS}

    @property
    def is_share(self) -> bool:
        return self in {Metric.CSAT, Metric.CES_GOOD, Metric.REOPENED, Metric.ESCALATED, Metric.UNSOLVED}


SCOPES = ("topic", "flow", "channel", "team")
LEAST_DAYS, MOST_DAYS = 7, 366


@dataclass(frozen=True, slots=True)
class Improvement:
    """A change: on `starts_on`, in a `scope` (all its conditions hold), judged by one `metric` over `days` on either side.

    `cost` and `unit_value` are in `currency`; a unit is a contact that did not come, or a case that went well beyond what was
    to be expected. The metric was chosen at `metric_fixed_at`.
    """

    id: str
    title: str
    starts_on: date
    days: int
    metric: Metric
    metric_fixed_at: datetime
    created_by: str
    created_at: datetime
    updated_at: datetime
    what: str = ""
    scope: Mapping[str, str] = field(default_factory=dict)
    cost: float | None = None
    unit_value: float | None = None
    currency: str = ""

    @property
    def chosen_late(self) -> bool:
        """Whether the metric was chosen when its figures could be seen already."""
        return self.metric_fixed_at.date() > self.starts_on
