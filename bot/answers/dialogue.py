"""What happens around an article's answer: a small state machine, pure.

    asked ─ sure ──► Answer ─ yes ──► Confirmed
      │                └──── no ──► Clarify with other articles, or Rephrase ─ second no ──► FetchHuman
      ├── unsure ──► Clarify ─ a title ──► Answer
      │                └── none of these ──► a miss
      └── none ──► a miss: NotUnderstood ─ second of the last three ──► OfferHuman ─ next miss ──► FetchHuman

What lives here: when to answer, ask back, offer and fetch a human, and the buttons' values. What it must not
know: the search (handed in as a function), the outbox, cases. The state is a few plain values, for a JSON column.
An event that no longer fits (a second press, an old button) has no effects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from bot.answers.decide import SHOWN, NoAnswer, Search, Sure, Thresholds, Unsure, decide, is_blank, small_talk, yes_no
from bot.answers.grounded import LONGEST_PASSAGE, MOST_PASSAGES, Passage
from bot.answers.words import base_locale, words
from bot.model import Choice
from bot.nouns import but, noun
from bot.texts import Texts, escape_markdown, say

if TYPE_CHECKING:
    from bot.answers.article import Article
    from bot.answers.knowledge import Hit

YES, NO, NONE, HUMAN, ARTICLE = "kb:yes", "kb:no", "kb:none", "human", "kb:article:"
"""The buttons' values; `ARTICLE` is followed by the article's id."""

NOT_UNDERSTOOD, NOT_HELPED = "not_understood", "not_helped"
"""Reason codes of fetching a human."""

OFTEN = 2
"""So many misses among the last so many and one more: in a row, or all but one."""
REMEMBERED = 10
"""Questions and articles kept for the agent's card."""
SHORT = 500
"""Characters of an article that is told in the middle of something else: about what a phone shows at once."""
LABEL_LENGTH = 75
"""Slack's limit of a button's label, the shortest of the channels (Telegram and the widget wrap)."""


@noun(frozen=True, slots=True)
class State:
    """Where the talk about articles stands in one case.

    `shown` the article ids of the last answer or choice · `awaiting` "helped", "choice" or "" · `misses` the last
    questions, true where it was not understood · `tried` articles that did not help.
    """

    question: str = ""
    questions: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()
    awaiting: str = ""
    misses: tuple[bool, ...] = ()
    not_helped: int = 0
    offered: bool = False

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> State:
        """From `as_json`, a round through JSON in between; unknown keys of another version are left out."""
        if not stored:
            return BEGINNING
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items() if name in _KEPT
        }
        return cls(**known)


BEGINNING = State()
_KEPT = frozenset(one.name for one in fields(State))


@dataclass(frozen=True, slots=True)
class Asked:
    text: str


@dataclass(frozen=True, slots=True)
class Helped:
    yes: bool


@dataclass(frozen=True, slots=True)
class ChoseArticle:
    """A pressed title; None is "none of these"."""

    id: str | None


Event = Asked | Helped | ChoseArticle


@dataclass(frozen=True, slots=True)
class Answer:
    """The article with its source and "Did this help?". `text` is Markdown; every other effect's is plain."""

    article: Article
    text: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Clarify:
    text: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Nothing was found. `question` goes to the list of unanswered questions."""

    text: str
    choices: tuple[Choice, ...]
    question: str


@dataclass(frozen=True, slots=True)
class Rephrase:
    """The answer did not help and there is no other: please say it in other words."""

    text: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class OfferHuman:
    text: str
    choices: tuple[Choice, ...]
    question: str


@dataclass(frozen=True, slots=True)
class FetchHuman:
    """Escalate now: the reason, and for the agent's card what was asked and which articles did not help."""

    reason: str
    questions: tuple[str, ...]
    tried: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The customer says that it helped: a confirmed resolution by this article."""

    article_id: str
    text: str


@dataclass(frozen=True, slots=True)
class NotAQuestion:
    """`kind` is greeting, thanks, bye or blank (nothing but emoji or punctuation; nothing need be said)."""

    kind: str
    text: str


Effect = Answer | Clarify | NotUnderstood | Rephrase | OfferHuman | FetchHuman | Confirmed | NotAQuestion


@dataclass(frozen=True, slots=True)
class Limits:
    """After how many misses (of that many questions and one more) a human is offered, whom the next one fetches; and after
    how many "no, that did not help" one is fetched. None: a human is only offered.
    """

    misses: int | None = OFTEN
    not_helped: int | None = OFTEN


@dataclass(frozen=True, slots=True)
class Context:
    """What an answer depends on beside the state.

    `locale` the customer's · `article` finds one by id and locale (`Knowledge.article`) · `own_texts` the desk's.
    """

    locale: str
    article: Callable[[str, str], Article | None]
    thresholds: Thresholds = field(default_factory=Thresholds)
    own_texts: Texts | None = None
    limits: Limits = field(default_factory=Limits)

    def say(self, key: str, **values: object) -> str:
        """A sentence in the customer's language: plain text."""
        return say(key, self.locale, self.own_texts, **values)


