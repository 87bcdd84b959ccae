"""One conversation on a stage: the flows, the articles and the rules of a desk, people, a clock, and a survey. Pure.

What lives here: what comes of each line of a script. It does what `bot.dialogue` and the rooms of the cases and surveys do,
as far as a customer can see it, without a database. What it must not know: how a script is written (`transcripts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from bot.answers import dialogue as articles
from bot.answers import rules
from bot.answers.article import Article
from bot.answers.decide import is_blank
from bot.answers.knowledge import Knowledge
from bot.flows import templates
from bot.flows.colleagues import Colleagues
from bot.flows.expressions import Scope
from bot.flows.run import asks_for_human, step
from bot.flows.talk import (
    AskModel,
    Call,
    CallDone,
    Close,
    Context,
    Effect,
    Escalate,
    Event,
    Fetch,
    FetchHuman,
    Files,
    FlowState,
    Found,
    Happened,
    Notify,
    Outcome,
    Picked,
    Record,
    Say,
    SetCustomer,
    SetTimer,
    StartFlow,
    Survey,
    SwitchLocale,
    Text,
    TimedOut,
    Told,
)
from bot.model import Choice, FileRef
from bot.staffing import people
from bot.staffing.hours import is_open_at, next_opening
from bot.staffing.routing import Wanted
from bot.texts import duration, moment, say

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk
    from bot.flows.schema import Flow

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)  # a Monday morning
SCALES: Mapping[str, tuple[int, int]] = {
    "ces7": (1, 7),
    "ces7_statement": (1, 7),
    "csat5": (1, 5),
    "csat2": (0, 1),
    "nps": (0, 10),
}
_WITHOUT_SURVEY = frozenset({"spam", "duplicate", "abandoned"})
_WAIT_S = 180  # what a customer is told while nothing has been measured


@lru_cache(maxsize=4)
def knowledge_of(found: tuple[Article, ...]) -> Knowledge:
    return Knowledge.build(found)


class Play:
    """`given` as in a test's head. Every line's method gives what is wrong, or ""."""

    def __init__(self, desk: Desk, locale: str, given: Mapping[str, Any]) -> None:
        self.given: Mapping[str, Any] = given.get("connectors") or {}
        self.desk = with_fakes(desk, self.given)
        self.state = FlowState()
        self.kb = articles.State()
        self.memory = rules.Memory()
        self.got_on = False  # in this turn a question was answered, or an article told
        self._knowledge: Knowledge | None = None
        self.locale = locale
        self.customer: dict[str, Any] = {"locale": locale, **(given.get("customer") or {})}
        self.case: dict[str, Any] = {"id": "case-1", "channel": "web", **(given.get("case") or {})}
        self.model = str(given.get("model", "off"))  # what it answers, or off, or timeout
        self.colleagues = Colleagues(desk)
        self.agents = 1
        self.now = _moment(desk, given["at"]) if "at" in given else START
        self.by_hours = "at" in given and "open" not in given
        self.open = bool(given.get("open", True))
        self.unheard: list[str] = []
        self.said: list[str] = []  # since the customer's last words
        self.question: tuple[str, tuple[Choice, ...]] | None = None  # its token ("" an article's), its buttons
        self.timers: list[tuple[datetime, str]] = []
        self.slots: dict[str, Any] = {}
        self.escalation: Escalate | None = None
        self.with_people = False
        self.claimed = False
        self.wanted = Wanted("case", None, locale)
        self.notes: list[str] = []
        self.records: list[Record | Notify] = []
        self.closed: str | None = None
        self.survey: str | None = None
        self.score: int | None = None
        self.flow: str | None = None
        self.came_for: str | None = self.case.get("flow")
        self.wrong = self.staff(given.get("agents", 1))

    # ── flows ──
    def take(self, event: Event) -> bool:
        self.now += timedelta(seconds=1)
        outcome = step(self.desk, self.state, event, self.context())
        self.watched(event, outcome)
        self.state = outcome.state
        self.came_for = people.came_for(self.desk, self.came_for, outcome.began[0] if outcome.began else "")
        held = {name: value for frame in self.state.frames for name, value in frame.slots.items()}
        self.slots |= {**held, **self.state.slots}
        self.flow = self.state.frames[-1].flow if self.state.frames else None
        for effect in outcome.effects:
            self.feel(effect)
            if isinstance(effect, Escalate) and self.is_held:
                break  # what follows is for while nobody is there
        self.got_on = self.got_on or any("answer" in one for one in outcome.trace)
        for call in [effect for effect in outcome.effects if isinstance(effect, Call | AskModel | Fetch)]:
            if isinstance(call, Call):
                self.now += timedelta(seconds=call.after_s)
            answered = self.answered(call) if isinstance(call, Call) else self.helped(call)
            self.take(CallDone(call.token, *answered))
        return outcome.handled

    def watched(self, event: Event, outcome: Outcome) -> None:
        """Each step that was taken, for whoever looks on (the simulator)."""

    def context(self) -> Context:
        return Context(
            self.now,
            self.locale,
            self.customer,
            self.case,
            self.is_open,
            self.is_staffed,
            knows=self.knows,
            search=self.found,
            model=self.model != "off",
        )

    @property
    def is_open(self) -> bool:
        if not self.by_hours:
            return self.open
        team = self.colleagues.team if self.with_people else people.default_team(self.desk)
        return is_open_at(people.hours_of(self.desk, team), self.now)

    def feel(self, effect: Effect) -> None:
        match effect:
            case Say():
                self.hear(effect.text, effect.choices, effect.token or None)
            case Escalate():
                self.fetch(effect)
            case Close():
                self.end(effect.outcome)
            case Survey():
                self.survey = effect.instrument
            case SetCustomer():
                self.customer[effect.slot] = effect.value
                self.slots[effect.slot] = effect.value
            case SwitchLocale():
                self.locale = effect.locale
            case SetTimer():
                self.timers.append((self.now + timedelta(seconds=effect.after_s), effect.token))
            case Record() | Notify():
                self.records.append(effect)
            case _:
                pass

    def hear(self, text: str, choices: Sequence[Choice] = (), token: str | None = None) -> None:
        self.unheard.append(text)
        self.said.append(text)
        if token is not None or choices:
            self.question = token or "", tuple(choices)

    def fetch(self, effect: Escalate) -> None:
        """People are asked for: the customer hears so, and where they stand in the queue."""
        if self.with_people:
            return
        effect = self.dressed(effect)
        self.hear(effect.text or say("human_coming", self.locale, self.desk.texts))
        self.wanted, priority = self.destination(effect, {**self.customer, "locale": self.locale})
        self.escalation = replace(effect, team=self.wanted.team, priority=priority)
        self.with_people, self.claimed = True, False
        self.slots |= {name: value for name, value in effect.show if name not in self.slots}
        if effect.survey is not None:
            self.survey = effect.survey.instrument
        self.find_agent(self.colleagues.fetch(self.wanted, self.now))

    def dressed(self, effect: Escalate) -> Escalate:
        """As the desk's rule for its reason has it."""
        scope = Scope(self.names(), self.now, self.is_open)
        own_rules, unhappy = self.desk.escalation.rules, bool(self.customer.get("detractor"))
        unhappy = unhappy and rules.find(own_rules, "detractor") is not None
        dress = rules.dress(own_rules, effect.reason_code, effect.priority, scope, unhappy=unhappy)
        own = templates.render(dress.text.get(self.locale, ""), self.names(), self.locale)
        team, text = effect.team or dress.team, own or effect.text
        return replace(effect, reason_code=dress.reason, priority=dress.priority, team=team, text=text)

    def destination(self, effect: Escalate, customer: Mapping[str, Any], flow: str = "") -> tuple[Wanted, str | None]:
        """The team that the desk's rules name and whom they ask for, and the priority that they give."""
        locale = str(customer["locale"])
        about: dict[str, Any] = {"locale": locale, "reason": effect.reason_code}
        about |= {"priority": effect.priority or "normal", "flow": people.came_for(self.desk, self.came_for, flow)}
        names = {"customer": customer, "case": {**self.case, **about, "team": effect.team}}
        team, rule = people.destination(self.desk, effect.team, locale, Scope(names, self.now, self.is_open))
        wanted = Wanted("case", team, locale, rule.skills if rule else (), self.case.get("last_agent") or None)
        self.colleagues.always_open = not self.by_hours
        return wanted, (rule.priority if rule else None) or effect.priority

    def is_staffed(self, effect: Escalate, customer: Mapping[str, Any], flow: str) -> bool:
        """Whether somebody is there where that would go."""
        if self.with_people:
            return self.has_people(self.colleagues.team)
        wanted, _ = self.destination(self.dressed(effect), customer, flow)
        return self.has_people(self.colleagues.overflowing(wanted, self.now).team)

    def has_people(self, team: str | None) -> bool:
        return self.agents > 0 and (self.by_hours or self.open) and self.colleagues.has_staff(team, self.now)

    def find_agent(self, said: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """What the customer hears of who has their case now; else where they stand."""
        for key, values in said:
            self.hear(say(key, self.locale, self.desk.texts, **values))
        if self.colleagues.agent is None:
            self.tell_place()
        else:
            self.state = FlowState(slots=self.state.slots)  # what was asked before, nobody waits for any more

    def tell_place(self) -> None:
        if self.has_people(self.colleagues.team):
            wait = duration(_WAIT_S, self.locale)
            self.hear(say("queue_place", self.locale, self.desk.texts, position=1, wait=wait))
        else:
            self.hear(self.nobody_here())

    def nobody_here(self) -> str:
        hours = people.hours_of(self.desk, self.colleagues.team)
        back_at = next_opening(hours, self.now) if self.by_hours and not self.is_open else None
        if back_at is None:
            return say("no_agents_now", self.locale, self.desk.texts)
        when = moment(back_at, self.locale, hours.zone)
        return say("no_agents_until", self.locale, self.desk.texts, when=when)

    def end(self, outcome: str) -> None:
        self.closed = outcome
        self.with_people = False
        self.survey = self.survey_at_end(outcome)
        if self.survey is not None:
            own = self.desk.texts
            self.hear(say(f"survey_{self.survey}_question", self.locale, own, company=self.desk.name))

    def survey_at_end(self, outcome: str) -> str | None:
        """The instrument that a flow has chosen, else the desk's; None where nobody is asked."""
        if outcome in _WITHOUT_SURVEY:
            return None
        chosen = self.survey or str((self.desk.surveys or {}).get("instrument", "ces7"))
        return None if chosen == "off" else chosen

    def helped(self, asked: AskModel | Fetch) -> tuple[str, Any]:
        """What `given` says the model answers; pictures are always there."""
        if isinstance(asked, Fetch):
            return "ok", {"id": asked.token, "name": asked.url.rpartition("/")[2]}
        return ("timeout", None) if self.model == "timeout" else ("ok", {"text": self.model})

    def answered(self, call: Call) -> tuple[str, Any]:
        """What `given` says the connector answers."""
        answers = self.given.get(call.connector, "error")
        if isinstance(answers, Mapping):
            sent = [str(value) for value in call.values.values()]
            answers = next((answers[key] for key in (*sent, "*") if key in answers), 404)
        if isinstance(answers, int) and 100 <= answers <= 599:
            return str(answers), None
        return (answers, None) if answers in ("timeout", "error") else ("ok", answers)

    # ── articles ──
    @property
    def searched(self) -> bool:
        """Whether the articles were asked."""
        return self._knowledge is not None

    @property
    def knowledge(self) -> Knowledge:
        if self._knowledge is None:
            self._knowledge = knowledge_of(self.desk.articles)
        return self._knowledge

    def about(self, locale: str) -> articles.Context:
        own = self.desk.escalation.rules
        limits = articles.Limits(rules.times(own, "unsure"), rules.times(own, "not_helped"))
        return articles.Context(
            locale, self.knowledge.article, self.desk.answers, own_texts=self.desk.texts, limits=limits
        )

    def knows(self, text: str, locale: str) -> Told | None:
        found = articles.sure_answer(text, self.knowledge.search, self.about(locale))
        return None if found is None else Told(*found)

    def found(self, query: str, locale: str, tags: Sequence[str]) -> Found:
        return Found(*articles.answer_of(query, tags, self.knowledge.search, self.about(locale)))

    def ask_articles(self, event: articles.Event) -> None:
        outcome = articles.respond(self.kb, event, self.knowledge.search, self.about(self.locale))
        self.kb = outcome.state
        for effect in outcome.effects:
            match effect:
                case articles.FetchHuman():
                    self.fetch(Escalate(effect.reason, text=effect.text))
                case articles.Confirmed():
                    self.hear(effect.text)
                    self.end("resolved")
                case articles.NotAQuestion():
                    if effect.text:
                        self.hear(effect.text)
                case articles.Answer():
                    self.got_on = True
                    self.hear(effect.text, effect.choices)
                case _:
                    self.hear(effect.text, effect.choices)

    # ── what a customer does ──
    def user(self, text: str) -> str:
        self.begin_turn()
        if self.is_for_people():
            return ""
        if text.split(maxsplit=1)[:1] in (["/human"], ["/agent"]):
            self.ask_for_human()
            return ""
        still_asked = self.with_people  # the bot asks something while the case waits
        if still_asked:
            self.take(Text(text))
            return ""
        self.got_on = False
        offered = self.by_rules(text)
        if not self.with_people and not self.take(Text(text)):  # a rule may just have fetched them
            self.ask_articles(articles.Asked(text))
        self.memory = rules.told(self.memory, self.said, got_on=self.got_on)
        if offered is not None and not self.with_people and self.closed is None:
            own = templates.render(offered.text.get(self.locale, ""), self.names(), self.locale)
            human = Choice(articles.HUMAN, say("talk_to_human", self.locale, self.desk.texts))
            self.hear(own or say("rules_offer_human", self.locale, self.desk.texts), (human,))
        return ""

    def by_rules(self, text: str) -> rules.Rule | None:
        """A rule that fetches people does so; one that offers them is given back, for after the answer."""
        if text.startswith("/") or is_blank(text) or asks_for_human(self.desk, text):
            return None
        self.memory, verdict = rules.hear(self.desk.escalation.rules, self.memory, text, self.desk.texts)
        if verdict is None or not verdict.fetch:
            return None if verdict is None else verdict.rule
        key = "rules_safety" if verdict.rule.when == "safety" else "rules_fetching"
        self.take(FetchHuman(verdict.rule.when, say(key, self.locale, self.desk.texts)))
        return None

    def names(self) -> dict[str, Any]:
        return {"customer": self.customer, "case": self.case}

    def ask_for_human(self) -> None:
        if not (self.desk.human_flow and self.take(StartFlow(self.desk.human_flow))):
            self.fetch(Escalate("asked"))

    def choose(self, wanted: str) -> str:
        self.begin_turn()
        token, choices = self.question or ("", ())
        value = next((one.value for one in choices if wanted in (one.value, one.label)), None)
        if value is None:
            return f'there is no button "{wanted}"; there are: {", ".join(one.value for one in choices) or "none"}'
        event = articles.event_of(value)
        if token:
            self.take(Picked(value, token))
        elif value == articles.HUMAN:
            self.ask_for_human()
        elif event is not None:
            self.ask_articles(event)
        return ""

    def file(self, name: str) -> str:
        self.begin_turn()
        files = (FileRef(f"file-{name}", name, "application/octet-stream", 1),)
        if not self.is_for_people() and not self.take(Files(files)):
            self.hear(say("file_received", self.locale, self.desk.texts))
        return ""

    def rate(self, score: int) -> str:
        self.begin_turn()
        if self.closed is None or self.survey is None:
            return "the customer gives a score, but no survey was asked"
        low, high = SCALES[self.survey]
        if not low <= score <= high:
            return f"{self.survey} goes from {low} to {high}, not {score}"
        self.score = score
        return ""

    def begin_turn(self) -> None:
        self.unheard.clear()
        self.said.clear()

    def is_for_people(self) -> bool:
        """A case that people hold is theirs, unless the bot still asks something while it waits."""
        return self.is_held or (self.with_people and self.state.waiting not in {"ask", "call"})

    @property
    def is_held(self) -> bool:
        """Whether somebody has the case: the bot says nothing over them."""
        return self.with_people and (self.claimed or self.colleagues.agent is not None)

    # ── what others do ──
    def claim(self, _: Any) -> str:
        if not self.with_people:
            return "an agent claims, but nobody fetched one"
        self.claimed = True
        self.colleagues.accept()
        return ""

    def reply(self, text: str) -> str:
        if not self.with_people:
            return "an agent writes, but nobody fetched one"
        self.claimed = True
        self.colleagues.answer()
        self.hear(text)
        return ""

    def note(self, text: str) -> str:
        """Customers never see it."""
        if not self.with_people:
            return "an agent writes a note, but nobody fetched one"
        self.notes.append(text)
        return ""

    def resolve(self, outcome: str) -> str:
        if not self.with_people:
            return "an agent resolves, but nobody fetched one"
        self.end(outcome)
        self.state, self.kb = FlowState(), articles.State()
        return ""

    def pass_time(self, seconds: int) -> str:
        """Timers ring in their order, each at its time."""
        self.begin_turn()
        until = self.now + timedelta(seconds=seconds)
        while (at := self.next_ring()) is not None and at <= until:
            self.now = max(self.now, at)
            due = sorted(timer for timer in self.timers if timer[0] <= self.now)
            if due:
                self.timers.remove(due[0])
                if not self.is_held:
                    self.take(TimedOut(due[0][1]))
            else:
                before = self.colleagues.agent
                said = self.colleagues.ring(self.now)
                if said or before != self.colleagues.agent:
                    self.find_agent(said)
        self.now = max(self.now, until)
        return ""

    def next_ring(self) -> datetime | None:
        """When a flow's timer rings, or something happens with the people."""
        calls = self.colleagues.next_at(self.now) if self.with_people else None
        return min((at for at in (*(at for at, _ in self.timers), calls) if at is not None), default=None)

    def staff(self, agents: int | Mapping[str, Any]) -> str:
        """How many there are from here on, or who: the case that waits may find its agent."""
        wrong = self.colleagues.come(agents) if isinstance(agents, Mapping) else ""
        there = self.colleagues.count if isinstance(agents, Mapping) else int(agents)
        came, self.agents = self.agents <= 0 < there, there
        if came and self.with_people and not self.claimed:
            self.find_agent(self.colleagues.ring(self.now))
        return wrong

    def set_open(self, is_open: bool) -> str:
        self.open, self.by_hours = is_open, False
        return ""

    def switch_channel(self, channel: str) -> str:
        self.case["channel"] = channel
        return ""

    def happen(self, event: tuple[str, Mapping[str, Any]]) -> str:
        self.begin_turn()
        if not self.with_people or (self.state.waiting == "wait" and not self.is_held):
            self.take(Happened(*event))
        return ""

    def reload(self, flow: Flow) -> str:
        """The desk has another version of this flow from here on; who runs in the one before stays in it."""
        self.desk = replace(self.desk, flows={**self.desk.flows, flow.id: flow}).keeping(self.desk)
        return ""


def with_fakes(desk: Desk, given: Mapping[str, Any]) -> Desk:
    """The desk with every connector that `given` names made one that asks."""
    from bot.desk_folder.desk import Connector

    if not given:
        return desk
    fakes = {name: Connector(name, "GET", "https://given.invalid/") for name in given}
    return replace(desk, connectors={**desk.connectors, **fakes})


def _moment(desk: Desk, at: str) -> datetime:
    """A local time of the desk, as ISO 8601."""
    return datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(desk.time_zone)).astimezone(UTC)
