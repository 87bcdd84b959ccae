"""What may be sent, and what is answered. Requests are closed (an unknown field is 422) and strict (a string is a string)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bot.model import CaseStatus

TEXT_LIMIT = 16_000
"""Characters of one message, as on every channel."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def storable(value: Any) -> Any:
    """A text without what databases and platforms refuse: controls, halves of surrogate pairs. Line ends are line feeds."""
    if not isinstance(value, str):
        return value
    whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROLS.sub("", whole.replace("\r\n", "\n").replace("\r", "\n"))


def in_utc(value: datetime) -> datetime:
    """As UTC. The year 1 east of Greenwich is no year there, nor is the last evening of 9999 one where it is read."""
    try:
        at = value.astimezone(UTC)
        _ = at - timedelta(days=1), at + timedelta(days=1)
    except OverflowError:
        msg = "there is no such time in every time zone"
        raise ValueError(msg) from None
    return at


Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
"""A time with its offset, as UTC."""


def not_blank(value: str) -> str:
    if not value.strip():
        msg = "is empty"
        raise ValueError(msg)
    return value


T = TypeVar("T", bound=str)
Stored = Annotated[T, BeforeValidator(storable)]
"""A `str` with its limits, which stand inside: so what is too long is told in characters."""
Words = Annotated[
    T,
    BeforeValidator(storable),
    AfterValidator(not_blank),
    Field(json_schema_extra={"minLength": 1, "pattern": r"\S"}),
]
Text = Words[Annotated[str, Field(max_length=TEXT_LIMIT)]]
ShortText = Words[Annotated[str, Field(max_length=1_000)]]
Id = Words[Annotated[str, Field(max_length=200)]]
EventName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$", max_length=100)]
SlotName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
SlotValue = (
    Stored[Annotated[str, Field(max_length=4_000)]]
    | bool
    | Annotated[int, Field(ge=-(10**15), le=10**15)]
    | Annotated[float, Field(allow_inf_nan=False)]
    | None
)
Filter = Stored[Annotated[str, Field(min_length=1, max_length=200)]]
Outcome = Literal["resolved", "no_solution", "duplicate", "abandoned", "spam"]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


# ── what is sent ───────────────────────────────────────────────────────────────────────────────────────────────────
class Said(Closed):
    """Words for a customer."""

    text: Text


class Event(Closed):
    """Something of another system that concerns a customer: `parcel.delivered`. The same `id` twice is one event."""

    name: EventName
    values: Annotated[dict[SlotName, SlotValue], Field(max_length=50)] = Field(default_factory=dict)
    id: Id | None = None


class AgentSaid(Closed):
    """An agent's words. `agent` is their id in desk.yaml."""

    text: Text
    agent: Id | None = None


class ErrandAsked(Closed):
    """A question to a `team`, or a task of an `agent` until `due_at`. `by` is the agent who asks; without one, a program."""

    text: Words[Annotated[str, Field(max_length=3_000)]]
    team: Id | None = None
    agent: Id | None = None
    due_at: Moment | None = None
    by: Id | None = None


class ErrandAnswer(Closed):
    text: Words[Annotated[str, Field(max_length=3_000)]]
    agent: Id


class Assignment(Closed):
    agent: Id


class Resolution(Closed):
    """How a case ended. `no_solution` needs a `reason`, which the customer is told."""

    outcome: Outcome
    topic: ShortText | None = None
    reason: ShortText | None = None
    agent: Id | None = None

    @model_validator(mode="after")
    def _owes_a_reason(self) -> Resolution:
        if self.outcome == "no_solution" and self.reason is None:
            msg = "reason: without a solution the customer is owed a reason; give one"
            raise ValueError(msg)
        return self


class CsvFile(Closed):
    """Answers as CSV: `respondent,instrument,score,comment,time,…`, as `stafett responses export` writes them."""

    csv: Annotated[str, Field(min_length=1)]


class Talk(Closed):
    """What a customer said elsewhere, written down by `agent`. A score comes with its instrument."""

    agent: Id
    text: Text
    source: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_ -]{0,39}$")] = "talk"
    mode: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_ -]{0,39}$")] | None = None
    customer: Id | None = None
    case: Id | None = None
    respondent: Id | None = None
    instrument: Literal["ces7", "ces7_statement", "csat5", "csat2", "nps"] | None = None
    score: int | None = None
    topic: ShortText | None = None
    at: Moment | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Talk:
        if (self.score is None) != (self.instrument is None):
            msg = "score: a score comes with its instrument, and an instrument with a score"
            raise ValueError(msg)
        return self


