"""Adding a language is adding a file: what is missing is told, what is there is spoken, numbers and directions come along."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot import flows
from bot.desk_folder import Desk, load
from bot.desk_folder.load import DeskFaults
from bot.flows.transcripts import run_tests
from bot.texts import FSI, PDI, duration, for_customers, is_rtl, number, plural, say, word_lists
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
    keys = [*for_customers(), *word_lists()]
    words = {key: {locale: f"[{locale}] {say_raw(key)}"} for key in keys if key != without}
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
    many, words, human = missing(load(bare))
    assert f"{len(for_customers())} sentences" in many
    assert f"{len(word_lists())} lists of words" in words
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


SHOP = """\
schema: 1
name: Affär
locales: [{locales}]
teams: [{{id: support, name: Support}}]
interrupts: [{{id: human, run: handoff, phrases: {{en: [human]}}}}, {{id: cancel, do: cancel, phrases: {{en: [cancel]}}}}]
"""
FETCH = """\
schema: 1
flow: handoff
version: 1
steps:
  - {id: person, escalate: {team: support}, text: $coming, on: {no_agent: later}}
  - {id: later, say: $coming}
"""
PARCEL = """\
schema: 1
flow: parcel
version: 1
triggers: {phrases: $parcel_phrases}
slots: {days: {type: number}, sure: {type: bool}, day: {type: date}, tel: {type: phone}}
steps:
  - {id: q_days, ask: days, text: $days_q}
  - {say: $waited}
  - {id: q_sure, ask: sure, text: $sure_q, options: [{value: "yes", label: $yes}, {value: "no", label: $no}]}
  - {id: q_day, ask: day, text: $day_q}
  - {id: q_tel, ask: tel, text: $tel_q}
  - {say: $noted}
"""
ENGLISH = """\
parcel_phrases: {en: "where is my parcel | track it"}
days_q: {en: "How many days do you wait?"}
waited: {en: {one: "{{ days }} day, I see.", other: "{{ days }} days, I see."}}
sure_q: {en: "Are you sure?"}
yes: {en: "Yes"}
no: {en: "No"}
day_q: {en: "Since when?"}
tel_q: {en: "Your number?"}
noted: {en: "Noted: {{ sure }}, {{ day }}, {{ tel }}"}
coming: {en: "Somebody comes."}
"""
SWEDISH = """\
parcel_phrases: {sv: "var är mitt paket | spåra paketet"}
days_q: {sv: "Hur många dagar har du väntat?"}
waited: {sv: {one: "{{ days }} dag, jaha.", other: "{{ days }} dagar, jaha."}}
sure_q: {sv: "Är du säker?"}
yes: {sv: "Så är det"}
no: {sv: "Inte alls"}
day_q: {sv: "Sedan när?"}
tel_q: {sv: "Ditt nummer?"}
noted: {sv: "Noterat: {{ sure }}, {{ day }}, {{ tel }}"}
coming: {sv: "Någon kommer."}
greeting: {sv: "Hej! Vad gäller det?"}
kb_thanks: {sv: "Varsågod!"}
flow_retry_number: {sv: "Skriv bara ett tal."}
cancelled: {sv: "Då låter vi det vara."}
rules_offer_human: {sv: "Ska jag hämta en kollega?"}
rules_safety: {sv: "Det låter allvarligt."}
words_yes: {sv: "ja | jo | japp"}
words_no: {sv: "nej | nä"}
words_polite: {sv: "tack | gärna"}
words_numbers: {sv: "noll | ett/en | två | tre"}
words_yesterday: {sv: "i går | igår"}
words_greeting: {sv: "hej | tjena"}
words_thanks: {sv: "tack | tack så mycket"}
words_human: {sv: "en människa | prata med någon"}
words_cancel: {sv: "strunta i det"}
words_insults: {sv: "värdelösa"}
words_safety: {sv: "det brinner"}
"""
TALKS = """\
- test: small talk, and a flow from its first word to its last
  locale: sv
  script:
    - {user: tjena!}
    - {bot: "Hej! Vad gäller det?"}
    - {user: Var är mitt paket?}
    - {bot: Hur många dagar}
    - {user: vet inte}
    - {bot: Skriv bara ett tal.}
    - {user: "en, tack"}
    - {bot: "1 dag, jaha."}
    - {bot: Är du säker?}
    - {user: "japp, gärna"}
    - {bot: Sedan när?}
    - {user: i går}
    - {bot: Ditt nummer?}
    - {user: 08-123 456 78}
    - {bot: "+46812345678"}
    - {user: tack så mycket!}
    - {bot: Varsågod!}
