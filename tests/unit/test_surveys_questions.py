"""The questions: the same scale in every language, and only a lone number is a score."""

from __future__ import annotations

from importlib.resources import files

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bot.texts import FSI, PDI
from surveys.survey import INSTRUMENTS, REASONS, Said, body, labels, parse_score, why_body, wording

LOCALES = ("en", "nl", "nb", "he")


@pytest.mark.parametrize("text", ["7", " 7 ", "7\n", "\u20687\u2069", "\u200f7"])
def test_a_lone_number_is_a_score(text: str) -> None:
    assert parse_score(text, INSTRUMENTS["ces7"]) == 7


@pytest.mark.parametrize(
    "text",
    ["7 items missing", "", "8", "0", "-1", "+7", "07", "7.0", "7,5", "7/10", "٧", "７", "1 2", "seven", "7?", "100"],
)
def test_anything_else_is_a_new_message(text: str) -> None:
    assert parse_score(text, INSTRUMENTS["ces7"]) is None


@pytest.mark.parametrize("text", ["/skip", " /SKIP", "/skip@shop_bot"])
def test_skip_declines(text: str) -> None:
    assert parse_score(text, INSTRUMENTS["nps"]) is Said.SKIP


def test_skipping_needs_nothing_beside_it() -> None:
    assert parse_score("/skip that, where is my order", INSTRUMENTS["nps"]) is None


@given(st.integers(-20, 200), st.sampled_from(sorted(INSTRUMENTS)))
def test_a_number_is_a_score_exactly_on_its_scale(number: int, name: str) -> None:
    asked = INSTRUMENTS[name]
    assert parse_score(str(number), asked) == (number if asked.min <= number <= asked.max else None)


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    score = parse_score(text, INSTRUMENTS["nps"])
    assert score is None or score is Said.SKIP or 0 <= score <= 10


@pytest.mark.parametrize(("locale", "yes"), [("en", "yes"), ("nl", "JA"), ("nb", "ja"), ("he", "כן")])
def test_yes_is_an_answer_to_a_yes_or_no_question(locale: str, yes: str) -> None:
    asked = INSTRUMENTS["csat2"]
    assert parse_score(yes, asked, labels(asked, locale)) == 1
    assert parse_score(f"{yes} 1", asked, labels(asked, locale)) is None


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", INSTRUMENTS)
def test_the_choices_are_the_whole_scale_ascending(name: str, locale: str) -> None:
    asked, drawn = INSTRUMENTS[name], body(name, "inv-1", locale, company="Acme")
    assert [int(choice.value) for choice in drawn.choices] == list(range(asked.min, asked.max + 1))
    assert drawn.survey is not None
    assert (drawn.survey.id, drawn.survey.min, drawn.survey.max) == ("inv-1", asked.min, asked.max)
    assert drawn.survey.low != drawn.survey.high
    assert "{" not in drawn.text
    assert not drawn.markdown
    if name != "csat2":
        assert drawn.survey.low in drawn.text
        assert drawn.survey.high in drawn.text


def test_english_question_spells_out_its_ends() -> None:
    text = body("ces7", "x", "en").text
    assert text == "How easy was it today to get what you needed?\n1 = very difficult, 7 = very easy"


def test_hebrew_isolates_numbers_and_names_and_keeps_the_polarity() -> None:
    statement = body("ces7_statement", "x", "he", company="Acme 24/7")
    assert f"{FSI}Acme 24/7{PDI}" in statement.text
    assert f"{FSI}1{PDI} = {FSI}לא מסכים/ה בכלל{PDI}" in statement.text
    assert FSI not in body("ces7_statement", "x", "nb", company="Acme").text


def test_a_statement_without_a_company_still_reads() -> None:
    assert body("ces7_statement", "x", "en").text.startswith("The company made it easy")


def test_the_desks_own_wording_wins_where_it_has_the_language() -> None:
    own = {"survey_ces7_question": {"en": "Easy?"}}
    assert body("ces7", "x", "en", own).text.startswith("Easy?\n")
    assert body("ces7", "x", "nl", own).text.startswith("Hoe gemakkelijk")


@pytest.mark.parametrize(("locale", "same_as"), [("nl-BE", "nl"), ("no", "nb"), ("iw", "he"), ("fr", "en")])
def test_locales_fall_back_to_their_language_then_english(locale: str, same_as: str) -> None:
    assert wording("thanks", locale) == wording("thanks", same_as)


def test_every_text_exists_in_every_language() -> None:
    page = (files("bot") / "texts" / "surveys.yaml").read_text(encoding="utf-8")
    assert {key: set(text) for key, text in yaml.safe_load(page).items() if set(text) != set(LOCALES)} == {}


def test_an_unhappy_customer_is_asked_what_went_wrong() -> None:
    good, bad = (why_body(score, INSTRUMENTS["ces7"], "en") for score in (4, 3))
    assert "went wrong" in bad.text
    assert "went wrong" not in good.text
    assert [choice.value for choice in good.choices] == [f"why:{reason}" for reason in REASONS]


def test_an_unknown_instrument_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=r'unknown instrument "ces5": use one of ces7, '):
        body("ces5", "x", "en")
