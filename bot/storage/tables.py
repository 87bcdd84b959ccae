"""The whole schema on one page: one history per customer, and the two doors.

Tables of a conversation carry `customer_id` in their key, so that the database can be sharded by it.
Alembic migrations (beside this file) are proven by a test to end at what is declared here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB


class Utc(TypeDecorator[datetime]):
    """An aware UTC datetime on both engines: SQLite has no time zones and gets naive UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        return _to_text if dialect.name == "sqlite" else _to_utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:  # noqa: ARG002
        return _from_text if dialect.name == "sqlite" else None  # PostgreSQL's driver gives UTC


def _to_utc(value: datetime | None) -> datetime | None:
    if value is None or value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        msg = f"naive datetime {value!r}: times are aware UTC"
        raise ValueError(msg)
    return value.astimezone(UTC)


@lru_cache(maxsize=64)  # a transaction writes one and the same moment many times
def _to_text(value: datetime | None) -> str | None:
    moment = _to_utc(value)
    return None if moment is None else moment.isoformat(" ", "microseconds")[:26]


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(f"{value}+00:00")


class Score(TypeDecorator[int]):
    """A score as all scales have it, a whole number: 6 wherever it is shown, though the column would give 6.0."""

    impl = Float()
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], int | None]:  # noqa: ARG002
        return _to_whole


def _to_whole(value: float | None) -> int | None:
    return None if value is None else int(value)


Json = JSON().with_variant(JSONB(), "postgresql")
Counter = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts only an INTEGER PRIMARY KEY up by itself

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *args: Any) -> Table:
    return Table(name, metadata, *args)


def _col(name: str, kind: Any = Text, *args: Any, null: bool = False, **kwargs: Any) -> Column[Any]:
    return Column(name, kind, *args, nullable=null, **kwargs)


def _in_states(*states: str) -> dict[str, Any]:
    """Which rows an index holds. SQLite makes a table of a longer list, anew for each row that is written: it gets none."""
    return {
        "sqlite_where": text(" OR ".join(f"state = '{one}'" for one in states)),
        "postgresql_where": text("state IN ('{}')".format("','".join(states))),
    }


# ── who ────────────────────────────────────────────────────────────────────────────────────────────────────────────
customers = _table(
    "customers",
    _col("id", Text, primary_key=True),
    _col("name", default=""),
    _col("locale"),
    _col("created_at", Utc),
    _col("merged_into", null=True),
    _col("attributes", Json, default=dict),  # slots of scope customer, labels from platforms
    _col("opted_out", Boolean, default=False),  # of surveys and campaigns
    Index(
        "ix_customers_merged",
        "merged_into",
        sqlite_where=text("merged_into IS NOT NULL"),
        postgresql_where=text("merged_into IS NOT NULL"),
    ),
)

conversations = _table(
    "conversations",
    _col("customer_id", Text, ForeignKey("customers.id"), primary_key=True),
    _col("last_seq", Integer, default=0),
    _col("epoch", Integer, default=0),  # ownership: goes up whenever the baton moves
    _col("reply_identity_id", null=True),  # where the customer wrote last …
    _col("reply_address", null=True),  # … and the chat or thread there
    _col("bot_state", Json, default=dict),
    _col("updated_at", Utc),
    _col("last_at", Utc, null=True),  # nothing that has a number is later
)

identities = _table(
    "identities",
    _col("id", Text, primary_key=True),
    _col("customer_id", Text, ForeignKey("customers.id")),
    _col("channel"),
    _col("external_id"),
    _col("evidence"),
    _col("address"),
    _col("name", default=""),
    _col("locale", default=""),
    _col("reachable", Boolean, default=True),
    _col("attributes", Json, default=dict),
    _col("created_at", Utc),
    UniqueConstraint("channel", "external_id"),
    Index(None, "customer_id"),
)

link_codes = _table(  # how a second channel is linked: see bot/linking.py
    "link_codes",
    _col("code_hash", Text, primary_key=True),
    _col("identity_id"),  # who asked for the code
    _col("customer_id"),
    _col("created_at", Utc),
    _col("expires_at", Utc),
    _col("opened_by", null=True),  # the identity that opened it
    _col("digits", null=True),  # shown there, to be typed back by who asked
    _col("tries", Integer, default=0),
    _col("state", default="offered"),  # offered | opened | used | dead
    Index(None, "identity_id"),
    Index(None, "customer_id"),
)

