"""Which language somebody writes: among the desk's languages, with a figure that means something."""

from __future__ import annotations

import pytest

from bot.answers.language import SURE, detect

ALL = ("en", "nl", "nb", "he")
SENTENCES = {
    "en": [
        "where is my parcel please",
        "I want my money back",
        "can I swap this for another size",
        "are you open on Sunday",
    ],
    "nl": ["waar blijft mijn pakje nou", "ik wil graag mijn geld terug", "kan ik dit ruilen voor een andere maat"],
    "nb": ["hvor er pakken min egentlig", "jeg vil ha pengene tilbake", "kan jeg bytte denne i en annen størrelse"],
    "he": ["איפה החבילה שלי בבקשה", "אני רוצה לקבל את הכסף בחזרה", "אפשר להחליף למידה אחרת"],
}


@pytest.mark.parametrize(("locale", "text"), [(locale, one) for locale, found in SENTENCES.items() for one in found])
def test_a_plain_sentence_is_told(locale: str, text: str) -> None:
    found = detect(text, ALL)
    assert found is not None
    assert found.locale == locale
    assert found.confidence > 0.9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hei",
        "hallo daar",
        "AB123456",
        "AB123456 CD345678 EF456789",
        "😀 😀 😀",
        "12 34 56",
        "a b c",
        "...",
        "\ud800",
    ],
)
def test_what_is_too_short_to_tell_is_not_told(text: str) -> None:
    assert detect(text, ALL) is None


def test_codes_addresses_and_links_do_not_count() -> None:
    assert detect("AB123456 https://shop.example/waar-is-het jan@voorbeeld.nl", ALL) is None
    found = detect("https://shop.example/x1 waar is mijn bestelling AB123456", ALL)
    assert found is not None
    assert found.locale == "nl"


def test_names_are_nothing_to_be_sure_of() -> None:
    found = detect("my name is Kari Nordmann", ALL)
    assert found is not None
    assert found.confidence < SURE


def test_only_the_desks_languages_are_looked_for_under_the_desks_own_names() -> None:
    assert detect("hvor er pakken min egentlig", ("en",)) is None
    assert detect("hvor er pakken min egentlig", ("en", "tlh")) is None
    found = detect("waar blijft mijn pakje nou", ("en", "nl-BE"))
    assert found is not None
    assert found.locale == "nl-BE"
    found = detect("où est mon colis s'il vous plaît", ("en", "fr", "he"))
    assert found is not None
    assert found.locale == "fr"
