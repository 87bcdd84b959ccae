"""Slash commands, and the buttons that are not a flow's: a human, a language, what articles offer."""

from __future__ import annotations

from bot import flows
from bot.answers import dialogue as articles
from bot.dialogue import by_articles, by_flow
from bot.dialogue.escalating import escalate
from bot.dialogue.talk import HUMAN, Talk
from bot.model import Choice
from bot.outreach.consent import START
from bot.storage import customers
from bot.texts import built_in, canonical, in_language, match_locale

LANGUAGE = "language:"  # the value of a button that chooses one; the locale follows


def take(talk: Talk) -> bool:
    turn = talk.turn
    if turn.message is not None and turn.message.meta.get("unsupported"):
        talk.say(talk.sentence("unsupported_kind"))
        return True
    match turn.command:
        case "start" if not talk.flow.frames:
            talk.say(talk.sentence("greeting"))
        case "help":
            talk.say(talk.sentence("help"))
        case "human" | "agent":
            fetch_human(talk)
        case "language":
            speak(talk, turn.argument)
        case "restart" | "cancel" | "back" as verb:
            return by_flow.run(talk, flows.Text(_phrase(talk, verb)))
        case _:
            return False
    return True


def press(talk: Talk) -> bool:
    """A button that is no flow's question."""
    pressed = talk.turn.pressed
    if pressed is None or "ask" in pressed.on.meta:
        return False
    if pressed.value == HUMAN:
        fetch_human(talk)
        return True
    if pressed.value.startswith(LANGUAGE):
        speak(talk, pressed.value.removeprefix(LANGUAGE))
        return True
    if pressed.value.startswith(START) and pressed.value.removeprefix(START) in talk.desk.flows:
        return by_flow.run(talk, flows.StartFlow(pressed.value.removeprefix(START)))
    event = articles.event_of(pressed.value)
    if event is None:
        return False
    if talk.is_warm(talk.kb.question):
        by_articles.answer(talk, event)
    return True


def fetch_human(talk: Talk) -> None:
    """Somebody asks for a human: by the desk's own flow for it where it has one."""
    flow = talk.desk.human_flow
    if not (flow and by_flow.run(talk, flows.StartFlow(flow))):
        escalate(talk, "asked")


def speak(talk: Talk, wanted: str) -> None:
    """`/language nl`, a pressed language, or `/language` alone, which asks."""
    locales = talk.desk.locales
    locale = match_locale(wanted, locales) if wanted else ""
    if not wanted or canonical(wanted) != locale:
        choices = tuple(Choice(LANGUAGE + one, own_name(one)) for one in locales)
        talk.say(talk.sentence("language_which"), choices)
        return
    talk.locale, talk.language = locale, "chosen"
    customers.set_locale(talk.tx, talk.customer_id, locale)
    talk.say(talk.sentence("language_changed"))


def own_name(locale: str) -> str:
    """A language's name in itself."""
    return in_language(built_in("language_own_name"), locale) or articles.language_name(locale, locale).capitalize()


def _phrase(talk: Talk, verb: str) -> str:
    """What a customer would say for this in their own language, so that a command never changes the language."""
    for interrupt in talk.desk.interrupts:
        if verb in (interrupt.do, interrupt.id) and interrupt.phrases.get(talk.locale):
            return interrupt.phrases[talk.locale][0]
    return verb