merges = _table(
    "merges",
    _col("id", Text, primary_key=True),
    _col("winner_id"),
    _col("loser_id"),
    _col("identities", Json),  # the ids that moved
    _col("evidence"),
    _col("at", Utc),
    _col("undone_at", Utc, null=True),
    Index(None, "winner_id"),
    Index(None, "loser_id"),
)

# ── what was said ──────────────────────────────────────────────────────────────────────────────────────────────────
messages = _table(
    "messages",
    _col("customer_id", Text, ForeignKey("customers.id")),
    _col("id"),
    _col("seq", Integer, null=True),  # None: a note
    _col("case_id", null=True),
    _col("author_kind"),
    _col("author_id", null=True),
    _col("author_name", default=""),
    _col("channel"),
    _col("text"),
    _col("markdown", Boolean, default=False),
    _col("choices", Json, default=list),
    _col("files", Json, default=list),
    _col("survey", Json, null=True),
    _col("meta", Json, default=dict),
    _col("at", Utc),
    _col("edited_at", Utc, null=True),
    _col("deleted_at", Utc, null=True),
    _col("copied_from", null=True),  # the customer whose history this came with, by a merge
    PrimaryKeyConstraint("id", "customer_id"),  # grows at its end; finds a message by its id alone
    Index(None, "customer_id", "seq", "case_id"),  # a case's are found through its customer: `history.OF_ITS_CASE`
)

timeline = _table(  # what takes a seq beside messages: their edits, their deletions
    "timeline",
    _col("customer_id", Text, ForeignKey("customers.id"), primary_key=True),
    _col("seq", Integer, primary_key=True),
    _col("kind"),  # edit | delete | message: what stood first at the seq of one that was changed
    _col("message_id"),
    _col("text"),  # of that version
    _col("at", Utc),
)

message_refs = _table(  # the platforms' names of our messages, theirs and ours: for edits, deletes, replies
    "message_refs",
    _col("channel", Text, primary_key=True),
    _col("ref", Text, primary_key=True),
    _col("customer_id"),
    _col("message_id"),
    _col("outbox_id", null=True),
    Index(None, "message_id"),
)

files = _table(
    "files",
    _col("id", Text, primary_key=True),
    _col("customer_id", null=True),
    _col("name"),
    _col("type"),
    _col("size", Integer),
    _col("data", LargeBinary, null=True),  # None until it has been fetched from the platform
    _col("remote", Json, null=True),  # {"via", "ref"}: where it still lies
    _col("error", null=True),
    _col("created_at", Utc),
    Index(None, "customer_id"),
)

# ── cases ──────────────────────────────────────────────────────────────────────────────────────────────────────────
cases = _table(
    "cases",
    _col("id", Text, primary_key=True),
    _col("number", Integer, null=True),  # short, for people
    _col("customer_id", Text, ForeignKey("customers.id")),
    _col("status"),
    _col("channel"),
    _col("locale"),
    _col("team", null=True),
    _col("agent_id", null=True),
    _col("last_agent_id", null=True),
    _col("topic", null=True),
    _col("outcome", null=True),
    _col("reason", null=True),  # told to the customer with outcome no_solution
    _col("priority", default="normal"),
    _col("escalation", Json, null=True),  # {"reason_code", "reason", "show": [[slot, value]], "tried": […], "summary"}
    _col("flow", null=True),
    _col("flow_version", null=True),
    _col("opened_at", Utc),
    _col("escalated_at", Utc, null=True),
    _col("claimed_at", Utc, null=True),
    _col("first_reply_at", Utc, null=True),  # the first human public reply
    _col("last_customer_at", Utc, null=True),
    _col("last_agent_at", Utc, null=True),
    _col("resolved_at", Utc, null=True),
    _col("first_resolved_at", Utc, null=True),
    _col("closed_at", Utc, null=True),
    _col("resolved_by", null=True),  # flow | agent | silence | customer
    _col("confirmed", Boolean, null=True),  # the customer said that it helped
    _col("reopened", Integer, default=0),
    _col("handoffs", Integer, default=0),
    _col("questions", Integer, default=0),  # effort: questions asked, retries
    _col("wait", Json, null=True),  # what the customer was last told: {"position", "wait_s", "at"}
    _col("next_action_at", Utc, null=True),
    _col("agents", Json, default=list),  # all who had a hand in it
    _col("survey", Json, null=True),  # {"instrument", "delay_s"}: what a flow chose
    _col("updated_at", Utc),
    _col("routing", Json, null=True),  # who had it offered, how far up the ladder: see handoff/routing.py
    _col("sla", Json, null=True),  # its clocks: see handoff/sla.py
    Index(None, "customer_id", "opened_at"),
    Index(None, "opened_at"),
    Index(None, "status"),
    Index(None, "number"),
    Index(
        "ix_cases_resolved_at",
        "resolved_at",
        sqlite_where=text("resolved_at IS NOT NULL"),
        postgresql_where=text("resolved_at IS NOT NULL"),
    ),
    Index(
        "uq_cases_one_live",
        "customer_id",
        unique=True,
        sqlite_where=text("status IN ('bot','queued','open','pending','snoozed')"),
        postgresql_where=text("status IN ('bot','queued','open','pending','snoozed')"),
    ),
)

