"""What happened, told inside the transaction in which it happened.

Rooms that must not know each other meet here: `handoff` tells that a case was resolved, `surveys` hears it.
Who hears what is one table, in `bot/app.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from bot.model import AuthorKind, CaseStatus, Identity, Message
from bot.nouns import noun


@noun(frozen=True, slots=True)
class TimelineGrew:
    """The customer's timeline has an entry with this `seq`: live views (the widget, desks) look again."""

    customer_id: str
    seq: int


@noun(frozen=True, slots=True)
class MessageStored:
    """A message is in the history; `case_id` on it says in which case. Notes come too (`seq` None)."""

    message: Message


@noun(frozen=True, slots=True)
class MessageEdited:
    message: Message
    before: str


@noun(frozen=True, slots=True)
class MessageDeleted:
    message: Message


@noun(frozen=True, slots=True)
class EscalationAsked:
    """The bot gives up the baton: handoff queues the case. `text` is said to the customer, if not empty.

    `show` are slots for the card, as (name, value); `tried` what the bot did, as lines; `sla_s` seconds.
    `prefer_agent` is who knew the customer; `survey` what the flow chose for the end, as in CloseAsked. `goes_on`: the flow
    asks the customer something while they wait.
    """

    customer_id: str
    reason_code: str
    reason: str = ""
    team: str | None = None
    priority: str = "normal"
    show: Sequence[tuple[str, str]] = ()
    tried: Sequence[str] = ()
    text: str = ""
    sla_s: int | None = None
    prefer_agent: str | None = None
    survey: Mapping[str, Any] | None = None
    goes_on: bool = False


@noun(frozen=True, slots=True)
class CloseAsked:
    """The bot ends the case. `by` is flow | customer | silence."""

    customer_id: str
    outcome: str
    topic: str | None = None
    reason: str | None = None
    by: str = "flow"
    confirmed: bool | None = None
    survey: Mapping[str, Any] | None = None


@noun(frozen=True, slots=True)
class CaseChanged:
    """A case moved or what people see of it changed: widget and desks look again."""

    customer_id: str
    case_id: str
    status: CaseStatus


@noun(frozen=True, slots=True)
class CaseResolved:
    case_id: str
    customer_id: str
    outcome: str
    by: str


@noun(frozen=True, slots=True)
class CaseReopened:
    case_id: str
    customer_id: str


@noun(frozen=True, slots=True)
class Said:
    """Of a message: whose it is now, where and by whom it was said, and what else is kept with it."""

    id: str
    customer_id: str
    channel: str
    by: AuthorKind
    meta: Mapping[str, Any]

    @classmethod
    def of(cls, message: Message) -> Said:
        return cls(message.id, message.customer_id, message.channel, message.author.kind, message.meta)


@noun(frozen=True, slots=True)
class SendSettled:
    """What became of an outbox row. `outcome` is sent | failed | expired; `ext_id` the platform's name of it.

    `data` is the sender's own word on it (a Slack thread's ts, a fetched file's size); `said` of the message it is a part of.
    """

    outbox_id: str
    via: str
    kind: str
    outcome: str
    customer_id: str | None
    case_id: str | None
    message_id: str | None
    payload: Mapping[str, Any]
    ext_id: str | None = None
    error: str | None = None
    doubled: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    said: Said | None = None


@noun(frozen=True, slots=True)
class SendDelayed:
    """A row will leave more than a minute after it was said: a limit, a platform that asks to wait, or one that is down.

    `until` is when it is tried next (UTC). Told once a row; what becomes of it is told by `SendSettled`.
    """

    outbox_id: str
    via: str
    kind: str
    customer_id: str | None
    case_id: str | None
    message_id: str | None
    until: datetime


@noun(frozen=True, slots=True)
class ReachabilityChanged:
    identity: Identity
    reachable: bool


@noun(frozen=True, slots=True)
class LanguageChanged:
    """The customer is spoken to in another language from now on."""

    customer_id: str
    locale: str


@noun(frozen=True, slots=True)
class SurveyAnswered:
    response_id: str
    case_id: str | None
    customer_id: str
    instrument: str
    score: int
    comment: str | None
    at: datetime


