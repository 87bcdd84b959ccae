"""The nouns of taking over: the case, an agent's words on their way, an agent as colleagues see them.

Frozen and plain; the lifecycle stands in `lifecycle.py`, what changes a case in `cases.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from bot.model import LIVE, WITH_PEOPLE, CaseStatus, FileRef, Message
from bot.nouns import noun

OUTCOMES = ("resolved", "no_solution", "duplicate", "abandoned", "spam")
"""How a case can end. `no_solution` needs a reason, which the customer is told."""
TIME_ZONE = "time_zone"
"""Among a customer's attributes: an IANA name, as their platform tells it."""


@noun(frozen=True, slots=True)
class Case:
    """An episode of a customer's conversation: a row of `cases`."""

    id: str
    number: int | None  # short, for people
    customer_id: str
    status: CaseStatus
    channel: str
    locale: str
    opened_at: datetime
    updated_at: datetime
    team: str | None = None
    agent_id: str | None = None  # who holds it
    last_agent_id: str | None = None
    topic: str | None = None
    outcome: str | None = None
    reason: str | None = None
    priority: str = "normal"
    escalation: Mapping[str, Any] | None = None  # {"reason_code", "reason", "show", "tried", "sla_s", "prefer_agent"}
    flow: str | None = None
    flow_version: str | None = None
    escalated_at: datetime | None = None
    claimed_at: datetime | None = None
    first_reply_at: datetime | None = None
    last_customer_at: datetime | None = None
    last_agent_at: datetime | None = None
    resolved_at: datetime | None = None
    first_resolved_at: datetime | None = None
    closed_at: datetime | None = None
    resolved_by: str | None = None  # flow | agent | silence | customer
    confirmed: bool | None = None
    reopened: int = 0
    handoffs: int = 0
    questions: int = 0
    wait: Mapping[str, Any] | None = None  # what the customer was last told: see `waiting.Told`
    next_action_at: datetime | None = None
    agents: tuple[str, ...] = ()
    survey: Mapping[str, Any] | None = None
    routing: Mapping[str, Any] | None = None  # see `routing.Route`
    sla: Mapping[str, Any] | None = None  # see `sla.Clock`

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def with_people(self) -> bool:
        """A human holds the baton, or will: the bot is silent."""
        return self.status in WITH_PEOPLE

    @property
    def concerns_people(self) -> bool:
        """A desk has, or once had, something to do with it: it was escalated or somebody took it."""
        fetched = self.escalation is not None or self.escalated_at is not None  # a reopening forgets when
        return self.with_people or fetched or bool(self.agents)


@dataclass(frozen=True, slots=True)
class Route:
    """What `cases.routing` keeps: how a case finds its agent, and how far its waiting has gone.

    `since`: from when the ladder counts, whose next rung is number `rung`; those of `early` were climbed before their time.
    `tried` had it and let it lie; `skills` are asked for by a rule; `knew` helped this customer before. `offered_at`: when the
    house gave it to its agent, who has not answered yet. `pending_since`, `nudged_at`: of a case that waits for its customer.
    """

    since: datetime | None = None
    rung: int = 0
    early: tuple[int, ...] = ()
    tried: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    knew: str | None = None
    offered_at: datetime | None = None
    pending_since: datetime | None = None
    nudged_at: datetime | None = None

    @classmethod
    def of(cls, case: Case) -> Route:
        raw = dict(case.routing or {})
        for name in ("since", "offered_at", "pending_since", "nudged_at"):
            raw[name] = datetime.fromisoformat(raw[name]) if raw.get(name) else None
        for name in ("early", "tried", "skills"):
            raw[name] = tuple(raw.get(name, ()))
        return cls(**{one.name: raw[one.name] for one in fields(cls) if one.name in raw})

    def to_json(self) -> dict[str, Any]:
        """Only what is set."""
        found = {name: value for name, value in asdict(self).items() if value}
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class PeopleCalled:
    """Told inside the transaction: somebody beside the case's team should look. `why` is ladder | breach | knows.

    `group` is a Slack user group, `person` an agent; `text` what stands as a note in the case too, in the agents' language.
    """

    case: Case
    why: str
    text: str
    group: str | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One step of a case's life, from the audit."""

    n: int
    kind: str
    agent_id: str | None
    data: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Relay:
    """An agent's words on their way from a desk to the customer.

    `state` is waiting (in the undo window) | said | taken_back | note (it became one) | refused (the case moved on;
    kept as a note). `delivery`, once said, is pending | sent | failed | uncertain, and `fault` why. `ref` is the
    desk's own name of the post; `message_id` the message (or note) that it became. `held`: why it waits for a second look of
    its agent's (see `send_check`), and then never leaves by itself.
    """

    id: str
    case_id: str
    customer_id: str
    agent_id: str
    desk: str
    ref: str | None
    text: str
    files: tuple[FileRef, ...]
    state: str
    epoch: int
    due_at: datetime
    message_id: str | None
    created_at: datetime
    held: tuple[str, ...] | None = None
    delivery: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class AgentView:
    """An agent as listed in desk.yaml (or known by the Slack channel), with their state of now."""

    id: str
    name: str
    team: str | None = None
    role: str = "agent"  # agent | lead | admin
    locales: tuple[str, ...] = ()
    available: bool = True
    busy: bool = False  # there, but given no new cases

    @property
    def leads(self) -> bool:
        return self.role in {"lead", "admin"}


@dataclass(frozen=True, slots=True)
class RelayChanged:
    """Told inside the transaction: a relay has a new state or delivery."""

    relay: Relay


@dataclass(frozen=True, slots=True)
class MessageTaken:
    """Told inside the transaction: a customer's message went into a case that people hold."""

    case: Case
    message: Message
    extra: Mapping[str, Any] = field(default_factory=dict)