case_events = _table(  # the audit: every step of a case's life, in order
    "case_events",
    _col("n", Counter, primary_key=True, autoincrement=True),
    _col("case_id"),
    _col("customer_id"),
    _col("kind"),
    _col("agent_id", null=True),
    _col("data", Json, default=dict),
    _col("at", Utc),
    Index(None, "case_id"),
    Index(None, "customer_id"),
)

promises = _table(  # what customers were told about their wait, and what came of it
    "promises",
    _col("id", Text, primary_key=True),
    _col("customer_id"),
    _col("case_id"),
    _col("kind"),  # wait | back | callback
    _col("told_at", Utc),
    _col("due_at", Utc),
    _col("wait_s", Integer, null=True),  # as it was told
    _col("raw_s", Float, null=True),  # as it was estimated, before what earlier errors taught
    _col("position", Integer, null=True),
    _col("outcome", null=True),  # kept | broken | void; None while it may yet be kept
    _col("ended_at", Utc, null=True),  # when the customer was served, or had gone; a promise is broken before that
    Index(None, "customer_id"),
    Index(None, "case_id"),
    Index(None, "ended_at"),
)

relays = _table(  # an agent's words on their way from a desk to the customer, through the undo window
    "relays",
    _col("id", Text, primary_key=True),
    _col("case_id"),
    _col("customer_id"),
    _col("agent_id"),
    _col("desk"),  # slack | web | api
    _col("ref", null=True),  # the desk's name of the post, e.g. "C1:1700000000.000100"
    _col("text"),
    _col("files", Json, default=list),
    _col("state"),  # waiting | said | taken_back | note | refused
    _col("epoch", Integer),
    _col("due_at", Utc),
    _col("message_id", null=True),
    _col("created_at", Utc),
    _col("held", Json, null=True),  # why it waits for a second look, as warnings: see handoff/send_check.py
    UniqueConstraint("desk", "ref"),
    Index(None, "case_id"),
    Index(None, "message_id"),
    Index(None, "customer_id"),
)

errands = _table(  # what colleagues are asked for a case; their words are notes: see handoff/errands
    "errands",
    _col("id", Text, primary_key=True),
    _col("kind"),  # consult | task
    _col("case_id"),
    _col("customer_id"),
    _col("team", null=True),  # whom a consult is asked of
    _col("owner_id", null=True),  # who has to do a task
    _col("asked_by", null=True),  # an agent; None: a program
    _col("text"),
    _col("state"),  # open | answered | withdrawn
    _col("desk"),
    _col("ref", null=True),  # the desk's name of the asking
    _col("asked_at", Utc),
    _col("due_at", Utc),
    _col("reminders", Integer, default=0),
    _col("answer_id", null=True),  # the note that answered it
    _col("answered_by", null=True),
    _col("ended_at", Utc, null=True),
    _col("channel", null=True),  # its thread in Slack
    _col("root", null=True),
    UniqueConstraint("desk", "ref"),
    Index(None, "case_id"),
    Index(None, "customer_id"),
    Index(None, "state", "due_at"),
    Index(None, "channel", "root"),
)

case_hints = _table(  # what helps with a case, found beside it: see handoff/hints
    "case_hints",
    _col("case_id", Text, primary_key=True),
    _col("customer_id"),
    _col("question_hash"),  # of what was asked when it was looked for
    _col("articles", Json, default=list),  # ids
    _col("similar", Json, default=list),  # ids of solved cases: their words are read where they are shown
    _col("summary", null=True),  # a language model's
    _col("made_at", Utc),
    Index(None, "customer_id"),
)

