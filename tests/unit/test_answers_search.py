"""The search finds a shop's articles in four languages, says how sure it is, and keeps quiet off topic."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.answers.article import Article
from bot.answers.decide import NoAnswer, Sure, decide
from bot.answers.knowledge import Knowledge, confidence, paragraphs
from bot.answers.words import base_locale, compound_parts, lemma, light_words, words
from tests.unit.answers_shop import ASKED, OFF_TOPIC, SHOP

KNOWLEDGE = Knowledge.build(SHOP)


@pytest.mark.parametrize(("locale", "question", "article"), ASKED)
def test_finds_the_article_in_the_customers_own_words(locale: str, question: str, article: str) -> None:
    hits = KNOWLEDGE.search(question, locale)
    assert hits[0].article.id == article
    assert base_locale(hits[0].article.locale) == locale
    assert not isinstance(decide(hits), NoAnswer)


def test_is_sure_of_most_of_them() -> None:
    sure = [isinstance(decide(KNOWLEDGE.search(question, locale)), Sure) for locale, question, _ in ASKED]
    assert sum(sure) >= 0.7 * len(sure)


@pytest.mark.parametrize(("locale", "question"), OFF_TOPIC)
def test_says_nothing_off_topic(locale: str, question: str) -> None:
    assert isinstance(decide(KNOWLEDGE.search(question, locale)), NoAnswer)


def test_a_variant_as_the_admin_wrote_it_is_sure() -> None:
    for article in SHOP:
        for question in article.questions:
            decision = decide(KNOWLEDGE.search(question, article.locale))
            assert isinstance(decision, Sure), (article.locale, question)
            assert decision.hit.article == article


def test_the_body_alone_can_find_an_article_and_names_its_paragraph() -> None:
    (hit, *_) = KNOWLEDGE.search("how long is the link in the mail valid", "en")
    assert hit.article.id == "password"
    assert hit.passage == "The link in the mail is valid for one hour."


def test_an_article_of_another_language_is_marked() -> None:
    hits = KNOWLEDGE.search("How do I use my gift card?", "nb")
    assert (hits[0].article.id, hits[0].other_language) == ("gift-card", True)


def test_a_question_in_another_language_shows_the_customers_own_translation() -> None:
    hits = KNOWLEDGE.search("Where do I find a return label?", "nl")
    assert (hits[0].article.id, hits[0].article.locale, hits[0].other_language) == ("returns", "nl", False)


def test_old_and_regional_language_codes_are_the_same_language() -> None:
    assert KNOWLEDGE.search("Hvor er pakken min?", "no")[0].article.locale == "nb"
    assert KNOWLEDGE.search("איפה החבילה שלי?", "iw-IL")[0].article.locale == "he"


def test_a_language_without_any_article_still_answers() -> None:
    assert KNOWLEDGE.search("Do you accept PayPal?", "sv")[0].other_language


def test_the_same_desk_gives_the_same_figures_in_any_order_of_files() -> None:
    turned = Knowledge.build(tuple(reversed(SHOP)))
    for locale, question, _ in ASKED:
        ours, theirs = KNOWLEDGE.search(question, locale), turned.search(question, locale)
        assert [hit.article for hit in ours[:2]] == [hit.article for hit in theirs[:2]]
        assert ours[0].score == pytest.approx(theirs[0].score, abs=1e-5)


def test_an_empty_desk_and_empty_articles_find_nothing() -> None:
    assert Knowledge.build(()).search("hello", "en") == []
    assert Knowledge.build((Article("a", "", "en"),)).search("hello", "en") == []


def test_the_limit_holds_and_lower_places_are_less_sure() -> None:
    hits = KNOWLEDGE.search("my money for the parcel that I sent back", "en", limit=3)
    assert len(hits) == 3
    assert [hit.confidence for hit in hits] == sorted((hit.confidence for hit in hits), reverse=True)


@given(st.text(max_size=300), st.sampled_from(["en", "nl", "nb", "he", "fr", ""]))
@settings(max_examples=150)
def test_no_text_breaks_the_search_and_all_figures_are_shares(text: str, locale: str) -> None:
    for hit in KNOWLEDGE.search(text, locale):
        assert 0 < hit.score <= 1
        assert 0 <= hit.confidence <= 1


def test_a_huge_text_is_cut_not_suffered() -> None:
    assert KNOWLEDGE.search("parcel " * 500_000, "en")


def test_unknown_words_lower_the_score() -> None:
    plain = KNOWLEDGE.search("track my package", "en")[0]
    noisy = KNOWLEDGE.search("track my package zygote quasar flamenco", "en")[0]
    assert noisy.score < plain.score


def test_confidence_grows_with_score_and_with_the_lead() -> None:
    assert confidence(0.6, 0.1) > confidence(0.4, 0.1) > confidence(0.4, 0.0)


def test_two_threads_build_one_index() -> None:
    knowledge, found = Knowledge.build(SHOP), []
    threads = [threading.Thread(target=lambda: found.append(knowledge.search("Bit", "en"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(hits == found[0] for hits in found)


def test_warming_unknown_languages_is_nothing() -> None:
    KNOWLEDGE.warm(["xx", "en-GB"])


def test_nothing_heavy_is_loaded_before_the_first_search() -> None:
    code = (
        "import sys; from bot.answers import article, decide, dialogue, knowledge; "
        "knowledge.Knowledge.build([article.Article('a', 'A', 'en')]); "
        "print([m for m in ('numpy', 'scipy', 'simplemma', 'babel') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("word", "locale", "base"),
    [
        ("ההזמנה", "he", "הזמנה"),
        ("וכשהחבילה", "he", "חבילה"),
        ("שלום", "he", "שלום"),
        ("החשבונית", "he", "חשבונית"),
        ("חשבונית", "he", "חשבונית"),
        ("terugbetalingen", "nl", "terugbetaling"),
        ("pakkene", "nb", "pakke"),
        ("parcels", "en", "parcel"),
        ("qwrtz", "en", "qwrtz"),
        ("colis", "fr", "colis"),
    ],
)
def test_lemmas(word: str, locale: str, base: str) -> None:
    assert lemma(word, locale) == base


def test_compounds_have_halves_in_dutch_and_norwegian_only() -> None:
    assert compound_parts("verzendkosten", "nl")[-1] == lemma("kosten", "nl")
    assert lemma("etikett", "nb") in compound_parts("returetiketten", "nb") or compound_parts("returetikett", "nb")
    assert compound_parts("postbox", "en") == ()


def test_words_are_without_points_direction_marks_and_case() -> None:
    assert words("\u2067שָׁלוֹם\u2069 Éen DON’T") == ["שלום", "éen", "don't"]


def test_stop_words_are_written_as_words_reads_them() -> None:
    for locale in ("en", "nl", "nb", "he"):
        assert len(light_words(locale)) > 50
        assert all(words(word) == [word] for word in light_words(locale))


def test_a_heading_stays_with_its_paragraph() -> None:
    article = Article("a", "A", "en", body="# One\n\nfirst\n\n- x\n- y\n\n## Two\nsecond")
    assert paragraphs(article) == ["# One\nfirst", "- x", "- y", "## Two\nsecond"]
