"""A customer who writes in another language of the desk than we speak: we follow when we are sure, and ask when we are not.

Once a case, and never after they chose a language themselves; not while a question is open either, for an answer in another
language is mostly a name or an address. Whoever is followed is told so, with a button back.
"""

from __future__ import annotations

from bot import flows
from bot.answers import language
from bot.dialogue.commands import LANGUAGE, own_name
from bot.dialogue.talk import Talk
from bot.model import Choice
from bot.storage import customers
from bot.texts import canonical, match_locale


def follow(talk: Talk) -> bool:
    """Go on in the language of what was written. True: the turn waits until languages can be told apart (once a process)."""
    turn, desk = talk.turn, talk.desk
    if talk.language or len(desk.locales) < 2 or turn.message is None or turn.pressed is not None:
        return False
    if turn.command is not None or talk.flow.waiting or not language.is_long_enough(turn.text):
        return False
    if not language.is_ready():
        if flows.asks_for_human(desk, turn.text):
            return False  # nobody waits who wants a person
        talk.park_for_words(talk.locale)
        return True
    _follow(talk)
    return False


def _follow(talk: Talk) -> None:
    turn, desk = talk.turn, talk.desk
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
