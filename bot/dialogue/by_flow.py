"""Flows in the turn: what a customer says goes to the interpreter, and its effects become what they mean in this house."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bot import flows, timers
from bot.answers import dialogue as articles
from bot.answers import rules
from bot.desk_folder import Desk
from bot.dialogue import by_model
from bot.dialogue.escalating import ask_for_people, dressed, tried
from bot.dialogue.talk import Talk
from bot.events import CloseAsked, EscalationAsked, NotifyAsked, Recorded, StepsTaken
from bot.flows import versions
from bot.model import HELD, Occurred, new_id
from bot.outbox import enqueue
from bot.storage import customers, flow_rows, recording_rows
from bot.texts import escape_markdown


def take(talk: Talk) -> bool:
    turn = talk.turn
    answered, pressed = turn.answered, turn.pressed
    if isinstance(turn.happening, Occurred):
        hear_event(talk, turn.happening)
        return True
    if answered is not None:
        recording_rows.answered(talk.tx, talk.customer_id, answered.token, answered.outcome, answered.value)
        run(talk, flows.CallDone(answered.token, answered.outcome, answered.value))
        return True
    if pressed is not None:
        return run(talk, flows.Picked(pressed.value, str(pressed.on.meta.get("ask", ""))))
    files = turn.message.body.files if turn.message else ()
    if files and not turn.text.strip():
        return run(talk, flows.Files(files))
    if run(talk, flows.Text(turn.text, files, talk.said)):
        return True
    if talk.flow.waiting == "call":  # their next words wait for the connector's answer, as they do
        turn.park_for = f"call:{talk.flow.call_token}"
    return bool(turn.park_for)


def hear_event(talk: Talk, told: Occurred) -> bool:
    """Whether a flow has waited for what another system told, or begins with it."""
    event = {"name": told.name, "values": dict(told.values)}
    recording_rows.happened(talk.tx, talk.case.id, talk.customer_id, new_id(), event)
    return run(talk, flows.Happened(told.name, told.values))


def run(talk: Talk, event: flows.Event) -> bool:
    """Whether a flow took the event."""
    outcome = flows.step(_desk_for(talk), talk.flow, event, _context(talk))
    if talk.missing:  # a step asked the articles in words that are not loaded: the turn is run again when they are
        talk.park_for_words(talk.missing, talk.asks)
        return True
    began = outcome.began
    ran = began or _ran(talk.flow)
    if began and began[0] != talk.desk.human_flow:
        # First of all: where people are fetched for it, the desk's rules go by it.
        talk.bot.cases.began_flow(talk.tx, talk.case.id, *began)
    if began and outcome.state.frames and _comes_back(talk, began[0]):
        text = escape_markdown(talk.sentence("rules_returned"))
        outcome = flows.step(_desk_for(talk), outcome.state, flows.FetchHuman("returned", text), _context(talk))
    talk.flow = outcome.state
    talk.got_on = talk.got_on or any("answer" in one for one in outcome.trace)
    if outcome.trace:
        talk.tx.emit(StepsTaken(outcome.trace))
    chosen = [effect for effect in outcome.effects if isinstance(effect, flows.Survey)]
    if chosen:
        talk.survey = _as_values(chosen[-1])
    for effect in outcome.effects:
        _apply(talk, effect)
        if isinstance(effect, flows.Escalate) and _is_held(talk):
            talk.flow = flows.FlowState(slots=talk.flow.slots, turns=talk.flow.turns)
            break  # somebody of another team was there: what follows is for while nobody is
    if ran and ran[0] == talk.desk.human_flow and _is_done(outcome):
        # Only now: until then the desk's rules see what was tried before, for which people are fetched.
        talk.bot.cases.began_flow(talk.tx, talk.case.id, *ran)
    return outcome.handled


def _ran(before: flows.FlowState) -> tuple[str, str] | None:
    """The flow that began before this event and has fetched nobody yet, and its version's hash."""
    if not before.frames or before.waiting == "escalate":
        return None
    return before.frames[0].flow, before.frames[0].hash


def _is_done(outcome: flows.Outcome) -> bool:
    """Whether people were asked for, or nothing runs any more."""
    return not outcome.state.frames or any(isinstance(one, flows.Escalate) for one in outcome.effects)


def _is_held(talk: Talk) -> bool:
    """Whether an agent has their case: it was given out as soon as people were asked for."""
    case = talk.bot.cases.live(talk.tx, talk.customer_id)
    return case is not None and case.status in HELD


def _comes_back(talk: Talk, flow: str) -> bool:
    """Whether people had this topic with them lately: then it goes on with whoever knows it, and not with a bot."""
    rule = rules.find(talk.desk.escalation.rules, "repeated")
    if rule is None or flow == talk.desk.human_flow:
        return False
    since = talk.tx.now - timedelta(seconds=rule.within_s or rules.WITHIN_S)
    talk.knows = talk.bot.cases.knew(talk.tx, talk.customer_id, (flow,), since)
    return talk.knows is not None


def _desk_for(talk: Talk) -> Desk:
    """The desk in force, with the versions of flows that this conversation runs in, and which have since changed."""
    desk, known = talk.desk, talk.bot.old
    if not talk.flow.frames and not desk.versions.rollout:
        return desk
    wanted = [(one.flow, one.hash) for one in talk.flow.frames]
    wanted += [(flow, planned.before) for flow, planned in desk.versions.rollout.items()]
    missing = [content for flow, content in wanted if desk.flow(flow, content) is None]
    for content in missing:
        if content not in known:
            row = flow_rows.find(talk.tx.conn, content)
            known[content] = None if row is None else versions.from_row(row)
    old = {content: flow for content in missing if (flow := known[content]) is not None}
    return replace(desk, pinned={**desk.pinned, **old}) if old else desk