desk_threads = _table(  # where a desk shows a case: Slack's channel and the root message of the thread
    "desk_threads",
    _col("desk", Text, primary_key=True),
    _col("case_id", Text, primary_key=True),
    _col("channel"),
    _col("root", null=True),  # None until Slack has given it
    _col("card_hash", null=True),
    _col("shown_seq", Integer, default=0),  # the transcript in the thread reaches to this seq
    _col("created_at", Utc),
    Index(None, "desk", "channel", "root"),
)

agent_states = _table(
    "agent_states",
    _col("agent_id", Text, primary_key=True),
    _col("name", default=""),
    _col("team", null=True),
    _col("available", Boolean, default=True),
    _col("away_until", Utc, null=True),
    _col("slack_user", null=True),  # "T1:U1"; for agents who are known only by their Slack channel
    _col("seen_at", Utc, null=True),
    _col("busy", Boolean, default=False, server_default=false()),  # there, but given no new cases
)

recordings = _table(  # what a case can be played again with, when the desk has changed: see bot/replay
    "recordings",
    _col("case_id", Text, primary_key=True),
    _col("token", Text, primary_key=True),  # of the request; "began" once a case
    _col("customer_id"),
    _col("kind"),  # began: how things stood | call: a connector | model | event: of another system
    _col("asked", Json, default=dict),
    _col("outcome", null=True),  # ok | timeout | error | a status; None while it is waited for
    _col("answer", Json, null=True),
    _col("seq", Integer),  # the conversation's last one at that time
    _col("at", Utc),
    Index(None, "customer_id"),
    Index(None, "at"),
)

# ── the two doors, and what is due later ───────────────────────────────────────────────────────────────────────────
inbox = _table(
    "inbox",
    _col("source", Text, primary_key=True),
    _col("key", Text, primary_key=True),
    _col("customer_id", null=True),
    _col("message_id", null=True),
    _col("body_hash", null=True),
    _col("raw", LargeBinary, null=True),
    _col("happening", Json, null=True),  # what a turn needs to run again
    _col("state"),  # new | parked | done | dead | alias
    _col("attempts", Integer, default=0),
    _col("waits_for", null=True),  # what it is parked for: the message it edits, an album, a connector's answer
    _col("due_at", Utc, null=True),
    _col("error", null=True),
    _col("received_at", Utc),
    _col("handled_at", Utc, null=True),
    Index(
        "ix_inbox_unhandled",
        "state",
        "due_at",
        sqlite_where=text("state NOT IN ('done','alias')"),
        postgresql_where=text("state NOT IN ('done','alias')"),
    ),
    Index(
        "ix_inbox_awaiting",
        "waits_for",
        sqlite_where=text("waits_for IS NOT NULL"),
        postgresql_where=text("waits_for IS NOT NULL"),
    ),
    Index(None, "customer_id"),
    Index(None, "received_at"),
)

outbox = _table(
    "outbox",
    _col("n", Counter, primary_key=True, autoincrement=True),  # order inside a lane
    _col("id", Text, unique=True),
    _col("lane"),  # one send at a time: "telegram:42"
    _col("via"),  # which sender takes it: "telegram"
    _col("kind"),  # text | file | … in the sender's words
    _col("bucket", null=True),  # whose rate limit it spends
    _col("customer_id", null=True),
    _col("case_id", null=True),
    _col("message_id", null=True),
    _col("epoch", Integer, null=True),  # sent only while the baton is where it was
    _col("payload", Json),
    _col("state"),  # ready | sending | sent | retry | uncertain | failed | expired
    _col("attempts", Integer, default=0),
    _col("due_at", Utc),
    _col("expires_at", Utc, null=True),
    _col("lease_owner", null=True),
    _col("lease_until", Utc, null=True),
    _col("started_at", Utc, null=True),
    _col("sent_at", Utc, null=True),
    _col("ext_id", null=True),
    _col("error", null=True),
    _col("doubled", Boolean, default=False),  # resent after an uncertain outcome: it may be there twice
    _col("bulk", Boolean, default=False, server_default=false()),  # nobody waits for it: replies go first
    _col("delayed_at", Utc, null=True),  # when it turned out to leave more than a minute late
    _col("created_at", Utc),
    Index("ix_outbox_live", "lane", "n", **_in_states("ready", "sending", "retry", "uncertain")),
    Index("ix_outbox_waiting", "via", "bulk", "due_at", "n", **_in_states("ready", "retry", "uncertain")),
    Index(
        "ix_outbox_unsent",
        "state",
        "due_at",
        sqlite_where=text("state != 'sent'"),
        postgresql_where=text("state != 'sent'"),
    ),
    Index(None, "message_id"),
)

