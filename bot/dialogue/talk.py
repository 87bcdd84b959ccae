"""One turn of the bot, and what every part of it has at hand: the desk, the cases, the search; and how it speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from bot import flows
from bot.answers import dialogue as articles
from bot.answers import language, rules
from bot.answers.decide import Thresholds
from bot.answers.searcher import Searcher
from bot.desk_folder import Desk
from bot.events import EscalationAsked
from bot.flows.schema import Flow
from bot.flows.words import tokens
from bot.model import BOT, Body, CaseStatus, Choice, FileRef
from bot.outbox import say as send
from bot.storage import customers, recording_rows
from bot.storage.tx import Tx
from bot.texts import say
from bot.turn import Turn

HUMAN = articles.HUMAN


class CaseNoun(Protocol):
    """What the bot needs to know of a case."""

    @property
    def id(self) -> str: ...
    @property
    def status(self) -> CaseStatus: ...
    @property
    def reopened(self) -> int: ...
    @property
    def last_agent_id(self) -> str | None: ...


class Cases(Protocol):
    """What the bot asks of the cases' room (handoff), handed in by app.py."""

    def knew(self, tx: Tx, customer_id: str, topics: Sequence[str], since: datetime) -> str | None: ...
    def was_unhappy(self, tx: Tx, customer_id: str) -> bool: ...
    def ensure_open(self, tx: Tx, customer_id: str, channel: str) -> CaseNoun: ...
    def live(self, tx: Tx, customer_id: str) -> CaseNoun | None: ...
    def last(self, tx: Tx, customer_id: str) -> CaseNoun | None: ...
    def recently_resolved(self, tx: Tx, customer_id: str) -> bool: ...
    def talks_with_bot(self, tx: Tx, customer_id: str) -> bool: ...
    def agents_available(self, tx: Tx, now: datetime) -> int: ...
    def is_staffed(self, tx: Tx, asked: EscalationAsked, customer: Mapping[str, Any], flow: str) -> bool: ...
    def is_open(self, now: datetime) -> bool: ...
    def opens_at(self, now: datetime) -> datetime | None: ...
    def count_question(self, tx: Tx, case_id: str) -> None: ...
    def began_flow(self, tx: Tx, case_id: str, flow: str, version: str) -> None: ...


@dataclass(slots=True)
class Bot:
    """What a turn needs beside itself. `old` are versions of flows that are no longer in force, as they were needed."""

    desk: Callable[[], Desk]
    cases: Cases
    searcher: Searcher
    release: Callable[[str], None]
    thresholds: Thresholds | None = None  # else the desk's
    old: dict[str, Flow | None] = field(default_factory=dict)
    model: bool = False  # a language model is set up