- test: several days are days, and what is begun can be left
  locale: sv
  script:
    - {user: spåra paketet}
    - {user: två}
    - {bot: $waited}
    - {bot: Är du säker?}
    - {user: strunta i det}
    - {bot: Då låter vi det vara.}
- test: a person is fetched who is asked for in Swedish
  locale: sv
  script:
    - {user: jag vill prata med någon}
    - {bot: Någon kommer.}
    - {expect: {escalated: support, reason: asked}}
- test: an insult is heard as one
  locale: sv
  script:
    - {user: ni är värdelösa allihop}
    - {bot: Ska jag hämta en kollega?}
- test: danger is heard
  locale: sv
  script:
    - {user: hjälp det brinner i den}
    - {expect: {escalated: true, reason: safety, priority: urgent}}
"""


def test_a_conversation_in_swedish_takes_nothing_but_a_file(tmp_path: Path) -> None:
    files = {
        "desk.yaml": SHOP.format(locales="en"),
        "flows/handoff.yaml": FETCH,
        "flows/parcel.yaml": PARCEL,
        "texts/shop.yaml": ENGLISH,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert load(tmp_path).locales == ("en",)
    (tmp_path / "desk.yaml").write_text(SHOP.format(locales="en, sv"), encoding="utf-8")
    (tmp_path / "texts" / "sv.yaml").write_text(SWEDISH, encoding="utf-8")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "sv.yaml").write_text(TALKS, encoding="utf-8")
    made = load(tmp_path)
    assert [one.message for one in run_tests(made) if not one.ok] == []
    assert {one.rule for one in made.warnings} <= {"missing-translation"}, (
        "of the product's sentences few are translated"
    )


def test_a_form_that_a_language_needs_is_asked_for_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("schema: 1\nname: x\nlocales: [en, he, pl]\n", encoding="utf-8")
    (tmp_path / "texts").mkdir()
    days = """\
days:
  en: {one: "{{ n }} day", other: "{{ n }} days", two: both days}
  he: {one: "יום אחד", other: "{{ n }} ימים"}
  pl: {one: "{{ n }} dzień", few: "{{ n }} dni", many: "{{ n }} dni", other: "{{ n }} dnia"}
"""
    (tmp_path / "texts" / "own.yaml").write_text(days, encoding="utf-8")
    made = load(tmp_path)
    found = [str(one).removeprefix(f"{tmp_path}/texts/") for one in made.warnings if one.rule == "plural"]
    assert found == [
        'own.yaml:2:51: warning: the text "days" (en): no number takes the form "two" in this language',
        'own.yaml:3:7: warning: the text "days" (he): this language also needs the form two',
    ]
    assert [say("days", "pl", made.texts, n=n) for n in (1, 2, 5, 22)] == ["1 dzień", "2 dni", "5 dni", "22 dni"]
    assert say("days", "he", made.texts, n=2) == "2 ימים", "the form that stands in for what is missing"
    (tmp_path / "texts" / "own.yaml").write_text("days: {en: {one: a day}, he: יום, pl: dzień}\n", encoding="utf-8")
    with pytest.raises(DeskFaults, match=r"own.yaml:1:12: .*other. is missing"):
        load(tmp_path)


def test_a_text_may_stand_in_a_file_for_each_language_but_not_twice_in_one(tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("schema: 1\nname: x\nlocales: [en, nl]\n", encoding="utf-8")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "en.yaml").write_text("hi: {en: Hi}\n", encoding="utf-8")
    (tmp_path / "texts" / "nl.yaml").write_text("hi: {nl: Hoi}\n", encoding="utf-8")
    assert load(tmp_path).texts["hi"] == {"en": "Hi", "nl": "Hoi"}
    (tmp_path / "texts" / "nl.yaml").write_text("hi: {nl: Hoi, en: Hello}\n", encoding="utf-8")
    with pytest.raises(DeskFaults, match=r'nl.yaml:1:1: the text "hi" stands also in .*en.yaml'):
        load(tmp_path)
    (tmp_path / "texts" / "nl.yaml").unlink()
    with pytest.raises(DeskFaults, match=r'en.yaml:1:5: the text "hi": no wording in nl'):
        load(tmp_path)


@pytest.mark.parametrize("locale", plural.OURS)
def test_what_our_own_languages_need_is_what_babel_says(locale: str) -> None:
    assert plural.needed(locale) == plural.by_rules(locale)