schema_versions = _table(  # written by the migrations: see bot/storage/schema.py
    "schema_versions",
    _col("revision", Text, primary_key=True),
    _col("oldest_program"),  # the oldest program, by its own newest migration, that works on this schema
)

paces = _table(  # rates that nodes keep together: see bot/storage/pace_rows.py
    "paces",
    _col("bucket", Text, primary_key=True),
    _col("free_at", Utc),
)

timers = _table(
    "timers",
    _col("id", Text, primary_key=True),
    _col("kind"),
    _col("key", unique=True),  # one timer by that name: setting it again moves it
    _col("customer_id", null=True),
    _col("case_id", null=True),
    _col("data", Json, default=dict),
    _col("due_at", Utc),
    _col("attempts", Integer, default=0),
    _col("error", null=True),
    Index(None, "due_at"),
    Index(None, "case_id"),
    Index(None, "customer_id"),
)

dead_letters = _table(  # what could not be read, with the raw copy, for inspection and replay
    "dead_letters",
    _col("id", Text, primary_key=True),
    _col("source"),
    _col("key", null=True),
    _col("raw", LargeBinary, null=True),
    _col("error"),
    _col("at", Utc),
)

# ── surveys ────────────────────────────────────────────────────────────────────────────────────────────────────────
survey_invitations = _table(  # exactly one decision per resolved case: asked, or skipped with its reason
    "survey_invitations",
    _col("id", Text, primary_key=True),
    _col("case_id", unique=True),  # of a campaign's question "{campaign}/{customer}": once each, too
    _col("customer_id"),
    _col("instrument"),
    _col("state"),  # planned | asked | skipped | answered | expired | cancelled
    _col("skip_reason", null=True),
    _col("channel", null=True),
    _col("locale"),
    _col("message_id", null=True),
    _col("why_message_id", null=True),
    _col("snapshot", Json, default=dict),  # agents, team, flow, version, topic, handoffs at closing
    _col("decided_at", Utc),
    _col("due_at", Utc, null=True),
    _col("asked_at", Utc, null=True),
    _col("delivered_at", Utc, null=True),
    _col("expires_at", Utc, null=True),
    _col("campaign", null=True),  # None: it is about a case
    Index(None, "customer_id"),
    Index(None, "message_id"),
)

survey_responses = _table(
    "survey_responses",
    _col("id", Text, primary_key=True),
    _col("invitation_id", unique=True, null=True),  # None: imported
    _col("case_id", null=True),
    _col("customer_id", null=True),
    _col("respondent", null=True),
    _col("instrument"),
    _col("score", Score),
    _col("comment", null=True),
    _col("channel", null=True),
    _col("agent_id", null=True),
    _col("team", null=True),
    _col("topic", null=True),
    _col("locale", null=True),
    _col("extra", Json, default=dict),
    _col("edited_at", Utc, null=True),
    _col("at", Utc),
    _col("source", null=True),  # of an imported one: where it comes from
    _col("mode", null=True),  # phone | talk | email …; None: in the chat
    Index(None, "at"),
    Index(None, "customer_id"),
    Index(None, "case_id"),
)

survey_alerts = _table(  # low scores that somebody looks after: see bot/alerts.py
    "survey_alerts",
    _col("id", Text, primary_key=True),
    _col("response_id", unique=True),
    _col("case_id", null=True),
    _col("customer_id"),
    _col("instrument"),
    _col("score", Score),
    _col("channel", null=True),
    _col("team", null=True),
    _col("state"),  # open | claimed | closed
    _col("agent_id", null=True),  # who looks after it
    _col("outcome", null=True),  # solved | apologised | unreachable | no_action | withdrawn
    _col("contact", Boolean, null=True),  # whether the customer wants to be contacted
    _col("follow_up", null=True),  # the case that was opened for it
    _col("reminded", Integer, default=0, server_default=text("0")),
    _col("ref", null=True),  # the Slack desk's name of its post
    _col("opened_at", Utc),
    _col("due_at", Utc),
    _col("claimed_at", Utc, null=True),
    _col("closed_at", Utc, null=True),
    _col("withdrawn_at", Utc, null=True),  # the customer thought better of it
    Index(None, "customer_id"),
    Index(None, "state", "due_at"),
)

