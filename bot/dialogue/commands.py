"""Slash commands, and the buttons that are not a flow's: a human, a language, what articles offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot import flows
from bot.answers import dialogue as articles
from bot.desk_folder import Desk
from bot.dialogue import by_articles, by_flow
from bot.dialogue.talk import HUMAN, Talk
from bot.model import Choice
from bot.outreach.consent import START
from bot.storage import customers
from bot.texts import built_in, canonical, in_language, match_locale
from bot.turn import Pressed

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


def choose_language(talk: Talk) -> bool:
    """`/language`, or a language's button: also while people are on their way, whose news come in it from here on."""
    turn = talk.turn
    if turn.command == "language":
        speak(talk, turn.argument)
        return True
    return turn.pressed is not None and turn.pressed.value.startswith(LANGUAGE) and press(talk)


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
    if isinstance(event, articles.Helped) and not _is_of_last(talk, pressed):
        return True  # of an article before the last: "did this help?" stands for another one now
    if talk.is_warm(talk.kb.question):
        by_articles.answer(talk, event)
    return True


def _is_of_last(talk: Talk, pressed: Pressed) -> bool:
    """Whether the button stands below the article that was told last."""
    told = str(pressed.on.meta.get("source", ""))
    return told.removeprefix("article:") in talk.kb.shown


def is_ours(pressed: Pressed) -> bool:
    """Whether the bot may have put this button there; the queue has others ("I'll wait here")."""
    known = "ask" in pressed.on.meta or pressed.value == HUMAN or articles.event_of(pressed.value) is not None
    return known or pressed.value.startswith((LANGUAGE, START))


def is_spent(pressed: Pressed, state: Mapping[str, Any], desk: Desk) -> bool:
    """Whether nothing would come of this button any more; `state` is what the bot remembers of the case that has ended."""
    if "ask" in pressed.on.meta:
        pending = flows.FlowState.from_json(state.get("flow") or {}).pending
        return pending is None or pending.token != pressed.on.meta["ask"]
    event = articles.event_of(pressed.value)
    if event is not None:
        begins = isinstance(event, articles.ChoseArticle) and event.id is not None
        return not begins and not articles.State.from_json(state.get("kb") or {}).shown
    begins_flow = pressed.value.startswith(START) and pressed.value.removeprefix(START) in desk.flows
    return not (begins_flow or pressed.value == HUMAN or pressed.value.startswith(LANGUAGE))


def fetch_human(talk: Talk) -> None:
    """Somebody asks for a human: by the desk's own flow for it where it has one."""
    flow = talk.desk.human_flow
    if not (flow and by_flow.run(talk, flows.StartFlow(flow))):
        by_flow.run(talk, flows.FetchHuman("asked"))  # what runs ends here: it asks nothing more while they wait


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
