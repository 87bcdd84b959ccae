"""One conversation on a stage once more: the desk as it is to be, the customer as they were, other systems as they answered.

It is the stage of the conversation tests with another cast: time is that of the recording, connectors answer what they
answered then, and everything that is said is kept with where it came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from bot.answers import dialogue as articles
from bot.answers import language, rules
from bot.answers.knowledge import Knowledge
from bot.dialogue.commands import LANGUAGE, own_name
from bot.flows.play import Play
from bot.flows.run import step
from bot.flows.talk import (
    AskModel,
    Call,
    Effect,
    Escalate,
    Event,
    Fetch,
    FetchHuman,
    Files,
    Picked,
    Say,
    Text,
    TimedOut,
)
from bot.model import Choice
from bot.replay.recording import ESCALATION, MISS, MODEL, Asked, Exchange, Heard, Recording, Said
from bot.texts import canonical, escape_markdown, match_locale, say

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk


class Rerun(Play):
    """`answer` plays one exchange and gives what is said to it."""

    def __init__(self, desk: Desk, knowledge: Knowledge, recording: Recording) -> None:
        super().__init__(desk, match_locale(recording.locale, desk.locales), {"agents": recording.agents})
        self.customer |= recording.customer
        self.case = {"id": recording.case_id, "channel": recording.channel}
        self.by_hours = True
        self._reason = recording.reason
        self._follows = False
        self.answers: list[Asked] = list(recording.asked)
        self.model = "on" if any(one.connector == MODEL for one in recording.asked) else "off"
        self.unrecorded: str | None = None  # a connector that was asked what nobody asked it then
        self.lost_button = False
        self._own_knowledge = knowledge
        self._told: list[Said] = []
        self._source: str | None = None
        self._files: Sequence[Any] = ()
        self._pressable: dict[str, Said] = {}  # the recording's message → what we said in its place

    @property
    def knowledge(self) -> Knowledge:
        return self._own_knowledge

    def answer(self, exchange: Exchange) -> tuple[Said, ...]:
        """Do what the customer did; wait until they do the next thing."""
        self._told = []
        self._follows = any(one.values and all(map(_is_language, one.values)) for one in exchange.said)
        if exchange.agents is not None:
            self.agents = exchange.agents
        for heard in exchange.heard:
            self.now = heard.at
            if heard.channel:
                self.case["channel"] = heard.channel
            self.do(heard)
        self.wait_until(exchange.until)
        return tuple(self._told)

    def pair(self, then: Sequence[Said], now: Sequence[Said]) -> None:
        """Buttons of what was said then are pressed on what is said now in its place."""
        pressable = [one for one in now if one.choices]
        for before, after in zip((one for one in then if one.choices), pressable, strict=False):
            self._pressable[before.id] = after

    def wait_until(self, until: datetime) -> None:
        while due := sorted(timer for timer in self.timers if timer[0] <= until):
            self.timers.remove(due[0])
            self.now = max(self.now, due[0][0])
            self.take(TimedOut(due[0][1]))

    # ── what the customer did ──
    def do(self, heard: Heard) -> None:
        self._files = ()
        if heard.kind == "event":
            self.happen((heard.text, heard.values))
        elif heard.kind == "press":
            self.press(heard)
        elif self.is_for_people():
            return
        elif heard.files and not heard.text.strip():
            if not self.take(Files(heard.files)):
                self.hear(say("file_received", self.locale, self.desk.texts), (self.human(),))
        elif not self.command(heard.text):
            self.follow(heard.text)
            self._files = heard.files
            self.user(heard.text)

    def press(self, heard: Heard) -> None:
        on = self._pressable.get(heard.on)
        if on is not None and heard.value not in on.values:
            self.lost_button = True
        elif heard.value.startswith(LANGUAGE):
            self.speak(heard.value.removeprefix(LANGUAGE))
        elif heard.value == articles.HUMAN:
            self.ask_for_human()
        elif (event := articles.event_of(heard.value)) is not None:
            self.ask_articles(event)
        elif on is not None:
            self.take(Picked(heard.value, on.token))

    def command(self, text: str) -> bool:
        head, _, argument = text.partition(" ")
        match head.split("@")[0].lower():
            case "/start" if not self.state.frames:
                self.hear(say("greeting", self.locale, self.desk.texts))
            case "/help":
                self.hear(say("help", self.locale, self.desk.texts))
            case "/language":
                self.speak(argument.strip())
            case "/restart" | "/cancel" | "/back" as verb:
                return self.take(Text(self.phrase(verb[1:])))
            case _:
                return False
        return True

    def speak(self, wanted: str) -> None:
        locale = match_locale(wanted, self.desk.locales) if wanted else ""
        if not wanted or canonical(wanted) != locale:
            choices = tuple(Choice(LANGUAGE + one, own_name(one)) for one in self.desk.locales)
            self.hear(say("language_which", self.locale, self.desk.texts), choices)
            return
        self.locale = locale
        self.hear(say("language_changed", locale, self.desk.texts))

    def follow(self, text: str) -> None:
        """Their own language is followed, or offered, where it was then: as `bot.dialogue.speaking` does."""
        if not self._follows or self.state.waiting or text.startswith("/"):
            return
        before, own = self.locale, self.desk.texts
        found = language.detect(text, self.desk.locales)
        if found is None or canonical(found.locale) == canonical(before) or found.confidence < language.LIKELY:
            return
        self._follows = False
        if found.confidence < language.SURE:
            choice = Choice(LANGUAGE + found.locale, own_name(found.locale))
            self.hear(say("language_offer", found.locale, own), (choice,))
            return
        self.locale = found.locale
        self.hear(say("language_followed", self.locale, own), (Choice(LANGUAGE + before, own_name(before)),))

    def phrase(self, verb: str) -> str:
        """What a customer would say for this in their own language."""
        for interrupt in self.desk.interrupts:
            if verb in (interrupt.do, interrupt.id) and interrupt.phrases.get(self.locale):
                return interrupt.phrases[self.locale][0]
        return verb

    def human(self) -> Choice:
        return Choice(articles.HUMAN, say("talk_to_human", self.locale, self.desk.texts))

    # ── what comes of it ──
    def take(self, event: Event) -> bool:
        if isinstance(event, Text) and self._files:
            event, self._files = replace(event, files=tuple(self._files)), ()
        if not self.state.frames and self._came_back():
            begun = step(self.desk, self.state, event, self.context()).state
            if begun.frames and begun.frames[0].flow != self.desk.human_flow:
                self.state = begun
                text = escape_markdown(say("rules_returned", self.locale, self.desk.texts))
                return super().take(FetchHuman("returned", text))
        return super().take(event)

    def _came_back(self) -> bool:
        """Whether people knew this matter already, so that they were fetched as its flow began."""
        rule = rules.find(self.desk.escalation.rules, "repeated")
        return rule is not None and bool(self._reason) and self._reason in {"returned", rule.reason}

    def feel(self, effect: Effect) -> None:
        if isinstance(effect, Say):
            frames = self.state.frames
            self._source = f"step:{frames[-1].flow}/{frames[-1].step_id}" if frames else "step:"
        super().feel(effect)
        self._source = None

    def fetch(self, effect: Escalate) -> None:
        self._source = ESCALATION
        super().fetch(effect)
        self._source = None

    def hear(self, text: str, choices: Sequence[Choice] = (), token: str | None = None) -> None:
        super().hear(text, choices, token)
        self._told.append(Said(text, tuple(choices), self._source or self._from_articles(choices), token=token or ""))

    def _from_articles(self, choices: Sequence[Choice]) -> str | None:
        if any(one.value == articles.YES for one in choices):
            return f"article:{self.kb.shown[0]}"
        return None

    def ask_articles(self, event: articles.Event) -> None:
        before = len(self._told)
        super().ask_articles(event)
        for n, one in enumerate(self._told[before:], start=before):
            if one.source is None and one.values == (articles.HUMAN,):  # nothing but a human is offered
                self._told[n] = replace(one, source=MISS)

    def find_agent(self, said: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Who has their case, and where they stand in the queue, is the people's to say."""

    def end(self, outcome: str) -> None:
        """Closed by the bot, or by people; who asks how it was is compared by its instrument, not by its words."""
        self.closed, self.with_people = outcome, False
        self.survey = self.survey_at_end(outcome)

    def finish(self, recording: Recording) -> str | None:
        """What agents said then, as they said it, and the end as it came: which survey would be asked now."""
        for one in recording.after if self.with_people else ():
            self.now = max(self.now, one.at)
            self.reply(one.text)
        if self.closed is None:
            self.end(recording.outcome or "resolved")
        return self.survey

    def helped(self, asked: AskModel | Fetch) -> tuple[str, Any]:
        """The model says what it said to this question; pictures are always there."""
        if isinstance(asked, Fetch):
            return super().helped(asked)
        return self.answered(Call(asked.token, MODEL, {"question": asked.question}, 0))

    def answered(self, call: Call) -> tuple[str, Any]:
        asked = next((one for one in self.answers if _is_same(one, call)), None)
        if asked is None or asked.outcome is None:
            self.unrecorded = call.connector
            return "error", None
        self.answers.remove(asked)
        return asked.outcome, asked.answer

    def pass_time(self, seconds: int) -> str:
        self.wait_until(self.now + timedelta(seconds=seconds))
        return ""


def _is_language(value: str) -> bool:
    return value.startswith(LANGUAGE)


def _is_same(asked: Asked, call: Call) -> bool:
    return asked.connector == call.connector and _as_texts(asked.values) == _as_texts(call.values)


def _as_texts(values: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in dict(values).items()}