outside_feedback = _table(  # what customers said elsewhere, without a score: talks, forums, letters
    "outside_feedback",
    _col("id", Text, primary_key=True),
    _col("customer_id", null=True),
    _col("case_id", null=True),
    _col("respondent", null=True),
    _col("source"),  # talk | forum | email | community | …
    _col("mode", null=True),  # phone | in_person | …
    _col("text"),
    _col("agent_id", null=True),  # who wrote it down
    _col("team", null=True),
    _col("topic", null=True),
    _col("locale", null=True),
    _col("extra", Json, default=dict),
    _col("at", Utc),
    Index(None, "at"),
    Index(None, "customer_id"),
)

# ── what we tell unasked: see bot/outreach ─────────────────────────────────────────────────────────────────────────
notices = _table(
    "notices",
    _col("id", Text, primary_key=True),
    _col("kind"),  # incident | campaign
    _col("state"),  # draft | approved | told | cancelled
    _col("title"),  # for people; customers never see it
    _col("texts", Json),  # {locale: Markdown}
    _col("audience", Json),  # who is affected: see bot/outreach/notice.py
    _col("flow", null=True),  # that a button under it begins
    _col("source", Json, null=True),  # what drafted it, where nobody did
    _col("drafted_by"),
    _col("drafted_at", Utc),
    _col("approved_by", null=True),
    _col("approved_at", Utc, null=True),
    _col("starts_at", Utc, null=True),
    _col("ends_at", Utc, null=True),  # what has not left by then is not said any more
    _col("listed_to", null=True),  # everybody up to this customer's id has their row …
    _col("listed_at", Utc, null=True),  # … and everybody at all, since then
    _col("free_at", Utc, null=True),  # the next customer is told no sooner
    _col("last_at", Utc, null=True),  # behind it whoever is put off stands in line
    Index(None, "drafted_at"),
)

notice_people = _table(  # exactly one row per affected customer: nobody is told twice
    "notice_people",
    _col("notice_id", Text, ForeignKey("notices.id"), primary_key=True),
    _col("customer_id", Text, primary_key=True),
    _col("state"),  # waiting | told | skipped
    _col("reason", null=True),  # why they were not told
    _col("message_id", null=True),
    _col("at", Utc),
    Index(None, "customer_id"),
    Index(None, "message_id"),
)

# ── figures: all of it can be made again from what stands above (surveys/rollups) ──────────────────────────────────
figure_marks = (
    _table(  # what has changed since its fact was made: rows are added with the change, and taken with the fact
        "figure_marks",
        _col("n", Counter, primary_key=True, autoincrement=True),
        _col("family"),  # cases | answers | asks
        _col("ref"),  # the id of the case, the survey response, the invitation
    )
)

figure_facts = _table(  # what one case, one answer, one decision on asking adds to the figures
    "figure_facts",
    _col("family", Text, primary_key=True),
    _col("id", Text, primary_key=True),
    _col("day", Integer),  # UTC, days since 1970
    _col("customer_id", null=True),
    _col("fact"),  # JSON
    Index(None, "family", "day"),
    Index(None, "customer_id"),
)

figure_blocks = _table(  # all facts of a day that is over, in columns; a day without a block is read from its facts
    "figure_blocks",
    _col("family", Text, primary_key=True),  # of days; of months "cases/32"
    _col("day", Integer, primary_key=True),
    _col("n", Integer),
    _col("block", LargeBinary),
    _col("made", null=True),  # another one whenever it is made: whoever has read it needs not read it again
    Index(None, "family", "day", "made"),  # SQLite would go through the blocks to find their names
)

