"""A second look before words leave: what is shouted or rude is found, what is ordinary is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.answers import language
from handoff import send_check
from handoff.macros import left_open

ALL = ("en", "nl", "nb", "he")
CALM = [
    "Your order ABC-123 left this morning.",
    "ABC-123, DEF-456 and GHI-789 are on their way.",
    "AB123456 AB123457 AB123458 AB123459",
    "Please send your IBAN and BIC, and the USB cable goes back.",
    "OK!",
    "Great!! Thank you",
    "See https://example.com/A/B/C/TERMS_AND_CONDITIONS/READ_ME for that.",
    "De BTW staat op de factuur; het pakket komt via PostNL.",
    "Det er slutt på tilbudet, men faget vårt er å hjelpe. God jul!",
    "Pakken ble levert i går, slik det står i SMS-en fra Posten.",
    "ההזמנה ABC-123 בדרך אליך. תודה על הסבלנות!",
    "הכלב קיבל את הצעצוע, והכיור כבר לא סתום.",
    "The jerk chicken spice and the dust cover are back in stock.",
    "Wat zielig voor uw hond; we sturen een nieuwe mand.",
    "> YOU NEVER ANSWER ME, YOU IDIOTS\nI am sorry that you had to wait.",
    "I A M B",
    "",
]
LOUD = [
    "YOU HAVE TO WAIT LIKE EVERYBODY",
    "I TOLD YOU THREE TIMES",
    "Hello Kari. I HAVE TOLD YOU THIS ALREADY, please read it.",
    "LEES EERST DE VOORWAARDEN",
    "LES BREVET FØR DU SPØR",
    "Read it!!!",
    "קרא את מה שכתבתי!!!",
]
RUDE = [
    ("You are an idiot.", "idiot"),
    ("Shut up, please", "shut up"),
    ("you’re stupid", "you're stupid"),
    ("Hou je mond, sukkel", "sukkel"),
    ("Nå må du holde fred, din drittsekk", "drittsekk"),
    ("Hold kjeft!", "hold kjeft"),
    ("את מטומטמת?", "מטומטמת"),
    ("והאידיוט הזה", "אידיוט"),
]


@pytest.mark.parametrize("text", CALM)
def test_ordinary_words_and_order_codes_warn_of_nothing(text: str) -> None:
    assert send_check.warnings(text, ALL) == ()


@pytest.mark.parametrize("text", LOUD)
def test_shouting_is_found_in_every_language(text: str) -> None:
    assert send_check.warnings(text, ALL) == ("shouting",)


@pytest.mark.parametrize(("text", "word"), RUDE)
def test_insults_are_found_as_whole_words_also_behind_hebrew_prefixes(text: str, word: str) -> None:
    assert f"insult:{word}" in send_check.warnings(text, ALL)


def test_only_the_words_of_the_languages_in_use_are_known() -> None:
    assert send_check.insults("sukkel", ["en"]) == []
    assert send_check.insults("sukkel", ["en", "nl-BE"]) == ["sukkel"]


def test_a_placeholder_that_nothing_filled_holds_an_answer_back() -> None:
    assert send_check.warnings("Your order [order_number?] is on its way", ["en"]) == ("open:[order_number?]",)
    assert left_open("[sic?] is one, [1?] and [what a thing?] are none") == ("[sic?]",)


def test_every_language_of_the_product_has_its_words_each_once_and_folded() -> None:
    listed = send_check.words()
    assert set(listed) == set(ALL)
    for words in listed.values():
        assert len(words) >= 25
        assert len(words) == len(set(words))
        assert list(words) == [one.casefold().strip() for one in words]


@given(st.text(max_size=200))
def test_no_text_breaks_it_and_lower_case_is_never_shouting(text: str) -> None:
    send_check.warnings(text, ALL)
    calm = text.lower().replace("!", "")
    assert "shouting" not in send_check.warnings(calm, ALL) or any(one.isupper() for one in calm)


def test_the_language_tip_waits_for_the_model_and_never_loads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "is_ready", lambda: False)
    monkeypatch.setattr(language, "detect", lambda *_: pytest.fail("asked before it was loaded"))
    assert send_check.language_tip("Your parcel left Oslo this morning", "nl", ALL) is None


def test_a_reply_in_another_language_than_the_customers_is_told() -> None:
    language.warm()
    dutch = "Uw pakket is vanmorgen uit Utrecht vertrokken en komt morgen aan."
    assert send_check.language_tip(dutch, "nl-NL", ALL) is None
    assert send_check.language_tip(dutch, "en", ["nl"]) == "nl"
    assert send_check.language_tip("OK, Utrecht", "en", ALL) is None, "too short to tell"
    assert send_check.language_tip(f"> {dutch}\nYes.", "en", ALL) is None, "quoted"