@dataclass(frozen=True, slots=True)
class Outcome:
    state: State
    effects: tuple[Effect, ...] = ()


def event_of(value: str) -> Event | None:
    """The event that a pressed button's value means; None for other buttons (`human` is the caller's)."""
    if value in (YES, NO):
        return Helped(value == YES)
    if value == NONE:
        return ChoseArticle(None)
    if value.startswith(ARTICLE) and len(value) > len(ARTICLE):
        return ChoseArticle(value.removeprefix(ARTICLE))
    return None


def respond(state: State, event: Event, search: Search, context: Context) -> Outcome:
    """The next state and what to do, for one event. Searching takes milliseconds, the first time a second."""
    if isinstance(event, Helped):
        return _helped(state, event.yes, search, context)
    if isinstance(event, ChoseArticle):
        return _chose(state, event.id, context)
    return _asked(state, event.text, search, context)


# ── Asked ──


def _asked(state: State, text: str, search: Search, context: Context) -> Outcome:
    if is_blank(text):
        return Outcome(state, (NotAQuestion("blank", ""),))
    if kind := small_talk(text, context.locale, context.own_texts):
        return Outcome(state, (NotAQuestion(kind, context.say("greeting" if kind == "greeting" else f"kb_{kind}")),))
    if state.awaiting == "helped" and (yes := yes_no(text, context.locale, context.own_texts)) is not None:
        return _helped(state, yes, search, context)
    if state.awaiting == "choice":
        if picked := _typed_choice(state, text, context):
            return _chose(state, picked.id, context)
        state = _missed(state)  # the titles were passed over
    return _searched(state, text, search, context)


def _searched(state: State, text: str, search: Search, context: Context) -> Outcome:
    state = but(state, question=text, questions=(*state.questions, text)[-REMEMBERED:], shown=(), awaiting="")
    hits = search(text, context.locale)
    decision = decide(hits, context.thresholds)
    if isinstance(decision, Sure) and decision.hit.article.id in state.tried:
        others = _others(hits, state.tried)
        decision = Unsure(others) if others else NoAnswer()  # never the same article twice
    if isinstance(decision, Sure):
        return _answer(_understood(state), decision.hit.article, context)
    if isinstance(decision, Unsure) and (hits := _fresh(decision.hits, state.tried)):
        return _clarify(state, "kb_which" if len(hits) > 1 else "kb_is_it_this", hits, context)
    return _miss(state, "kb_none", context)


def _typed_choice(state: State, text: str, context: Context) -> ChoseArticle | None:
    """A choice typed instead of pressed: its number, its title, or "none"."""
    said = words(text)
    if len(said) == 1 and said[0].isdecimal() and 1 <= int(said[0]) <= len(state.shown):
        return ChoseArticle(state.shown[int(said[0]) - 1])
    if said == words(context.say("kb_none_of_these")) or yes_no(text, context.locale, context.own_texts) is False:
        return ChoseArticle(None)
    for article_id in state.shown:
        article = context.article(article_id, context.locale)
        if article and words(article.title) == said:
            return ChoseArticle(article_id)
    return None


