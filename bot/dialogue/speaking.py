"""A customer who writes in another language of the desk than we speak: we follow when we are sure, and ask when we are not.

Once a case, and never after they chose a language themselves; not while a question is open either, for an answer in another
language is mostly a name or an address. Whoever is followed is told so, with a button back.
"""

from __future__ import annotations

from functools import partial

from bot.answers import language
from bot.dialogue.commands import LANGUAGE, own_name
from bot.dialogue.talk import Talk
from bot.model import Choice
from bot.storage import customers
from bot.texts import canonical, match_locale


def follow(talk: Talk) -> None:
    turn, desk = talk.turn, talk.desk
    if talk.language or len(desk.locales) < 2 or turn.message is None or turn.pressed is not None:
        return
    if turn.command is not None or talk.flow.waiting:
        return
    if not language.is_ready():  # loaded on first use, and nobody waits for it: this text is taken as it is
        if language.is_long_enough(turn.text):
            talk.tx.after_commit(partial(talk.bot.searcher.load, language.warm))
        return
    before = match_locale(talk.locale, desk.locales)
    found = language.detect(turn.text, desk.locales)
    if found is None or canonical(found.locale) == canonical(before) or found.confidence < language.LIKELY:
        return
    talk.language = "followed"
    if found.confidence < language.SURE:
        choice = Choice(LANGUAGE + found.locale, own_name(found.locale))
        talk.say(talk.sentence("language_offer", found.locale), (choice,))
        return
    talk.locale = found.locale
    customers.set_locale(talk.tx, talk.customer_id, found.locale)
    talk.say(talk.sentence("language_followed"), (Choice(LANGUAGE + before, own_name(before)),))