class Page(Closed):
    """Where a list goes on: `after` is the `next` of the page before."""

    after: Filter | None = None
    limit: int = Field(50, ge=1, le=200)


class MessagePage(Closed):
    """`after` is a `seq`."""

    after: int = Field(0, ge=0, le=2**31 - 1)
    limit: int = Field(50, ge=1, le=200)


class CasePage(Page):
    status: CaseStatus | None = None
    channel: Filter | None = None
    team: Filter | None = None
    agent: Filter | None = None
    customer: Filter | None = None


class ReportQuery(Closed):
    """`from` and `to` are days or times (ISO 8601), a day as `to` counts in; `by` names dimensions, with commas; `where` is
    `channel=web`, and may be repeated: several of one dimension mean any of them.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    since: Filter | None = Field(None, alias="from")
    until: Filter | None = Field(None, alias="to")
    by: Filter | None = None
    where: list[Filter] = Field(default_factory=list, max_length=20)


class Nothing(Closed):
    """A call without parameters."""


# ── what is answered ───────────────────────────────────────────────────────────────────────────────────────────────
class Accepted(BaseModel):
    """An event was stored; flows that wait for it, or begin with it, hear of it now."""

    id: str
    customer: str


class IdentityShape(BaseModel):
    channel: str
    external_id: str
    evidence: str
    name: str
    reachable: bool


class CustomerShape(BaseModel):
    id: str
    name: str
    locale: str
    identities: list[IdentityShape]
    created_at: datetime
    attributes: dict[str, Any]


class AuthorShape(BaseModel):
    kind: str
    name: str
    id: str | None


class FileShape(BaseModel):
    id: str
    name: str
    type: str
    size: int


class MessageShape(BaseModel):
    """`seq` is null for a note. A deleted message keeps its place and loses its words."""

    seq: int | None
    id: str
    author: AuthorShape
    channel: str
    text: str
    files: list[FileShape]
    at: datetime
    customer: str
    case: str | None
    edited_at: datetime | None
    deleted_at: datetime | None


class ScoreShape(BaseModel):
    instrument: str
    score: int
    comment: str | None
    at: datetime


class CaseShape(BaseModel):
    id: str
    number: int | None
    customer: str
    status: CaseStatus
    channel: str
    locale: str
    team: str | None
    agent: str | None
    topic: str | None
    outcome: str | None
    reason: str | None = Field(description="What the customer was told with outcome no_solution.")
    priority: str
    escalation: str | None = Field(description="Why people were fetched.")
    opened_at: datetime
    escalated_at: datetime | None
    claimed_at: datetime | None
    first_reply_at: datetime | None
    resolved_at: datetime | None
    resolved_by: str | None
    reopened: int
    survey: ScoreShape | None = None


class AgentShape(BaseModel):
    id: str
    name: str
    team: str | None
    available: bool
    role: str
    locales: list[str]


class ResponseShape(BaseModel):
    id: str
    case: str | None
    customer: str | None
    instrument: str
    score: int
    comment: str | None
    channel: str | None
    locale: str | None
    agent: str | None
    team: str | None
    topic: str | None
    at: datetime
    source: str | None = Field(None, description="Of what was not answered in the chat: where it comes from.")
    mode: str | None = Field(None, description="`phone`, `in_person` …; null in the chat.")


class Done(BaseModel):
    done: bool


class ImportedShape(BaseModel):
    """How many rows the file had, and how many of them were new."""

    rows: int
    new: int


class ErasedShape(BaseModel):
    """`left` tells what lies on other people's machines."""

    customer: str
    rows: dict[str, int]
    left: list[str]


class Customers(BaseModel):
    items: list[CustomerShape]
    next: str | None


class Messages(BaseModel):
    items: list[MessageShape]
    next: str | None


class ErrandShape(BaseModel):
    """What colleagues were asked for a case. `kind` is consult or task, `state` open, answered or withdrawn."""

    id: str
    kind: str
    case: str
    team: str | None
    agent: str | None
    by: str | None
    text: str
    state: str
    asked_at: datetime
    due_at: datetime
    answered_by: str | None
    ended_at: datetime | None


class Errands(BaseModel):
    items: list[ErrandShape]
    next: str | None


class Cases(BaseModel):
    items: list[CaseShape]
    next: str | None


class Agents(BaseModel):
    items: list[AgentShape]
    next: str | None


class Responses(BaseModel):
    items: list[ResponseShape]
    next: str | None


class Problem(BaseModel):
    """RFC 9457. `errors` stand in answers with 422, each with its place."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None
