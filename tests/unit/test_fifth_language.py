"""Adding a language is adding a file: what is missing is told, what is there is spoken, numbers and directions come along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot import flows
from bot.desk_folder import Desk, load
from bot.texts import FSI, PDI, duration, for_customers, is_rtl, number, say
from tests.unit.flows_house import HANDOFF, Customer

DESK = """\
schema: 1
name: Maison
locales: [en, {locale}]
teams: [{{id: support, name: Support}}]
interrupts: [{{id: human, run: handoff, phrases: {{en: [human], {locale}: [humain]}}}}]
"""
ORDER = """\
schema: 1
flow: order
version: 1
triggers: {{phrases: {{en: [where is it], {locale}: [ou est ma commande]}}}}
slots: {{n: {{type: number}}, sum: {{type: number, default: 1234.5}}}}
steps:
  - {{id: q, ask: n, text: {{en: "Which number?", {locale}: "Quel numéro ?"}}}}
  - {{say: {{en: "{{{{ n }}}}: {{{{ sum | number }}}}", {locale}: "Commande {{{{ n }}}} : {{{{ sum | number }}}}"}}}}
"""


def desk(folder: Path, locale: str, *, without: str = "") -> Desk:
    words = {key: {locale: f"[{locale}] {say_raw(key)}"} for key in for_customers() if key != without}
    files = {
        "desk.yaml": DESK.format(locale=locale),
        "flows/handoff.yaml": HANDOFF.replace("he:", f"{locale}:"),
        "flows/order.yaml": ORDER.format(locale=locale),
        f"texts/{locale}.yaml": json.dumps(words, ensure_ascii=False),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load(folder)


def say_raw(key: str) -> str:
    from bot.texts import _built_in

    return _built_in()[key]["en"]


def missing(made: Desk) -> list[str]:
    return [str(one) for one in made.warnings if one.rule == "missing-translation"]


def test_one_file_is_enough_and_the_bot_speaks_it(tmp_path: Path) -> None:
    made = desk(tmp_path, "fr")
    assert missing(made) == []
    customer = Customer(made, locale="en")
    assert customer.says("Bonjour, où est ma commande ?") == ["Quel numéro ?"]
    assert customer.only(flows.SwitchLocale).locale == "fr"
    (wrong,) = customer.says("je ne sais pas")
    assert wrong.startswith(r"\[fr\] ")
    (told,) = customer.says("12")
    assert "1\u202f234,5" in told, "the separators are French"
    assert say("greeting", "fr", made.texts).startswith("[fr]")
    assert duration(7200, "fr") == "± 2\u00a0heures"


def test_what_is_not_translated_is_listed_with_its_place(tmp_path: Path) -> None:
    (one,) = missing(desk(tmp_path, "fr", without="greeting"))
    assert one.startswith(f"{tmp_path / 'desk.yaml'}:3:15: warning: 1 sentences of the product have no wording")
    assert "greeting" in one
    bare = tmp_path / "bare"
    desk(bare, "fr")
    (bare / "texts" / "fr.yaml").unlink()
    (bare / "desk.yaml").write_text("schema: 1\nname: x\nlocales: [en, fr]\nteams: [{id: support, name: S}]\n")
    many, human = missing(load(bare))
    assert f"{len(for_customers())} sentences" in many
    assert "nobody can ask for a person" in human


def test_the_products_own_languages_lack_nothing(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("schema: 1\nname: x\nlocales: [en, nl, no, iw]\n", encoding="utf-8")
    assert missing(load(tmp_path)) == []


def test_another_language_from_right_to_left_keeps_codes_apart(tmp_path: Path) -> None:
    made = desk(tmp_path, "ar")
    assert is_rtl("ar")
    assert missing(made) == []
    text = say("queue_place", "ar", made.texts, position=3, wait="10:30")
    assert f"{FSI}10:30{PDI}" in text
    assert number(1234.5, "ar", 1)


@pytest.mark.parametrize(
    ("count", "locale", "words"),
    [
        *((60, "he", "דקה"), (120, "he", "שתי דקות"), (60, "en", "1 minute"), (120, "en", "2 minutes")),
        *((60, "nb", "1 minutt"), (120, "nb", "2 minutter"), (60, "nl", "1 minuut"), (300, "ar", "5 دقائق")),
    ],
)
def test_numbers_and_their_words_agree_in_each_language(count: int, locale: str, words: str) -> None:
    assert words in duration(count, locale)
