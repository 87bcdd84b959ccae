"""Fetching people: every escalation of the bot leaves here, dressed by the desk's rule for its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.answers import rules
from bot.dialogue.talk import Talk
from bot.events import EscalationAsked
from bot.flows import templates
from bot.flows.expressions import Scope
from bot.texts import match_locale


def ask_for_people(talk: Talk, asked: EscalationAsked) -> None:
    talk.over = True
    talk.tx.emit(dressed(talk, asked))


def dressed(talk: Talk, asked: EscalationAsked) -> EscalationAsked:
    """What is asked of the people's room, as the desk's rule for its reason has it."""
    now = talk.tx.now
    scope = Scope(talk.names(), now, talk.bot.cases.is_open(now))
    own = talk.desk.escalation.rules
    unhappy = rules.find(own, "detractor") is not None and talk.bot.cases.was_unhappy(talk.tx, talk.customer_id)
    dress = rules.dress(own, asked.reason_code, asked.priority or None, scope, unhappy=unhappy)
    return replace(
        asked,
        reason_code=dress.reason,
        priority=dress.priority or "normal",
        team=asked.team or dress.team,
        text=wording(talk, dress.text) or asked.text,
        show=(*asked.show, *((("priority", ", ".join(dress.raised)),) if dress.raised else ())),
        prefer_agent=talk.knows or asked.prefer_agent,
    )


def escalate(talk: Talk, reason_code: str, text: str = "", more: Sequence[str] | None = None) -> None:
    """Without a flow of the desk's. `more` are lines for the card; else what was tried."""
    asked = EscalationAsked(
        talk.customer_id,
        reason_code,
        priority="",
        text=text,
        tried=tried(talk) if more is None else more,
        prefer_agent=talk.case.last_agent_id,
    )
    ask_for_people(talk, asked)


def tried(talk: Talk) -> list[str]:
    return [f"article: {one}" for one in talk.kb.tried]


def wording(talk: Talk, own: Mapping[str, str]) -> str:
    """A rule's own words, in the customer's language."""
    template = own.get(match_locale(talk.locale, talk.desk.locales), "")
    return templates.render(template, talk.names(), talk.locale) if template else ""