# ── what to mend: see surveys/insights ─────────────────────────────────────────────────────────────────────────────
topic_alarms = _table(  # a topic came up far more often in a week than it used to; told once
    "topic_alarms",
    _col("id", Text, primary_key=True),
    _col("topic"),
    _col("week"),  # ISO, in the desk's time zone: "2026-W47"
    _col("cases", Integer),
    _col("customers", Integer),
    _col("expected", Float),
    _col("p", Float),
    _col("q", Float),
    _col("notice_id", null=True),  # the incident notice that it drafted; people send it, or don't
    _col("state"),  # open | dismissed | handled
    _col("problem_id", null=True),
    _col("at", Utc),
    _col("ended_at", Utc, null=True),
    _col("ended_by", null=True),
    UniqueConstraint("topic", "week"),
)

case_labels = _table(  # complaint, suggestion or praise, of product, service or process: a flow's word or an agent's
    "case_labels",
    _col("id", Text, primary_key=True),
    _col("case_id"),
    _col("customer_id"),
    _col("kind"),  # complaint | suggestion | praise
    _col("area", null=True),  # product | service | process
    _col("text", default=""),
    _col("source"),  # flow | agent
    _col("by", null=True),
    _col("at", Utc),
    Index(None, "case_id"),
    Index(None, "customer_id"),
    Index(None, "at"),
)

problems = _table(  # a cause behind several cases, from its finding to the proof that it is gone
    "problems",
    _col("id", Text, primary_key=True),
    _col("title"),
    _col("topic", null=True),  # by which it is counted whether it comes back
    _col("cause", default=""),
    _col("owner", default=""),
    _col("fix", default=""),
    _col("message", Json, default=dict),  # {locale: text}: what the waiting customers are told
    _col("state"),  # open | fixing | fixed | verified | dropped
    _col("due_on", null=True),  # "2026-03-09"
    _col("verified_on", null=True),
    _col("fixed_at", Utc, null=True),
    _col("notice_id", null=True),  # by which those who waited were told
    _col("created_by"),
    _col("created_at", Utc),
    _col("updated_at", Utc),
)

problem_cases = _table(
    "problem_cases",
    _col("problem_id", Text, primary_key=True),
    _col("case_id", Text, primary_key=True),
    _col("customer_id"),
    _col("by", null=True),
    _col("at", Utc),
    Index(None, "case_id"),
    Index(None, "customer_id"),
)

wishes = _table(  # what customers would like to have: one row a wish, however many have it
    "wishes",
    _col("id", Text, primary_key=True),
    _col("title"),
    _col("area", null=True),
    _col("state"),  # open | planned | shipped | declined | merged
    _col("merged_into", null=True),
    _col("message", Json, default=dict),  # {locale: text}: what those who have it are told when it is there
    _col("created_by"),
    _col("created_at", Utc),
    _col("updated_at", Utc),
    _col("shipped_at", Utc, null=True),
    _col("notice_id", null=True),
    Index(None, "state"),
)

wish_votes = _table(  # who has the wish, in their own words
    "wish_votes",
    _col("id", Text, primary_key=True),
    _col("wish_id"),
    _col("customer_id"),
    _col("case_id", null=True),
    _col("text"),
    _col("locale", default=""),
    _col("at", Utc),
    Index(None, "wish_id"),
    Index(None, "customer_id"),
)

improvements = _table(  # what was changed, and by which metric, chosen before, it is to be judged
    "improvements",
    _col("id", Text, primary_key=True),
    _col("title"),
    _col("what", default=""),
    _col("starts_on"),  # the day of the change: "2026-03-09"
    _col("days", Integer),  # that are compared before it, and after it
    _col("scope", Json, default=dict),  # {"topic" | "flow" | "channel" | "team": name}
    _col("metric"),
    _col("cost", Float, null=True),
    _col("unit_value", Float, null=True),  # what one unit of the metric is worth
    _col("currency", default=""),
    _col("metric_fixed_at", Utc),
    _col("created_by"),
    _col("created_at", Utc),
    _col("updated_at", Utc),
)

departures = _table(  # another system told that a customer left, or came back
    "departures",
    _col("id", Text, primary_key=True),
    _col("customer_id"),
    _col("kind"),  # left | back
    _col("reason", null=True),
    _col("value", Float, null=True),  # what they were worth in a period
    _col("at", Utc),
    Index(None, "customer_id"),
    Index(None, "at"),
)

# ── the team: see surveys/team ─────────────────────────────────────────────────────────────────────────────────────
quality_samples = _table(
    "quality_samples",
    _col("id", Text, primary_key=True),
    _col("seed", Integer),
    _col("since", Utc),
    _col("until", Utc),
    _col("rubric", Json),  # as it was when the sample was drawn
    _col("drawn_by"),
    _col("at", Utc),
)