def _context(talk: Talk) -> flows.Context:
    tx, cases, names = talk.tx, talk.bot.cases, talk.names()
    is_open = cases.is_open(tx.now)
    return flows.Context(
        now=tx.now,
        locale=talk.locale,
        customer=names["customer"],
        case=names["case"],
        is_open=is_open,
        is_staffed=lambda effect, who, flow: cases.is_staffed(tx, dressed(talk, _asked(talk, effect)), who, flow),
        knows=lambda text, locale: _knows(talk, text, locale),
        search=lambda query, locale, tags: _found(talk, query, locale, tags),
        opens_in_s=None if is_open else _opens_in(talk, tx.now),
        model=by_model.may_ask(talk),
    )


def _opens_in(talk: Talk, now: datetime) -> int | None:
    at = talk.bot.cases.opens_at(now)
    return None if at is None else int((at - now).total_seconds()) + 1


def _found(talk: Talk, query: str, locale: str, tags: Sequence[str]) -> flows.Found:
    """What a step `kb` is answered."""
    if not talk.bot.searcher.ready(locale, query):
        talk.missing, talk.asks = locale, query
        return flows.Found("none")
    return flows.Found(*articles.answer_of(query, tags, talk.bot.searcher.search, talk.about_articles(locale)))


def _knows(talk: Talk, text: str, locale: str) -> flows.Told | None:
    """What an article surely says to this, in the middle of a flow. Nobody waits for words that are not loaded yet."""
    bot = talk.bot
    if not bot.searcher.ready(locale):
        talk.tx.after_commit(lambda: bot.searcher.warm(locale, lambda: bot.release(f"words:{locale}")))
        return None
    if not bot.searcher.ready(locale, text):
        talk.missing, talk.asks = locale, text
        return None
    found = articles.sure_answer(text, bot.searcher.search, talk.about_articles(locale))
    return None if found is None else flows.Told(*found)


# ── effects ──


def _apply(talk: Talk, effect: flows.Effect) -> None:
    tx, customer_id = talk.tx, talk.customer_id
    match effect:
        case flows.Say():
            meta = {"source": _resting_place(talk)} | ({"ask": effect.token} if effect.token else {})
            talk.say(effect.text, effect.choices, meta=meta, markdown=True, files=effect.files)
            if effect.token:
                talk.bot.cases.count_question(tx, talk.case.id)
        case flows.Call():
            _call(talk, effect)
        case flows.Fetch():
            _fetch(talk, effect)
        case flows.AskModel():
            by_model.ask(talk, effect)
        case flows.Escalate():
            _escalate(talk, effect)
        case flows.Close():
            talk.over = True
            ended = CloseAsked(customer_id, effect.outcome, effect.topic, effect.reason, survey=talk.survey)
            tx.emit(replace(ended, confirmed=True) if effect.confirmed else ended)
        case flows.SetCustomer():
            customers.set_attribute(tx, customer_id, effect.slot, effect.value)
        case flows.SwitchLocale():
            talk.locale, talk.language = effect.locale, "chosen"
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


def _resting_place(talk: Talk) -> str:
    """Where the flows rest after what is said: by it a replay tells other words from another way."""
    frames = talk.flow.frames
    return f"step:{frames[-1].flow}/{frames[-1].step_id}" if frames else "step:"


def _escalate(talk: Talk, effect: flows.Escalate) -> None:
    ask_for_people(talk, _asked(talk, effect))


def _asked(talk: Talk, effect: flows.Escalate) -> EscalationAsked:
    return EscalationAsked(
        talk.customer_id,
        effect.reason_code,
        reason=effect.reason,
        team=effect.team,
        priority=effect.priority or "",
        show=effect.show,
        tried=tried(talk),
        text=effect.text,
        sla_s=effect.sla_s,
        prefer_agent=talk.case.last_agent_id,
        survey=_as_values(effect.survey) or talk.survey,
        goes_on=talk.flow.waiting == "ask",
    )


def _call(talk: Talk, effect: flows.Call) -> None:
    """A durable request: its answer comes back as a turn of its own."""
    payload = {
        "token": effect.token,
        "connector": effect.connector,
        "values": dict(effect.values),
        "timeout_s": effect.timeout_s,
        "once": effect.once,
    }
    asked = {"connector": effect.connector, "values": dict(effect.values)}
    recording_rows.asked(talk.tx, talk.case.id, talk.customer_id, effect.token, "call", asked)
    enqueue(
        talk.tx,
        via="connector",
        lane=f"connector:{talk.customer_id}",
        kind="http",
        payload=payload,
        customer_id=talk.customer_id,
        case_id=talk.case.id,
        due_at=talk.tx.now + timedelta(seconds=effect.after_s),
    )


def _fetch(talk: Talk, effect: flows.Fetch) -> None:
    """A picture, which comes back as a turn of its own."""
    enqueue(
        talk.tx,
        via="media",
        lane=f"media:{talk.customer_id}",
        kind="fetch",
        payload={"token": effect.token, "url": effect.url, "file_id": new_id()},
        customer_id=talk.customer_id,
        case_id=talk.case.id,
    )


def _as_values(chosen: flows.Survey | None) -> Mapping[str, Any] | None:
    return None if chosen is None else {"instrument": chosen.instrument, "delay_s": chosen.delay_s}