@dataclass(slots=True)
class Talk:
    """One turn of the bot: the turn, its case, and the state that it changes."""

    bot: Bot
    turn: Turn
    desk: Desk  # in force as the turn began
    case: CaseNoun
    flow: flows.FlowState
    kb: articles.State
    locale: str
    survey: Mapping[str, Any] | None = None
    memory: rules.Memory = rules.NOTHING
    offer: rules.Rule | None = None  # a human is offered, after what else there is to say
    over: bool = False  # people were fetched, or the case was closed
    missing: str = ""  # the language whose words a flow needed, and which are not loaded
    asks: str = ""  # what it asked the articles then
    words: str = ""  # the language whose words an earlier message waits for
    language: str = ""  # followed: we noticed theirs in this case; chosen: they named it
    told: list[str] = field(default_factory=list)  # what the bot said in this turn
    got_on: bool = False  # a question was answered, an article told: nobody goes in circles
    knows: str | None = None  # the agent who had this topic before
    _said: tuple[str, ...] | None = None

    @property
    def said(self) -> tuple[str, ...]:
        """The words of what the customer wrote, which is taken apart once."""
        if self._said is None:
            self._said = tokens(self.turn.text)
        return self._said

    @property
    def tx(self) -> Tx:
        return self.turn.tx

    @property
    def customer_id(self) -> str:
        return self.turn.customer.id

    # ── saying ──
    def sentence(self, key: str, locale: str = "") -> str:
        """One of the built-in sentences, or the desk's own wording of it: plain text, in the customer's language."""
        return say(key, locale or self.locale, self.desk.texts)

    def say(
        self,
        text: str,
        choices: tuple[Choice, ...] = (),
        *,
        meta: Mapping[str, Any] | None = None,
        markdown: bool = False,
        files: tuple[FileRef, ...] = (),
    ) -> None:
        self.told.append(text)
        body = Body(text=text, markdown=markdown, choices=tuple(choices), files=files)
        send(self.tx, self.customer_id, body, author=BOT, case_id=self.case.id, meta=meta)

    def human_choice(self) -> tuple[Choice, ...]:
        return (Choice(HUMAN, self.sentence("talk_to_human")),)

    # ── what flows, rules and articles may know ──
    def names(self) -> dict[str, dict[str, Any]]:
        """`customer` and `case`, as expressions and texts see them."""
        who = self.turn.customer
        customer = {"id": who.id, "name": who.name, "locale": self.locale, **who.attributes}
        return {"customer": customer, "case": {"id": self.case.id, "channel": self.turn.identity.channel}}

    def about_articles(self, locale: str) -> articles.Context:
        article, own = self.bot.searcher.knowledge.article, self.desk.escalation.rules
        limits = articles.Limits(rules.times(own, "unsure"), rules.times(own, "not_helped"))
        return articles.Context(locale, article, self.bot.thresholds or self.desk.answers, self.desk.texts, limits)

    # ── words that are still being loaded ──
    def is_warm(self, question: str) -> bool:
        """Whether a question can be searched for without anybody waiting; if not, the turn is parked until it can."""
        if self.bot.searcher.ready(self.locale, question):
            return True
        self.park_for_words(self.locale, question)
        return False

    def can_tell_languages(self) -> bool:
        return len(self.desk.locales) < 2 or language.is_ready()

    def park_for_words(self, locale: str, question: str = "") -> None:
        """Run the turn again when this language's words are there, what tells languages apart, and the question's vector."""
        self.words = locale
        waits_for = self.turn.park_for = f"words:{locale}"
        also = None if self.can_tell_languages() else language.warm
        self.tx.after_commit(
            lambda: self.bot.searcher.warm(locale, lambda: self.bot.release(waits_for), also, question)
        )


def begin(bot: Bot, turn: Turn, case: CaseNoun) -> Talk:
    """The turn with what is remembered of this case."""
    state = customers.talk(turn.tx, turn.customer.id).bot_state
    if state.get("case") != case.id:
        state = {}
        _record_beginning(bot, turn, case)
    return Talk(
        bot,
        turn,
        bot.desk(),
        case,
        flows.FlowState.from_json(state.get("flow") or {}),
        articles.State.from_json(state.get("kb") or {}),
        turn.customer.locale,
        survey=state.get("survey"),
        memory=rules.Memory.from_json(state.get("rules") or {}),
        words=str(state.get("words") or ""),
        language=str(state.get("language") or ""),
    )


def _record_beginning(bot: Bot, turn: Turn, case: CaseNoun) -> None:
    """How things stood: what a replay of this case (`bot.replay`) begins with."""
    tx, who = turn.tx, turn.customer
    agents = bot.cases.agents_available(tx, tx.now)
    stood = {"locale": who.locale, "attributes": dict(who.attributes), "agents": agents}
    recording_rows.began(tx, case.id, who.id, stood)


def remember(talk: Talk) -> None:
    state: dict[str, Any] = {"case": talk.case.id, "flow": talk.flow}
    if talk.kb != articles.BEGINNING:
        state["kb"] = talk.kb
    memory = rules.told(talk.memory, talk.told, got_on=talk.got_on)
    if talk.turn.park_for:  # the turn will be run again: what it says must not count twice
        memory = rules.Memory.from_json(customers.talk(talk.tx, talk.customer_id).bot_state.get("rules") or {})
    if memory != rules.NOTHING:
        state["rules"] = memory
    if talk.language:
        state["language"] = talk.language
    if talk.survey:
        state["survey"] = dict(talk.survey)
    if talk.turn.park_for:
        state["words"] = talk.words
    customers.set_bot_state(talk.tx, talk.customer_id, state)