quality_cases = _table(
    "quality_cases",
    _col("sample_id", Text, primary_key=True),
    _col("case_id", Text, primary_key=True),
    _col("customer_id"),
    _col("place", Integer),
    Index(None, "customer_id"),
)

quality_reviews = _table(
    "quality_reviews",
    _col("id", Text, primary_key=True),
    _col("sample_id"),
    _col("case_id"),
    _col("customer_id"),
    _col("rater"),
    _col("marks", Json),  # {criterion: mark}
    _col("comment", default=""),
    _col("at", Utc),
    UniqueConstraint("sample_id", "case_id", "rater"),
    Index(None, "customer_id"),
)

pulse_rounds = _table(  # a month's questions to the agents: sums only, nobody's answer
    "pulse_rounds",
    _col("id", Text, primary_key=True),  # the month: "2026-11"
    _col("questions", Json),
    _col("opened_at", Utc),
    _col("closes_at", Utc),
    _col("closed_at", Utc, null=True),
    _col("given", Integer, default=0),
    _col("tally", Json, default=dict),  # {question: {score: how many}}
    _col("comments", Json, default=list),  # in the order of the alphabet, so that none tells when it came
    _col("who", Json, default=list),  # keyed hashes of those who answered, in the order of their digits
)

# ── who may come in ────────────────────────────────────────────────────────────────────────────────────────────────
sign_ins = _table(  # one-time links for agents, and sessions that were ended before their time
    "sign_ins",
    _col("token_hash", Text, primary_key=True),
    _col("kind"),  # invitation | revoked
    _col("agent_id", null=True),
    _col("expires_at", Utc),
    _col("used_at", Utc, null=True),
)

idempotency_keys = _table(
    "idempotency_keys",
    _col("key", Text, primary_key=True),
    _col("body_hash"),
    _col("status", Integer),
    _col("answer", Json),
    _col("at", Utc),
    Index(None, "at"),
)

flow_versions = _table(  # every flow that was ever in force, by its content: rows are added, never changed
    "flow_versions",
    _col("hash", Text, primary_key=True),
    _col("flow"),
    _col("version", Integer),
    _col("source"),
    _col("names", Json),  # what it could refer to when it was read
    _col("author", null=True),
    _col("note", null=True),
    _col("at", Utc),
)

step_counts = _table(  # how many came to each step of a flow, and answered there: see bot/tally.py
    "step_counts",
    _col("flow", Text, primary_key=True),
    _col("step", Text, primary_key=True),
    _col("day", Text, primary_key=True),  # of the desk's time zone, "2026-03-09"
    _col("reached", Integer),
    _col("answered", Integer),
)

# ── the desk as its admins change it: see bot/console ──────────────────────────────────────────────────────────────
desk_drafts = _table(  # files of the desk folder as they are to be, until they are published
    "desk_drafts",
    _col("path", Text, primary_key=True),  # within the folder: "flows/refund.yaml"
    _col("base_hash", null=True),  # of the file that was changed; None: there was none
    _col("text", null=True),  # None: the file is to go
    _col("who"),
    _col("at", Utc),
)

desk_files = _table("desk_files", _col("hash", Text, primary_key=True), _col("text"))  # what versions are made of

desk_versions = _table(  # every published state of the folder: rows are added, never changed
    "desk_versions",
    _col("n", Counter, primary_key=True, autoincrement=True),
    _col("at", Utc),
    _col("who"),
    _col("note"),
    _col("hash"),  # of the whole desk
    _col("files", Json),  # {path: hash}: all of them
    _col("changes", Json),  # {path: [hash before, hash after]}; None where there is no file
)

console_people = _table(  # who may use the console, besides the holder of its password
    "console_people",
    _col("id", Text, primary_key=True),
    _col("name"),
    _col("role"),  # viewer | editor | publisher | admin
    _col("invited_by"),
    _col("created_at", Utc),
    _col("seen_at", Utc, null=True),
)

settings = _table("settings", _col("key", Text, primary_key=True), _col("value", Json))

audit = _table(
    "audit",
    _col("n", Counter, primary_key=True, autoincrement=True),
    _col("at", Utc),
    _col("who"),
    _col("what"),
    _col("data", Json, default=dict),
    Index(None, "who", "at"),
)
