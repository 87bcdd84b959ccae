"""What a desk folder says, read and checked: frozen dataclasses.

Durations are `timedelta`s, opening hours local times, languages canonical (`no` is `nb`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.answers.article import Article
from bot.answers.decide import Thresholds
from bot.answers.rules import DEFAULT as DEFAULT_RULES
from bot.answers.rules import Rule
from bot.flows.names import Names
from bot.flows.schema import Flow
from bot.staffing.holidays import DaysOff
from bot.staffing.hours import Week
from bot.staffing.routing import Rung

if TYPE_CHECKING:
    from bot.flows.expressions import Expression
    from bot.flows.transcripts import ConversationTest

REACTIONS: Mapping[str, str] = {"eyes": "claim", "white_check_mark": "resolve"}
"""What a reaction on a case's card in Slack does, unless desk.yaml says otherwise."""


@dataclass(frozen=True, slots=True)
class Team:
    """`hours`, `time_zone`, `holidays` and `capacity` are its own; None leaves them to the desk's (own days off are added).

    `locales` are the languages that it speaks (none: all), `skills` what it can do; `overflow` is the team that takes its
    cases while it is closed or nobody of it is there. Members of the user group `slack_group` are its agents.
    """

    id: str
    name: str
    slack_channel: str | None = None
    hours: Week | None = None
    holidays: DaysOff | None = None
    time_zone: str | None = None
    locales: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    capacity: int | None = None
    overflow: str | None = None
    slack_group: str | None = None


@dataclass(frozen=True, slots=True)
class SlackAccount:
    team: str
    user: str


