"""The talk around an article: did it help, which one is meant, and when a human is offered and fetched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import bot.texts
from bot.answers.article import Article
from bot.answers.dialogue import (
    Answer,
    Asked,
    ChoseArticle,
    Clarify,
    Confirmed,
    Context,
    Effect,
    Event,
    FetchHuman,
    Helped,
    Limits,
    NotAQuestion,
    NotUnderstood,
    OfferHuman,
    Rephrase,
    State,
    event_of,
    respond,
)
from bot.answers.knowledge import Hit, Knowledge
from tests.unit.answers_shop import SHOP

ARTICLES = {name: Article(name, name.title(), "en", f"All about {name}.") for name in ("apples", "pears", "plums")}


def search(query: str, locale: str) -> Sequence[Hit]:
    """`sure apples`, `unsure apples pears`; anything else is found nowhere."""
    band, *names = query.split() or [""]
    top = {"sure": 0.9, "unsure": 0.5}.get(band)
    return [] if top is None else [Hit(ARTICLES[n], 0.5, top if i == 0 else 0.1) for i, n in enumerate(names)]


EN = Context("en", lambda name, locale: ARTICLES.get(name))


def talk(*events: Event | str, state: State | None = None, about: Context = EN) -> tuple[State, list[Effect]]:
    """The effects of all events in order; the state makes a round through JSON after each."""
    at = state or State()
    effects: list[Effect] = []
    for event in events:
        outcome = respond(at, Asked(event) if isinstance(event, str) else event, search, about)
        at = State.from_json(json.loads(json.dumps(outcome.state.as_json())))
        assert at == outcome.state
        effects += outcome.effects
    return at, effects


def kinds(*events: Event | str) -> list[type]:
    return [type(effect) for effect in talk(*events)[1]]


def values(effect: Effect) -> list[str]:
    return [choice.value for choice in getattr(effect, "choices", ())]


def test_a_sure_answer_shows_article_source_and_the_question() -> None:
    _, (answer,) = talk("sure apples")
    assert isinstance(answer, Answer)
    assert answer.text.split("\n\n")[1] == "All about apples."
    assert "Apples" in answer.text.split("\n\n")[2]
    assert "Did this help?" in answer.text
    assert values(answer) == ["kb:yes", "kb:no"]


def test_yes_is_a_confirmed_resolution_once() -> None:
    state, effects = talk("sure apples", Helped(yes=True), Helped(yes=True))
    assert [type(effect) for effect in effects] == [Answer, Confirmed]
    assert effects[1] == Confirmed("apples", bot.texts.say("kb_glad", "en"))
    assert state == State()


def test_a_typed_yes_or_no_counts_as_the_button() -> None:
    assert kinds("sure apples", "yes, thanks") == [Answer, Confirmed]
    assert kinds("sure apples", "No.") == [Answer, Rephrase]


def test_no_shows_other_articles_and_a_human() -> None:
    _, effects = talk("sure apples pears plums", Helped(yes=False))
    assert isinstance(effects[1], Clarify)
    assert values(effects[1]) == ["kb:article:pears", "kb:article:plums", "kb:none", "human"]


def test_no_without_other_articles_asks_for_other_words() -> None:
    _, effects = talk("sure apples", Helped(yes=False))
    assert isinstance(effects[1], Rephrase)
    assert values(effects[1]) == ["human"]


def test_the_second_no_fetches_a_human_who_sees_what_was_asked_and_tried() -> None:
    state, effects = talk("sure apples", Helped(yes=False), "sure pears", Helped(yes=False))
    assert isinstance(effects[-1], FetchHuman)
    assert effects[-1].reason == "not_helped"
    assert effects[-1].questions == ("sure apples", "sure pears")
    assert effects[-1].tried == ("apples", "pears")
    assert state == State()


def test_a_second_press_of_no_is_not_a_second_no() -> None:
    assert kinds("sure apples", Helped(yes=False), Helped(yes=False)) == [Answer, Rephrase]


def test_an_article_that_did_not_help_is_not_answered_again() -> None:
    """The first "no" has offered a human already: two more misses fetch one."""
    _, effects = talk("sure apples", Helped(yes=False), "sure apples pears", "sure apples")
    assert [type(effect) for effect in effects] == [Answer, Rephrase, Clarify, FetchHuman]
    assert "kb:article:apples" not in values(effects[2])


def test_unsure_shows_titles_and_none_of_these() -> None:
    _, (clarify,) = talk("unsure apples pears")
    assert isinstance(clarify, Clarify)
    assert values(clarify) == ["kb:article:apples", "kb:article:pears", "kb:none"]
    assert [choice.label for choice in clarify.choices][:2] == ["Apples", "Pears"]


@pytest.mark.parametrize("pick", [ChoseArticle("pears"), "2", "PEARS"])
def test_a_title_is_chosen_by_button_number_or_name(pick: Event | str) -> None:
    _, effects = talk("unsure apples pears", pick)
    assert isinstance(effects[1], Answer)
    assert effects[1].article.id == "pears"


@pytest.mark.parametrize("pick", [ChoseArticle(None), "none of these", "no"])
def test_none_of_these_is_a_miss(pick: Event | str) -> None:
    assert kinds("unsure apples pears", pick) == [Clarify, NotUnderstood]
    assert kinds("what", "unsure apples pears", pick) == [NotUnderstood, Clarify, OfferHuman]


def test_not_understood_twice_offers_a_human_and_the_next_miss_fetches_one() -> None:
    _, effects = talk("what", "eh", "hm")
    assert [type(effect) for effect in effects] == [NotUnderstood, OfferHuman, FetchHuman]
    assert values(effects[1]) == ["human"]
    assert isinstance(effects[2], FetchHuman)
    assert (effects[2].reason, effects[2].questions) == ("not_understood", ("what", "eh", "hm"))


@pytest.mark.parametrize(
    ("limits", "said", "expected"),
    [
        (Limits(misses=3), ("what", "eh", "hm"), [NotUnderstood, NotUnderstood, OfferHuman]),
        (Limits(misses=1), ("what", "eh"), [OfferHuman, FetchHuman]),
        (Limits(misses=None), ("what", "eh", "hm"), [NotUnderstood, OfferHuman, OfferHuman]),
        (Limits(not_helped=1), ("sure apples", Helped(False)), [Answer, FetchHuman]),
        (Limits(not_helped=None), ("sure apples", Helped(False), "sure pears", Helped(False)), [Answer, Rephrase] * 2),
    ],
)
def test_a_desk_says_how_often_or_that_nobody_is_fetched(
    limits: Limits, said: tuple[Event | str, ...], expected: list[type]
) -> None:
    _, effects = talk(*said, about=replace(EN, limits=limits))
    assert [type(effect) for effect in effects] == expected


def test_two_misses_of_the_last_three_count_even_with_an_answer_between() -> None:
    assert kinds("what", "sure apples", "eh") == [NotUnderstood, Answer, OfferHuman]
    assert kinds("what", "sure apples", "sure pears", "eh") == [NotUnderstood, Answer, Answer, NotUnderstood]


def test_the_offer_is_forgotten_after_three_understood_questions() -> None:
    good = ["sure apples", "sure pears", "sure plums"]
    assert kinds("what", "eh", *good, "hm", "what")[-2:] == [NotUnderstood, OfferHuman]


def test_titles_that_are_passed_over_count_as_a_miss() -> None:
    assert kinds("unsure apples", "unsure pears", "eh")[-1] is OfferHuman


def test_greetings_thanks_and_emoji_are_no_questions() -> None:
    state, effects = talk("hi", "👍", "bye")
    assert [effect.kind for effect in effects if isinstance(effect, NotAQuestion)] == ["greeting", "blank", "bye"]
    assert state == State()


def test_thanks_after_an_answer_leaves_the_answer_open() -> None:
    assert kinds("sure apples", "thanks!", Helped(yes=True)) == [Answer, NotAQuestion, Confirmed]


def test_old_buttons_have_no_effect() -> None:
    for event in (Helped(yes=True), Helped(yes=False), ChoseArticle(None)):
        assert talk(event) == (State(), [])


def test_a_title_whose_article_is_gone_is_told() -> None:
    assert kinds(ChoseArticle("removed")) == [Rephrase]


def test_button_values_are_read_back() -> None:
    assert event_of("kb:yes") == Helped(yes=True)
    assert event_of("kb:no") == Helped(yes=False)
    assert event_of("kb:none") == ChoseArticle(None)
    assert event_of("kb:article:a:b") == ChoseArticle("a:b")
    assert [event_of(value) for value in ("human", "kb:article:", "kb:else", "")] == [None] * 4


def test_an_article_in_another_language_says_so_in_the_customers_language() -> None:
    knowledge = Knowledge.build(SHOP)
    context = Context("nb", knowledge.article)
    (answer,) = respond(State(), Asked("How do I use my gift card?"), knowledge.search, context).effects
    assert isinstance(answer, Answer)
    assert "engelsk" in answer.text


def test_a_title_with_markup_stays_a_title() -> None:
    article = Article("x", "A _b_ *c* [d](e)", "en", "Body.")
    hits = [Hit(article, 0.5, 0.9)]
    (answer,) = respond(State(), Asked("x"), lambda q, l: hits, Context("en", lambda i, l: article)).effects  # noqa: E741
    assert isinstance(answer, Answer)
    assert "[d](e)" not in answer.text


def test_a_long_title_fits_every_channels_button() -> None:
    article = Article("x", "Long " * 40, "en")
    hits = [Hit(article, 0.5, 0.5)]
    (clarify,) = respond(State(), Asked("x"), lambda q, l: hits, Context("en", lambda i, l: article)).effects  # noqa: E741
    assert isinstance(clarify, Clarify)
    assert len(clarify.choices[0].label) <= 75


events = st.one_of(
    st.sampled_from(["sure apples", "sure pears plums", "unsure apples pears plums", "eh", "yes", "no", "2", "", "hi"]),
    st.booleans().map(Helped),
    st.sampled_from([None, "apples", "pears", "removed"]).map(ChoseArticle),
)


@given(st.lists(events, max_size=25))
@settings(max_examples=200)
def test_no_order_of_events_breaks_it_and_nobody_is_kept_from_a_human(happened: list[Event | str]) -> None:
    """At most one effect an event; after a fetch all begins anew; no more than two "no" without a human."""
    state, refused = State(), 0
    for event in happened:
        before = state
        state, effects = talk(event, state=state)
        assert len(effects) <= 1
        refused = refused + 1 if state.not_helped > before.not_helped else refused
        if any(isinstance(effect, FetchHuman | Confirmed) for effect in effects):
            assert state == State()
            refused = 0
        assert refused < 2
        assert len(state.misses) <= 10


def test_every_sentence_is_there_in_four_languages() -> None:
    page = Path(bot.texts.__file__).with_name("answers.yaml")
    for key, by_locale in yaml.safe_load(page.read_text(encoding="utf-8")).items():
        assert set(by_locale) == {"en", "nl", "nb", "he"}, key
        assert len({str(sorted(bot.texts.placeholders(text))) for text in by_locale.values()}) == 1, key
