"""What a desk folder says, read and checked: frozen dataclasses.

Durations are `timedelta`s, opening hours local times, languages canonical (`no` is `nb`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.answers.article import Article
from bot.answers.rules import DEFAULT as DEFAULT_RULES
from bot.answers.rules import Rule
from bot.flows.names import Names
from bot.flows.schema import Flow

if TYPE_CHECKING:
    from bot.flows.transcripts import ConversationTest

Week = Mapping[str, tuple[tuple[time, time], ...]]
"""mon … sun → spans of local time; a day that is not named is closed. 24:00 is time(0)."""


@dataclass(frozen=True, slots=True)
class Team:
    """`hours` and `holidays` are its own; None and () leave it to the desk's."""

    id: str
    name: str
    slack_channel: str | None = None
    hours: Week | None = None
    holidays: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class SlackAccount:
    team: str
    user: str


@dataclass(frozen=True, slots=True)
class Agent:
    """`role` is agent | lead | admin."""

    id: str
    name: str
    team: str | None = None
    role: str = "agent"
    locales: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    slack: SlackAccount | None = None


@dataclass(frozen=True, slots=True)
class Connector:
    """An HTTP request; `${NAME}` and `{{ name }}` in it are filled in when it is sent."""

    id: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file of the desk as a connector: `rows` by the value of the column `key`, in lower case."""

    id: str
    key: str
    rows: Mapping[str, Mapping[str, Any]]
    file: str = ""

    def find(self, value: object) -> Mapping[str, Any] | None:
        return self.rows.get(str(value).strip().casefold())


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Words that cut in at any point. `run` a flow, or `do`: escalate | restart | cancel | back | language."""

    id: str
    phrases: Mapping[str, tuple[str, ...]]
    run: str | None = None
    do: str | None = None


@dataclass(frozen=True, slots=True)
class Escalation:
    """None leaves it to the default of who asks. `team` takes what names no other. `rules`: when people are fetched."""

    team: str | None = None
    queue_updates: timedelta | None = None
    silence: timedelta | None = None
    idle: timedelta | None = None
    rules: tuple[Rule, ...] = DEFAULT_RULES


@dataclass(frozen=True, slots=True)
class Routing:
    """How a queued case finds its agent: `assign` is manual | round_robin | least_busy, `capacity` cases an agent."""

    assign: str = "manual"
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class Sla:
    """Targets of one priority ("" for all)."""

    priority: str = ""
    first_response: timedelta | None = None
    next_response: timedelta | None = None
    resolution: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Privacy:
    """How long things are kept; None: until somebody erases them."""

    keep_messages: timedelta | None = None
    keep_files: timedelta | None = None
    keep_visitors: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What the optional language model may cost in 24 hours, in tokens, and how long an answer may take."""

    tokens_per_day: int = 500_000
    tokens_per_customer: int = 10_000
    timeout: timedelta = timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class Macro:
    """An agents' saved reply. `body` is Markdown with `{{ customer.name }}`, `{{ agent.name }}` or `{{ case.id }}`."""

    id: str
    title: str
    locale: str
    body: str
    file: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """One desk. `hash` changes when any of its files does; `flows` and `pinned` are by id and by content hash.

    `surveys` is the checked section of desk.yaml in its own words (`surveys.timing.rules_from` reads it); None when
    it has none. `hours` None: always open. `human_flow` is the flow that fetches a human, if the desk has one.
    """

    name: str
    locales: tuple[str, ...] = ("en",)
    time_zone: str = "UTC"
    hours: Week | None = None
    holidays: tuple[date, ...] = ()
    teams: tuple[Team, ...] = ()
    agents: tuple[Agent, ...] = ()
    connectors: Mapping[str, Connector | Table] = field(default_factory=dict)
    interrupts: tuple[Interrupt, ...] = ()
    escalation: Escalation = field(default_factory=Escalation)
    routing: Routing = field(default_factory=Routing)
    sla: tuple[Sla, ...] = ()
    surveys: Mapping[str, Any] | None = None
    replies: str = "thread"  # thread | explicit
    undo: timedelta = timedelta(seconds=5)
    reopen_window: timedelta = timedelta(hours=72)
    privacy: Privacy = field(default_factory=Privacy)
    targets: Mapping[str, float] = field(default_factory=dict)
    model: ModelLimits = field(default_factory=ModelLimits)
    allow_hosts: tuple[str, ...] = ()
    flows: Mapping[str, Flow] = field(default_factory=dict)
    articles: tuple[Article, ...] = ()
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    macros: tuple[Macro, ...] = ()
    tests: tuple[ConversationTest, ...] = ()
    hash: str = ""
    folder: Path | None = None
    warnings: tuple[Any, ...] = ()  # of bot.flows.source.Fault
    names: Names = field(default_factory=Names, repr=False, compare=False)  # what the flows could refer to
    pinned: Mapping[str, Flow] = field(default_factory=dict)
    is_builtin: bool = False  # the demo desk of the product itself, not a copy of it

    @property
    def human_flow(self) -> str | None:
        return next((one.run for one in self.interrupts if one.id == "human"), None)

    def flow(self, flow_id: str, content_hash: str) -> Flow | None:
        """That very version of a flow, while anybody still has it; else None."""
        now = self.flows.get(flow_id)
        if now is not None and now.hash == content_hash:
            return now
        return self.pinned.get(content_hash)

    def keeping(self, before: Desk) -> Desk:
        """This desk, with the versions of `before`'s flows kept for the conversations that run in them."""
        old = {flow.hash: flow for flow in before.flows.values()}
        return replace(self, pinned={**before.pinned, **old})