def _fresh(hits: Sequence[Hit], tried: Sequence[str]) -> tuple[Hit, ...]:
    return tuple(hit for hit in hits if hit.article.id not in tried)


def _others(hits: Sequence[Hit], tried: Sequence[str]) -> tuple[Hit, ...]:
    """The articles not yet tried that come near the best one."""
    near = hits[0].score / 3 if hits else 0.0
    return tuple(hit for hit in _fresh(hits, tried) if hit.score >= near)[:SHOWN]


# ── Pressed ──


def _helped(state: State, yes: bool, search: Search, context: Context) -> Outcome:
    if not state.shown or (state.awaiting != "helped" and not yes):
        return Outcome(state)
    if yes:
        if state.awaiting == "choice":
            return Outcome(state)
        return Outcome(State(), (Confirmed(state.shown[0], context.say("kb_glad")),))
    state = but(
        state,
        not_helped=state.not_helped + 1,
        tried=(*state.tried, *state.shown)[-REMEMBERED:],
        awaiting="",
    )
    most = context.limits.not_helped
    if most is not None and state.not_helped >= most:
        return _fetch(state, NOT_HELPED, context)
    state = but(state, offered=True)
    if others := _others(search(state.question, context.locale), state.tried):
        return _clarify(state, "kb_sorry_others", others, context, with_human=True)
    return Outcome(state, (Rephrase(context.say("kb_sorry_rephrase"), (_human(context),)),))


def _chose(state: State, article_id: str | None, context: Context) -> Outcome:
    if article_id is None:
        return _miss(state, "kb_none", context) if state.awaiting == "choice" else Outcome(state)
    article = context.article(article_id, context.locale)
    if article is None:
        return Outcome(but(state, awaiting=""), (Rephrase(context.say("kb_article_gone"), (_human(context),)),))
    return _answer(_understood(state), article, context)


# ── Said ──


def _answer(state: State, article: Article, context: Context) -> Outcome:
    state = but(state, shown=(article.id,), awaiting="helped")
    choices = (Choice(YES, context.say("kb_helped")), Choice(NO, context.say("kb_not_helped")))
    return Outcome(state, (Answer(article, answer_text(article, context), choices),))


def answer_text(article: Article, context: Context) -> str:
    """What is told of it, and the question: Markdown paragraphs."""
    return f"{_told(article, context)}\n\n{escape_markdown(context.say('kb_did_this_help'))}"


def _told(article: Article, context: Context) -> str:
    """Intro (or the notice of another language), body, source: Markdown paragraphs."""
    if base_locale(article.locale) == base_locale(context.locale):
        intro = context.say("kb_intro")
    else:
        intro = context.say("kb_other_language", language=language_name(article.locale, context.locale))
    source = escape_markdown(context.say("kb_source", title=article.title))
    body = article.body.strip() or escape_markdown(article.title)
    return "\n\n".join((escape_markdown(intro), body, f"_{source}_"))


def sure_answer(text: str, search: Search, context: Context) -> tuple[str, str] | None:
    """(article id, answer in short) where the search is sure, and the text is more than a greeting or a yes.

    For somebody who is asked something just now: no "Did this help?", a few paragraphs at most, and twice as sure as
    elsewhere, for what they wrote is more likely an answer that went wrong ("I have no number").
    """
    if (
        is_blank(text)
        or small_talk(text, context.locale, context.own_texts)
        or yes_no(text, context.locale, context.own_texts) is not None
    ):
        return None
    decision = decide(search(text, context.locale), context.thresholds)
    if not isinstance(decision, Sure) or decision.hit.confidence < (1 + context.thresholds.sure) / 2:
        return None
    article = decision.hit.article
    source = f"_{escape_markdown(context.say('kb_source', title=article.title))}_"
    parts = [_in_short(article.body) or escape_markdown(article.title), source]
    if base_locale(article.locale) != base_locale(context.locale):
        language = language_name(article.locale, context.locale)
        parts.insert(0, escape_markdown(context.say("kb_other_language", language=language)))
    return article.id, "\n\n".join(parts)


