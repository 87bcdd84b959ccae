"""The bot's part of the conversation: flows first, then articles, then honesty, then a human.

The last of the takers. It ties two pure machines, `bot.flows` (what admins wrote) and `bot.answers` (what articles say), to
the turn: their effects become messages, requests to connectors, timers, and events that other rooms hear.

Its state per customer is one JSON value on the conversation: {"case", "flow", "kb", "greeted"}; a new case begins afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot import flows, timers
from bot.answers import dialogue as articles
from bot.answers import rules
from bot.answers.decide import Thresholds, is_blank, small_talk
from bot.answers.searcher import Searcher
from bot.desk_folder import Desk
from bot.events import CloseAsked, EscalationAsked, NotifyAsked, Recorded
from bot.flows import templates, versions
from bot.flows.expressions import Scope
from bot.flows.schema import Flow
from bot.model import BOT, Answered, Body, CaseStatus, Choice, Occurred
from bot.outbox import enqueue
from bot.outbox import say as send
from bot.storage import customers, flow_rows, history
from bot.storage.tx import Tx
from bot.texts import canonical, escape_markdown, match_locale, say
from bot.turn import Turn

HUMAN = articles.HUMAN
LANGUAGE = "language:"  # the value of a button that chooses one; the locale follows
OWN_NAMES = {"en": "English", "nl": "Nederlands", "nb": "Norsk", "he": "עברית"}


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

    def ensure_open(self, tx: Tx, customer_id: str, channel: str) -> CaseNoun: ...
    def live(self, tx: Tx, customer_id: str) -> CaseNoun | None: ...
    def recently_resolved(self, tx: Tx, customer_id: str) -> bool: ...
    def agents_available(self, tx: Tx, now: datetime) -> int: ...
    def is_open(self, now: datetime) -> bool: ...
    def opens_at(self, now: datetime) -> datetime | None: ...
    def count_question(self, tx: Tx, case_id: str) -> None: ...
    def began_flow(self, tx: Tx, case_id: str, flow: str, version: str) -> None: ...


@dataclass(slots=True)
class Talk:
    """One turn of the bot: the turn, its case, and the state that it changes."""

    turn: Turn
    case: CaseNoun
    flow: flows.FlowState
    kb: articles.State
    locale: str
    survey: Mapping[str, Any] | None = None
    memory: rules.Memory = field(default_factory=rules.Memory)
    offer: rules.Rule | None = None  # a human is offered, after what else there is to say
    over: bool = False  # people were fetched, or the case was closed
    missing: str = ""  # the language whose words a flow needed, and which are not loaded
    words: str = ""  # the language whose words an earlier message waits for

    @property
    def tx(self) -> Tx:
        return self.turn.tx


class Dialogue:
    """`take` is the taker; `timed_out` rings for flows that wait; `release` runs parked turns again (the inbox's)."""

    def __init__(
        self,
        desk: Callable[[], Desk],
        cases: Cases,
        searcher: Searcher,
        release: Callable[[str], None],
        thresholds: Thresholds | None = None,
    ) -> None:
        self._desk = desk
        self._cases = cases
        self._searcher = searcher
        self._release = release
        self._thresholds = thresholds or Thresholds()
        self._old: dict[str, Flow | None] = {}  # versions that are no longer in force, as they were needed

    def take(self, turn: Turn) -> bool:
        if turn.message is not None and self._only_polite(turn):
            return True
        if isinstance(turn.happening, Occurred) and not self._is_awaited(turn, turn.happening.name):
            return True
        case = self._cases.ensure_open(turn.tx, turn.customer.id, turn.identity.channel)
        if turn.message is not None:
            turn.message = history.put_in_case(turn.tx, turn.message, case.id)
        talk = self._talk(turn, case)
        if self._is_behind(talk):
            return True
        before = self._by_command(talk) or self._by_button(talk) or self._by_rules(talk)
        _ = before or self._by_flow(talk) or self._by_articles(talk)
        self._offer(talk)
        self._remember(talk)
        return True

    def while_queued(self, turn: Turn) -> bool:
        """A question of a flow that goes on while the case waits (`on: no_agent`, say "where can we write you?").

        A taker before the people's: it may say the next line, and leaves the message to them all the same.
        """
        case = self._cases.live(turn.tx, turn.customer.id)
        if case is None or case.status is not CaseStatus.QUEUED or turn.message is None:
            return False
        talk = self._talk(turn, case)
        if talk.flow.waiting == "ask" and self._by_flow(talk):
            self._remember(talk)
        return turn.park_for is not None  # run again when the words are there: the people hear it then, once

    def timed_out(self, tx: Tx, timer: timers.Timer) -> None:
        """A flow has waited long enough (timer kind "flow")."""
        who = customers.customer(tx.conn, timer.customer_id or "")
        where = customers.reply_identity(tx.conn, who.id) if who else None
        case = self._cases.live(tx, who.id) if who else None
        if who is None or where is None or case is None or case.status is not CaseStatus.BOT:
            return
        turn = Turn(tx, who, where, Answered(timer.data["token"], "timeout"), None)
        talk = self._talk(turn, case)
        self._run_flow(talk, flows.TimedOut(timer.data["token"]))
        if talk.missing:  # there is no turn to park: the timer rings again
            again = tx.now + timedelta(seconds=2)
            timers.set_timer(tx, "flow", timer.key, again, customer_id=who.id, case_id=case.id, data=timer.data)
            return
        self._remember(talk)

    def _is_awaited(self, turn: Turn, event: str) -> bool:
        """Whether a flow begins with this, or may be waiting for it: what nobody awaits must not open a case."""
        begins = any(flow.triggers.event == event for flow in self._desk().flows.values())
        return begins or self._cases.live(turn.tx, turn.customer.id) is not None

    def _is_behind(self, talk: Talk) -> bool:
        """An earlier message of theirs waits for its language's words: this one waits behind it, unless for a human."""
        words = talk.words
        if not words or self._searcher.ready(words) or talk.turn.command in {"human", "agent"}:
            return False
        if talk.turn.pressed is None and flows.asks_for_human(self._desk(), talk.turn.text):
            return False
        self._park_for_words(talk, words)
        return True

    # ── before and around ──────────────────────────────────────────────────────────────────────────────────────────
    def _only_polite(self, turn: Turn) -> bool:
        """A "thanks!" after the end neither reopens a case nor opens one."""
        if turn.pressed or (turn.message and turn.message.body.files):
            return False
        kind = small_talk(turn.text, turn.customer.locale)
        if kind not in {"thanks", "bye"} or self._cases.live(turn.tx, turn.customer.id) is not None:
            return False
        if not self._cases.recently_resolved(turn.tx, turn.customer.id):
            return False
        text = say(f"kb_{kind}", turn.customer.locale, self._desk().texts)
        send(turn.tx, turn.customer.id, Body(text=text), author=BOT)
        return True

    def _talk(self, turn: Turn, case: CaseNoun) -> Talk:
        state = customers.conversation(turn.tx.conn, turn.customer.id).bot_state
        if state.get("case") != case.id:
            state = {}
        return Talk(
            turn,
            case,
            flows.FlowState.from_json(state.get("flow") or {}),
            articles.State.from_json(state.get("kb") or {}),
            turn.customer.locale,
            survey=state.get("survey"),
            memory=rules.Memory.from_json(state.get("rules") or {}),
            words=str(state.get("words") or ""),
        )

    def _remember(self, talk: Talk) -> None:
        state: dict[str, Any] = {"case": talk.case.id, "flow": talk.flow.to_json(), "kb": talk.kb.as_json()}
        if talk.memory != rules.Memory() and not talk.turn.park_for:
            state["rules"] = talk.memory.to_json()
        elif before := customers.conversation(talk.tx.conn, talk.turn.customer.id).bot_state.get("rules"):
            state["rules"] = before  # the turn will be run again: what it says must not count twice
        if talk.survey:
            state["survey"] = dict(talk.survey)
        if talk.turn.park_for:
            state["words"] = talk.words
        customers.set_bot_state(talk.tx, talk.turn.customer.id, state)

    # ── commands, buttons ──────────────────────────────────────────────────────────────────────────────────────────
    def _by_command(self, talk: Talk) -> bool:
        turn, texts = talk.turn, self._desk().texts
        if turn.message is not None and turn.message.meta.get("unsupported"):
            self._say(talk, say("unsupported_kind", talk.locale, texts))
            return True
        match turn.command:
            case "start" if not talk.flow.frames:
                self._say(talk, say("greeting", talk.locale, texts))
            case "help":
                self._say(talk, say("help", talk.locale, texts))
            case "human" | "agent":
                self._fetch(talk, "asked")
            case "language":
                self._speak(talk, turn.argument)
            case "restart" | "cancel" | "back" as verb:
                return self._run_flow(talk, flows.Text(self._phrase(verb, talk.locale)))
            case _:
                return False
        return True

    def _speak(self, talk: Talk, wanted: str) -> None:
        """`/language nl`, a pressed language, or `/language` alone, which asks."""
        desk = self._desk()
        locale = match_locale(wanted, desk.locales) if wanted else ""
        if not wanted or canonical(wanted) != locale:
            choices = tuple(Choice(LANGUAGE + one, own_name(one)) for one in desk.locales)
            self._say(talk, say("language_which", talk.locale, desk.texts), choices)
            return
        talk.locale = locale
        customers.set_locale(talk.tx, talk.turn.customer.id, locale)
        self._say(talk, say("language_changed", locale, desk.texts))

    def _phrase(self, verb: str, locale: str) -> str:
        """What a customer would say for this in their own language, so that a command never changes the language."""
        for interrupt in self._desk().interrupts:
            if verb in (interrupt.do, interrupt.id) and interrupt.phrases.get(locale):
                return interrupt.phrases[locale][0]
        return verb

    def _by_button(self, talk: Talk) -> bool:
        pressed = talk.turn.pressed
        if pressed is None or "ask" in pressed.on.meta:
            return False
        if pressed.value == HUMAN:
            self._fetch(talk, "asked")
            return True
        if pressed.value.startswith(LANGUAGE):
            self._speak(talk, pressed.value.removeprefix(LANGUAGE))
            return True
        event = articles.event_of(pressed.value)
        if event is None:
            return False
        if self._warm(talk):
            self._answer(talk, event)
        return True

    # ── rules ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _by_rules(self, talk: Talk) -> bool:
        """Whether one of the desk's rules fetches a human for what was just said. One who asks for a human gets one anyway."""
        turn, desk = talk.turn, self._desk()
        if turn.message is None or turn.pressed is not None or turn.command is not None:
            return False
        if is_blank(turn.text) or flows.asks_for_human(desk, turn.text):
            return False
        talk.memory, verdict = rules.hear(desk.escalation.rules, talk.memory, turn.text)
        if verdict is None:
            return False
        if not verdict.fetch:
            talk.offer = verdict.rule
            return False
        key = "rules_safety" if verdict.rule.when == "safety" else "rules_fetching"
        text = escape_markdown(say(key, talk.locale, desk.texts))
        return self._run_flow(talk, flows.FetchHuman(verdict.rule.when, text))

    def _offer(self, talk: Talk) -> None:
        """A human is offered, unless one was fetched meanwhile, or the turn is run again."""
        if talk.offer is None or talk.over or talk.turn.park_for:
            return
        own = self._wording(talk, talk.offer.text)
        text = own or escape_markdown(say("rules_offer_human", talk.locale, self._desk().texts))
        self._say(talk, text, self._human_choice(talk), markdown=True)

    def _names(self, talk: Talk) -> dict[str, Any]:
        context = self._context(talk)
        return {"customer": dict(context.customer), "case": dict(context.case)}

    def _wording(self, talk: Talk, wording: Mapping[str, str]) -> str:
        """A rule's own words, in the customer's language."""
        template = wording.get(match_locale(talk.locale, self._desk().locales), "")
        return templates.render(template, self._names(talk), talk.locale) if template else ""

    def _ask_for_people(self, talk: Talk, asked: EscalationAsked) -> None:
        """Every escalation goes out here, dressed by the rule for its reason."""
        now = talk.tx.now
        scope = Scope(self._names(talk), now, self._cases.is_open(now))
        dressed = rules.dress(self._desk().escalation.rules, asked.reason_code, asked.priority or None, scope)
        talk.over = True
        talk.tx.emit(
            replace(
                asked,
                reason_code=dressed.reason,
                priority=dressed.priority or "normal",
                team=asked.team or dressed.team,
                text=self._wording(talk, dressed.text) or asked.text,
            )
        )

    # ── flows ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _by_flow(self, talk: Talk) -> bool:
        turn = talk.turn
        answered, pressed = turn.answered, turn.pressed
        if isinstance(turn.happening, Occurred):
            self._run_flow(talk, flows.Happened(turn.happening.name, turn.happening.values))
            return True
        if answered is not None:
            self._run_flow(talk, flows.CallDone(answered.token, answered.outcome, answered.value))
            return True
        if pressed is not None:
            return self._run_flow(talk, flows.Picked(pressed.value, str(pressed.on.meta.get("ask", ""))))
        files = turn.message.body.files if turn.message else ()
        if files and not turn.text.strip():
            return self._run_flow(talk, flows.Files(files))
        if self._run_flow(talk, flows.Text(turn.text, files)):
            return True
        if talk.flow.waiting == "call":  # their next words wait for the connector's answer, as they do
            turn.park_for = f"call:{talk.flow.call_token}"
        return bool(turn.park_for)

    def _run_flow(self, talk: Talk, event: flows.Event) -> bool:
        outcome = flows.step(self._desk_for(talk), talk.flow, event, self._context(talk))
        if talk.missing:  # a step asked the articles in words that are not loaded: the turn is run again when they are
            self._park_for_words(talk, talk.missing)
            return True
        before = talk.flow
        talk.flow = outcome.state
        chosen = [effect for effect in outcome.effects if isinstance(effect, flows.Survey)]
        if chosen:
            talk.survey = _as_values(chosen[-1])
        for effect in outcome.effects:
            self._apply(talk, effect)
        if outcome.handled and talk.flow.frames and not before.frames:
            first = talk.flow.frames[0]
            self._cases.began_flow(talk.tx, talk.case.id, first.flow, first.hash)
        return outcome.handled

    def _desk_for(self, talk: Talk) -> Desk:
        """The desk in force, with the versions of flows that this conversation runs in, and which have since changed."""
        desk = self._desk()
        missing = [one.hash for one in talk.flow.frames if desk.flow(one.flow, one.hash) is None]
        for content in missing:
            if content not in self._old:
                row = flow_rows.find(talk.tx.conn, content)
                self._old[content] = None if row is None else versions.from_row(row)
        old = {content: flow for content in missing if (flow := self._old[content]) is not None}
        return replace(desk, pinned={**desk.pinned, **old}) if old else desk

    def _context(self, talk: Talk) -> flows.Context:
        tx, who = talk.tx, talk.turn.customer
        return flows.Context(
            now=tx.now,
            locale=talk.locale,
            customer={"id": who.id, "name": who.name, "locale": talk.locale, **who.attributes},
            case={"id": talk.case.id, "channel": talk.turn.identity.channel},
            is_open=self._cases.is_open(tx.now),
            agents_available=self._cases.agents_available(tx, tx.now),
            knows=lambda text, locale: self._knows(talk, text, locale),
            search=lambda query, locale, tags: self._found(talk, query, locale, tags),
            opens_in_s=self._opens_in(tx.now),
        )

    def _opens_in(self, now: datetime) -> int | None:
        at = None if self._cases.is_open(now) else self._cases.opens_at(now)
        return None if at is None else int((at - now).total_seconds()) + 1

    def _found(self, talk: Talk, query: str, locale: str, tags: Sequence[str]) -> flows.Found:
        """What a step `kb` is answered."""
        if not self._searcher.ready(locale):
            talk.missing = locale
            return flows.Found("none")
        return flows.Found(*articles.answer_of(query, tags, self._searcher.search, self._article_context(locale)))

    def _knows(self, talk: Talk, text: str, locale: str) -> flows.Told | None:
        """What an article surely says to this, in the middle of a flow. Nobody waits for words that are not loaded yet."""
        if not self._searcher.ready(locale):
            talk.tx.after_commit(lambda: self._searcher.warm(locale, lambda: self._release(f"words:{locale}")))
            return None
        context = self._article_context(locale)
        found = articles.sure_answer(text, self._searcher.search, context)
        return None if found is None else flows.Told(*found)

    def _article_context(self, locale: str) -> articles.Context:
        return articles.Context(locale, self._searcher.knowledge.article, self._thresholds, self._desk().texts)

    def _apply(self, talk: Talk, effect: flows.Effect) -> None:
        tx, customer_id = talk.tx, talk.turn.customer.id
        match effect:
            case flows.Say():
                meta = {"ask": effect.token} if effect.token else None
                self._say(talk, effect.text, effect.choices, meta=meta, markdown=True)
                if effect.token:
                    self._cases.count_question(tx, talk.case.id)
            case flows.Call():
                self._call(talk, effect)
            case flows.Escalate():
                self._ask_for_people(
                    talk,
                    EscalationAsked(
                        customer_id,
                        effect.reason_code,
                        reason=effect.reason,
                        team=effect.team,
                        priority=effect.priority or "",
                        show=effect.show,
                        tried=self._tried(talk),
                        text=effect.text,
                        sla_s=effect.sla_s,
                        prefer_agent=talk.case.last_agent_id,
                        survey=_as_values(effect.survey) or talk.survey,
                    ),
                )
            case flows.Close():
                talk.over = True
                closing = CloseAsked(customer_id, effect.outcome, effect.topic, effect.reason, survey=talk.survey)
                tx.emit(closing)
            case flows.SetCustomer():
                customers.set_attribute(tx, customer_id, effect.slot, effect.value)
            case flows.SwitchLocale():
                talk.locale = effect.locale
                customers.set_locale(tx, customer_id, effect.locale)
            case flows.SetTimer():
                timers.set_timer(
                    tx,
                    "flow",
                    f"flow:{customer_id}",
                    tx.now + timedelta(seconds=effect.after_s),
                    customer_id=customer_id,
                    case_id=talk.case.id,
                    data={"token": effect.token},
                )
            case flows.Record():
                tx.emit(Recorded(customer_id, talk.case.id, effect.kind, effect.values))
            case flows.Notify():
                tx.emit(NotifyAsked(customer_id, talk.case.id, effect.channel, effect.text))
            case flows.Survey():
                pass  # taken along with Close: the engine asks once, at resolution

    def _call(self, talk: Talk, effect: flows.Call) -> None:
        """A durable request: its answer comes back as a turn of its own."""
        payload = {
            "token": effect.token,
            "connector": effect.connector,
            "values": dict(effect.values),
            "timeout_s": effect.timeout_s,
            "once": effect.once,
        }
        enqueue(
            talk.tx,
            via="connector",
            lane=f"connector:{talk.turn.customer.id}",
            kind="http",
            payload=payload,
            customer_id=talk.turn.customer.id,
            case_id=talk.case.id,
            due_at=talk.tx.now + timedelta(seconds=effect.after_s),
        )

    def _tried(self, talk: Talk) -> list[str]:
        return [f"article: {one}" for one in talk.kb.tried]

    # ── articles ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _by_articles(self, talk: Talk) -> bool:
        turn = talk.turn
        if turn.message is None:
            return False
        if turn.message.body.files and not turn.text.strip():
            self._say(talk, say("file_received", talk.locale, self._desk().texts), self._human_choice(talk))
        elif small_talk(turn.text, talk.locale) or is_blank(turn.text) or self._warm(talk):
            self._answer(talk, articles.Asked(turn.text))
        return True

    def _warm(self, talk: Talk) -> bool:
        """Whether the words of this language are loaded; if not, the turn is parked until they are."""
        if self._searcher.ready(talk.locale):
            return True
        self._park_for_words(talk, talk.locale)
        return False

    def _park_for_words(self, talk: Talk, locale: str) -> None:
        talk.words = locale
        waits_for = talk.turn.park_for = f"words:{locale}"
        talk.tx.after_commit(lambda: self._searcher.warm(locale, lambda: self._release(waits_for)))

    def _answer(self, talk: Talk, event: articles.Event) -> None:
        outcome = articles.respond(talk.kb, event, self._searcher.search, self._article_context(talk.locale))
        unsure = (articles.NotUnderstood, articles.OfferHuman, articles.Clarify)
        known = talk.case.reopened and talk.case.last_agent_id and rules.has(self._desk().escalation.rules, "repeated")
        if known and any(isinstance(one, unsure) for one in outcome.effects):
            self._fetch(talk, "reopened")  # it was theirs, and it is not plainly ours
            return
        talk.kb = outcome.state
        for effect in outcome.effects:
            self._apply_answer(talk, effect)

    def _apply_answer(self, talk: Talk, effect: articles.Effect) -> None:
        match effect:
            case articles.FetchHuman():
                tried = [f"asked: {one}" for one in effect.questions] + [f"article: {one}" for one in effect.tried]
                self._escalate(talk, effect.reason, text=effect.text, tried=tried)
            case articles.Confirmed():
                self._say(talk, effect.text)
                talk.tx.emit(
                    CloseAsked(
                        talk.turn.customer.id, "resolved", topic=effect.article_id, by="customer", confirmed=True
                    )
                )
            case articles.NotAQuestion():
                if effect.text:
                    self._say(talk, effect.text)
            case articles.Answer():
                self._say(talk, effect.text, effect.choices, markdown=True)
            case _:
                if isinstance(effect, articles.NotUnderstood | articles.OfferHuman):
                    talk.tx.emit(
                        Recorded(talk.turn.customer.id, talk.case.id, "unanswered", {"question": effect.question})
                    )
                self._say(talk, effect.text, effect.choices)

    def _fetch(self, talk: Talk, reason_code: str) -> None:
        """A human, now: by the desk's own flow for it where it has one."""
        flow = self._desk().human_flow
        if reason_code == "asked" and flow and self._run_flow(talk, flows.StartFlow(flow)):
            return
        self._escalate(talk, reason_code)

    def _escalate(self, talk: Talk, reason_code: str, text: str = "", tried: list[str] | None = None) -> None:
        self._ask_for_people(
            talk,
            EscalationAsked(
                talk.turn.customer.id,
                reason_code,
                priority="",
                text=text,
                tried=tried if tried is not None else self._tried(talk),
                prefer_agent=talk.case.last_agent_id,
            ),
        )

    # ── saying ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _human_choice(self, talk: Talk) -> tuple[Choice, ...]:
        return (Choice(HUMAN, say("talk_to_human", talk.locale, self._desk().texts)),)

    def _say(
        self,
        talk: Talk,
        text: str,
        choices: tuple[Choice, ...] = (),
        *,
        meta: Mapping[str, Any] | None = None,
        markdown: bool = False,
    ) -> None:
        body = Body(text=text, markdown=markdown, choices=tuple(choices))
        send(talk.tx, talk.turn.customer.id, body, author=BOT, case_id=talk.case.id, meta=meta)


def _as_values(chosen: flows.Survey | None) -> Mapping[str, Any] | None:
    return None if chosen is None else {"instrument": chosen.instrument, "delay_s": chosen.delay_s}


def own_name(locale: str) -> str:
    """A language's name in itself."""
    if locale in OWN_NAMES:
        return OWN_NAMES[locale]
    return articles.language_name(locale, locale)
