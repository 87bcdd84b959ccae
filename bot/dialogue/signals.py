"""The desk's rules at work: what is heard in a customer's words, and the offer of a human that comes of it."""

from __future__ import annotations

from bot import flows
from bot.answers import rules
from bot.answers.decide import is_blank
from bot.dialogue import by_flow
from bot.dialogue.escalating import wording
from bot.dialogue.talk import Talk
from bot.texts import escape_markdown


def hear(talk: Talk) -> bool:
    """Whether one of the desk's rules fetches a human for what was just said. One who asks for a human gets one anyway."""
    turn, desk = talk.turn, talk.desk
    if turn.message is None or turn.pressed is not None or turn.command is not None:
        return False
    if is_blank(turn.text) or flows.asks_for_human(desk, turn.text, talk.said):
        return False
    talk.memory, verdict = rules.hear(desk.escalation.rules, talk.memory, turn.text, desk.texts, talk.said)
    if verdict is None:
        return False
    if not verdict.fetch:
        talk.offer = verdict.rule
        return False
    key = "rules_safety" if verdict.rule.when == "safety" else "rules_fetching"
    return by_flow.run(talk, flows.FetchHuman(verdict.rule.when, escape_markdown(talk.sentence(key))))


def offer(talk: Talk) -> None:
    """A human is offered, unless one was fetched meanwhile, or the turn is run again."""
    if talk.offer is None or talk.over or talk.turn.park_for:
        return
    text = wording(talk, talk.offer.text) or escape_markdown(talk.sentence("rules_offer_human"))
    talk.say(text, talk.human_choice(), markdown=True)
    talk.told.pop()  # an offer is no answer: it may come again