@dataclass(frozen=True, slots=True)
class Agent:
    """`role` is agent | lead | admin; `capacity` so many cases at once, None as their team's or the desk's."""

    id: str
    name: str
    team: str | None = None
    role: str = "agent"
    locales: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    slack: SlackAccount | None = None
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class Connector:
    """An HTTP request; `${NAME}` and `{{ name }}` in it are filled in when it is sent."""

    id: str
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told what happens. `secret` names the environment's variable that signs it; `events` of message, case, answer,
    wish.
    """

    id: str
    url: str
    secret: str
    events: tuple[str, ...]


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
    """None leaves it to the default of who asks. `team` takes what names no other. `rules`: when people are fetched.

    A case that waits for the customer: after `nudge` they are asked whether that was all, after `give_up` (from the same
    moment) it ends; zero for never.
    """

    team: str | None = None
    queue_updates: timedelta | None = None
    silence: timedelta | None = None
    idle: timedelta | None = None
    nudge: timedelta | None = None
    give_up: timedelta | None = None
    rules: tuple[Rule, ...] = DEFAULT_RULES


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """Where a case goes for which `condition` holds (over `customer` and `case`): to a `team`, to who has `skills`."""

    condition: Expression
    team: str | None = None
    skills: tuple[str, ...] = ()
    priority: str | None = None


@dataclass(frozen=True, slots=True)
class Routing:
    """How a queued case finds its agent: `assign` is manual | round_robin | least_busy, `capacity` cases an agent.

    `answer_within`: who was given a case and writes nothing for so long loses it again. `prefer_known`: who helped this
    customer before goes first. `offer_after`: who has to wait longer is offered to be called back, or to go on with the
    bot; zero for never. `rules` in their order, the first that holds; `ladder` what happens while nobody answers.
    """

    assign: str = "manual"
    capacity: int | None = None
    answer_within: timedelta = timedelta(minutes=2)
    prefer_known: bool = True
    offer_after: timedelta = timedelta(minutes=5)
    rules: tuple[RoutingRule, ...] = ()
    ladder: tuple[Rung, ...] = ()


@dataclass(frozen=True, slots=True)
class Sla:
    """Targets of one priority ("" for all), in business time. `warn` at that share of a target, colleagues are warned."""

    priority: str = ""
    warn: float | None = None
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
class Rollout:
    """`share` (0–1) of the customers begin the flow in the version in force, all others in the one with the hash `before`."""

    share: float
    before: str

    def is_in(self, flow_id: str, customer_id: str) -> bool:
        """Always the same for a customer, and no other customers for another flow."""
        drawn = hashlib.sha256(f"{flow_id}/{customer_id}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(drawn[:6]) < self.share * 2**48


@dataclass(frozen=True, slots=True)
class Versions:
    """How long who runs in an old version of a flow stays in it; `kill` are hashes of versions that nobody runs any more;
    `rollout` the flows of which only a part of the customers gets the version in force.
    """

    pin_days: int = 30
    kill: tuple[str, ...] = ()
    rollout: Mapping[str, Rollout] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What the optional language model may cost in 24 hours, in tokens, and how long an answer may take.

    `summaries`: whether it sums up for agents what was said in a case that comes to them.
    """

    tokens_per_day: int = 500_000
    tokens_per_customer: int = 10_000
    timeout: timedelta = timedelta(seconds=20)
    summaries: bool = False


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

    `surveys`, `notices` and `digest` are the checked sections of desk.yaml in their own words (read by
    `surveys.timing.rules_from`, `bot.outreach.notice.rules_from`, `surveys.digest.week.plan_from`); None where there is none.
    `hours` None: always open. `human_flow` is the flow that fetches a human, if the desk has one.
    """

    name: str
    locales: tuple[str, ...] = ("en",)
    time_zone: str = "UTC"
    hours: Week | None = None
    holidays: DaysOff = field(default_factory=DaysOff)
    teams: tuple[Team, ...] = ()
    agents: tuple[Agent, ...] = ()
    connectors: Mapping[str, Connector | Table] = field(default_factory=dict)
    interrupts: tuple[Interrupt, ...] = ()
    escalation: Escalation = field(default_factory=Escalation)
    routing: Routing = field(default_factory=Routing)
    sla: tuple[Sla, ...] = ()
    surveys: Mapping[str, Any] | None = None
    notices: Mapping[str, Any] | None = None
    digest: Mapping[str, Any] | None = None
    quality: Mapping[str, Any] | None = None
    pulse: Mapping[str, Any] | None = None
    replies: str = "thread"  # thread | explicit
    reactions: Mapping[str, str] = field(default_factory=lambda: dict(REACTIONS))  # on a case's card: emoji → verb
    undo: timedelta = timedelta(seconds=5)
    reopen_window: timedelta = timedelta(hours=72)
    privacy: Privacy = field(default_factory=Privacy)
    targets: Mapping[str, float] = field(default_factory=dict)
    model: ModelLimits = field(default_factory=ModelLimits)
    versions: Versions = field(default_factory=Versions)
    answers: Thresholds = field(default_factory=Thresholds)
    allow_hosts: tuple[str, ...] = ()
    webhooks: tuple[Webhook, ...] = ()
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

    @property
    def questions(self) -> frozenset[str]:
        """The steps at which a flow in force asks something, as `flow/step`."""
        return frozenset(f"{flow.id}/{step}" for flow in self.flows.values() for step in flow.questions)

    def flow(self, flow_id: str, content_hash: str) -> Flow | None:
        """That very version of a flow, while anybody still has it; else None."""
        now = self.flows.get(flow_id)
        if now is not None and now.hash == content_hash:
            return now
        return self.pinned.get(content_hash)

    def begins_a_flow(self, event: str) -> bool:
        """Whether a flow begins when another system tells this."""
        return any(flow.triggers.event == event for flow in self.flows.values())

    def begins_in(self, flow_id: str, customer_id: str) -> Flow | None:
        """The version in which this customer begins a flow: that in force, unless a roll-out has not come to them."""
        now, planned = self.flows.get(flow_id), self.versions.rollout.get(flow_id)
        old = self.pinned.get(planned.before) if planned is not None and customer_id else None
        if now is None or planned is None or old is None or old.id != flow_id or old.hash in self.versions.kill:
            return now
        return now if planned.is_in(flow_id, customer_id) else old

    def keeping(self, before: Desk) -> Desk:
        """This desk, with the versions of `before`'s flows kept for the conversations that run in them."""
        old = {flow.hash: flow for flow in before.flows.values()}
        return replace(self, pinned={**before.pinned, **old})