@noun(frozen=True, slots=True)
class AlertChanged:
    """A low score is to be looked after, or what is known of it changed: see `bot/alerts.py`.

    `what` is opened | changed | claimed | closed | overdue.
    """

    alert_id: str
    what: str


@noun(frozen=True, slots=True)
class FollowUpAsked:
    """A customer whose case is over needs people again: they said so when they were asked how it was.

    `reopen`: it is the same thing (that case goes on), else a case of its own begins. `reason` is for the agents' card,
    `text` is said to the customer.
    """

    customer_id: str
    case_id: str | None
    reason_code: str
    reason: str
    text: str
    team: str | None = None
    reopen: bool = False


@noun(frozen=True, slots=True)
class GoalTold:
    """Whether a customer whose case is over got what they came for: their word stands above its agent's (R40).

    `text` is said to whoever did not.
    """

    customer_id: str
    case_id: str
    met: bool
    text: str = ""


@noun(frozen=True, slots=True)
class WishTold:
    """A customer wished for something, in their `text`; or, without a customer, what is known of a wish has changed."""

    wish_id: str
    state: str
    area: str | None
    votes: int
    customer_id: str | None = None
    case_id: str | None = None
    text: str | None = None


@noun(frozen=True, slots=True)
class TalkLogged:
    """An agent wrote down what a customer said elsewhere: on the phone, at the counter. `score` comes with its instrument."""

    agent_id: str
    text: str
    source: str = "talk"
    mode: str | None = None
    customer_id: str | None = None
    case_id: str | None = None
    respondent: str | None = None
    instrument: str | None = None
    score: int | None = None
    topic: str | None = None
    locale: str | None = None
    at: datetime | None = None


@noun(frozen=True, slots=True)
class CustomersMerged:
    winner_id: str
    loser_id: str
    undone: bool = False


@noun(frozen=True, slots=True)
class CustomerErased:
    """Everything held on this customer is gone. `identities` were their addresses, as (channel, external id)."""

    customer_id: str
    identities: Sequence[tuple[str, str]] = ()


@noun(frozen=True, slots=True)
class TurnFailed:
    """A turn was tried too often: the message is a dead letter, and somebody should look."""

    customer_id: str | None
    message_id: str | None
    error: str


@noun(frozen=True, slots=True)
class Recorded:
    """Something worth keeping beside the case: a wish, a complaint, a question without an answer."""

    customer_id: str
    case_id: str | None
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)


@noun(frozen=True, slots=True)
class StepsTaken:
    """A turn went through a flow: one mapping a step, as `bot.flows.talk.Outcome.trace` has them."""

    trace: Sequence[Mapping[str, Any]]


@noun(frozen=True, slots=True)
class DeskRefused:
    """A change of the desk has faults, so the desk before it stays in force; each fault is `file:line:column: message`."""

    faults: Sequence[str]


@noun(frozen=True, slots=True)
class NotifyAsked:
    """A flow tells colleagues something in Slack; customers never see it."""

    customer_id: str
    case_id: str | None
    channel: str
    text: str


@noun(frozen=True, slots=True)
class TopicGiven:
    """Somebody said what a case was about; its room writes it down. `by` as the audit names them."""

    case_id: str
    topic: str
    by: str


@noun(frozen=True, slots=True)
class TeamTold:
    """The house tells the team something, once: `key` of a text, filled in with `values`; `path` leads to its page.

    `form` names a form that a desk may offer beside it, as `bot/sheets.py` has them.
    """

    key: str
    values: Mapping[str, object] = field(default_factory=dict)
    path: str = ""
    form: str = ""


@noun(frozen=True, slots=True)
class DigestMade:
    """What a week was like, for the team: told once. `text` is Markdown in `locale`, `file_id` its picture.

    `wishes` are the ids of the most wanted with their votes: under it stands what each is called when it is posted.
    `channel` is the Slack channel that desk.yaml names; None: where the first team's cases are shown.
    """

    week: str
    text: str
    locale: str
    file_id: str | None = None
    channel: str | None = None
    wishes: tuple[tuple[str, int], ...] = ()