def answer_of(
    query: str, tags: Sequence[str], search: Search, context: Context
) -> tuple[str, str, str, tuple[Passage, ...]]:
    """(band, article id, Markdown, passages): what the articles, or those that carry one of `tags`, say to a flow's question.

    The band is sure | unsure | none; only a sure one has id and Markdown: intro, body, source. Passages are for a model.
    """
    hits = [hit for hit in search(query, context.locale) if not tags or set(tags) & set(hit.article.tags)]
    decision = decide(hits, context.thresholds)
    if isinstance(decision, Sure):
        near = [hit for hit in hits[:MOST_PASSAGES] if hit.score >= hits[0].score / 2]
        return "sure", decision.hit.article.id, _told(decision.hit.article, context), _passages(near)
    if isinstance(decision, Unsure):
        return "unsure", "", "", _passages(decision.hits)
    return "none", "", "", ()


def _passages(hits: Sequence[Hit]) -> tuple[Passage, ...]:
    return tuple(
        Passage(hit.article.id, hit.article.title, hit.article.body.strip()[:LONGEST_PASSAGE])
        for hit in hits[:MOST_PASSAGES]
        if hit.article.body.strip()
    )


def _in_short(body: str) -> str:
    """The first paragraphs, up to SHORT characters; the first one always."""
    kept: list[str] = []
    room = SHORT
    for part in body.strip().split("\n\n"):
        room -= len(part)
        if kept and room < 0:
            break
        kept.append(part)
    return "\n\n".join(kept)


def language_name(locale: str, within: str) -> str:
    """A language's name in another: `nl` within `en` is "Dutch"; the code itself where nobody has a name."""
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(base_locale(locale)).get_display_name(base_locale(within)) or locale
    except (UnknownLocaleError, ValueError):
        return locale


def _clarify(state: State, key: str, hits: Sequence[Hit], context: Context, *, with_human: bool = False) -> Outcome:
    with_human = with_human or _often_missed(state, context) or state.offered
    state = but(
        state, shown=tuple(hit.article.id for hit in hits), awaiting="choice", offered=state.offered or with_human
    )
    titles = tuple(Choice(ARTICLE + hit.article.id, _label(hit.article.title)) for hit in hits)
    none = Choice(NONE, context.say("kb_none_of_these"))
    return Outcome(state, (Clarify(context.say(key), (*titles, none, *((_human(context),) if with_human else ()))),))


def _miss(state: State, key: str, context: Context) -> Outcome:
    """Not understood: say so; too often: offer a human; after that fetch one, unless the desk does not want that."""
    state = but(_missed(state), awaiting="", shown=())
    if not _often_missed(state, context):
        return Outcome(state, (NotUnderstood(context.say(key), (_human(context),), state.question),))
    if state.offered and context.limits.misses is not None:
        return _fetch(state, NOT_UNDERSTOOD, context)
    offer = OfferHuman(context.say("not_understood_offer_human"), (_human(context),), state.question)
    return Outcome(but(state, offered=True), (offer,))


def _fetch(state: State, reason: str, context: Context) -> Outcome:
    return Outcome(State(), (FetchHuman(reason, state.questions, state.tried, context.say("kb_fetching")),))


def _often_missed(state: State, context: Context) -> bool:
    most = context.limits.misses or OFTEN
    return sum(state.misses[-most - 1 :]) >= most


def _missed(state: State) -> State:
    return but(state, misses=(*state.misses, True)[-REMEMBERED:])


def _understood(state: State) -> State:
    """A question that was understood; when none of the last was missed, the offer of a human is over, too."""
    misses = (*state.misses, False)[-REMEMBERED:]
    lately = any(misses[-OFTEN - 1 :])
    return but(state, misses=misses, offered=state.offered and (lately or state.not_helped > 0))


def _human(context: Context) -> Choice:
    return Choice(HUMAN, context.say("talk_to_human"))


def _label(title: str) -> str:
    return title if len(title) <= LABEL_LENGTH else title[: LABEL_LENGTH - 1].rstrip() + "…"
