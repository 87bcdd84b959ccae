"""What no flow wanted, asked of the articles: what they say becomes messages, an end, or people."""

from __future__ import annotations

from bot.answers import dialogue as articles
from bot.answers import rules
from bot.answers.decide import is_blank, small_talk
from bot.dialogue.escalating import escalate
from bot.dialogue.talk import Talk
from bot.events import CloseAsked, Recorded


def take(talk: Talk) -> bool:
    turn = talk.turn
    if turn.message is None:
        return False
    if turn.message.body.files and not turn.text.strip():
        talk.say(talk.sentence("file_received"), talk.human_choice())
    elif small_talk(turn.text, talk.locale, talk.desk.texts) or is_blank(turn.text) or talk.is_warm(turn.text):
        answer(talk, articles.Asked(turn.text))
    return True


def answer(talk: Talk, event: articles.Event) -> None:
    outcome = articles.respond(talk.kb, event, talk.bot.searcher.search, talk.about_articles(talk.locale))
    unsure = (articles.NotUnderstood, articles.OfferHuman, articles.Clarify)
    known = talk.case.reopened and talk.case.last_agent_id and rules.find(talk.desk.escalation.rules, "repeated")
    if known and any(isinstance(one, unsure) for one in outcome.effects):
        escalate(talk, "reopened")  # it was theirs, and it is not plainly ours
        return
    talk.kb = outcome.state
    for effect in outcome.effects:
        _apply(talk, effect)


def _apply(talk: Talk, effect: articles.Effect) -> None:
    match effect:
        case articles.FetchHuman():
            more = [f"asked: {one}" for one in effect.questions] + [f"article: {one}" for one in effect.tried]
            escalate(talk, effect.reason, effect.text, more)
        case articles.Confirmed():
            talk.say(effect.text)
            ended = CloseAsked(talk.customer_id, "resolved", topic=effect.article_id, by="customer", confirmed=True)
            talk.tx.emit(ended)
        case articles.NotAQuestion():
            if effect.text:
                talk.say(effect.text)
        case articles.Answer():
            talk.got_on = True
            meta = {"source": f"article:{effect.article.id}", "question": talk.kb.question}
            talk.say(effect.text, effect.choices, meta=meta, markdown=True)
        case _:
            if isinstance(effect, articles.NotUnderstood | articles.OfferHuman):
                talk.tx.emit(Recorded(talk.customer_id, talk.case.id, "unanswered", {"question": effect.question}))
            is_miss = isinstance(effect, articles.NotUnderstood | articles.OfferHuman | articles.Rephrase)
            talk.say(effect.text, effect.choices, meta={"source": "miss"} if is_miss else None)
