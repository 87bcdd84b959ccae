"""Texts, articles and saved replies as the console sees and changes them: nothing else of a file is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.console import leaves, reworded, wording
from bot.desk_folder import DEMO_DESK, load
from bot.desk_folder.edit import CannotEdit

LOCALES = ("en", "nl", "nb", "he")
FILES = {
    "desk.yaml": "name: Shop\nlocales: [en, nl]\n",
    "texts/shop.yaml": '# ours\nhello: {en: "Hi {{ order.name }}", nl: "Hoi"}  # first\nbye:\n  en: Bye\n\nqueue_place:\n  nl: "Plek {{ position }}"\n',
    "flows/a.yaml": "flow: a\nsteps:\n  - {id: q, say: {en: Where?, nl: Waar?}}\n  - {say: $hello}\n  - say: $kb_none\n",
}


def row(key: str, files: dict[str, str] = FILES) -> wording.Row:
    return next(one for one in wording.rows(files, ("en", "nl")) if one.key == key)


def demo() -> dict[str, str]:
    found = (file for file in DEMO_DESK.rglob("*") if file.suffix in {".yaml", ".md"})
    return {file.relative_to(DEMO_DESK).as_posix(): file.read_text() for file in found}


# ── texts ──


def test_the_grid_shows_the_desks_texts_those_of_flows_and_the_products() -> None:
    found = wording.rows(FILES, ("en", "nl"))
    assert [one.key for one in found[:3]] == ["hello", "bye", "a · q · say"]
    assert {one.kind for one in found[3:]} == {"product"}
    assert row("hello").uses == ("a",)
    assert row("kb_none").uses == ("a",)
    assert [cell.text for cell in row("a · q · say").cells] == ["Where?", "Waar?"]


def test_what_is_missing_or_says_other_values_is_marked() -> None:
    assert row("bye").missing == ("nl",)
    assert row("hello").cells[1].faults == (wording.Wrong("lacks", {"names": "{{ order.name }}"}),)
    own, ours = row("queue_place").cells[1], row("queue_place").cells[0]
    assert (own.own, ours.own) == (True, False)
    assert own.faults[0].values["names"] == "{{ wait }}"
    assert [one.kind for one in wording.faults_of("Hi {{ x", ())] == ["template"]
    assert [one.kind for one in wording.faults_of("Hi {{ x }}" + "." * 5000, ("y",))] == ["lacks", "strange", "long"]


def test_looking_and_filters() -> None:
    found = wording.rows(FILES, ("en", "nl"))
    keys = {
        show: {one.key for one in wording.wanted(found, show=show)} for show in ("missing", "faulty", "own", "unused")
    }
    assert keys == {
        "missing": {"bye"},
        "faulty": {"bye", "hello", "queue_place"},
        "own": {"queue_place"},
        "unused": {"bye"},
    }
    assert [one.key for one in wording.wanted(found, "WAAR", kind="flow")] == ["a · q · say"]
    assert wording.wanted(found, "no such words anywhere") == []


BARE = """\
flow: b
steps:
  - say: Hello there   # everybody
  - {id: q, ask: x, text: "Which one?", options: [{value: a, label: First}], retry: {text: Again}}
  - {notify: {slack: "#x", text: for colleagues}}
  - say: $hello
"""


def test_a_text_that_serves_every_language_stands_in_the_grid_and_can_be_translated() -> None:
    files = {"flows/b.yaml": BARE}
    found = {one.key: one for one in wording.rows(files, ("en", "nl")) if one.kind == "flow"}
    assert list(found) == ["b · 1 · say", "b · q · text", "b · q · retry text", "b · a · label"]
    assert all(one.bare and one.missing == ("nl",) for one in found.values())
    (text,) = reworded.saved(files, found["b · 1 · say"], {"nl": "Dag: u"}, ("en", "nl")).values()
    assert text == BARE.replace("say: Hello there ", 'say: {en: Hello there, nl: "Dag: u"} ')
    (text,) = reworded.saved(files, found["b · 1 · say"], {"en": "Hi"}, ("en", "nl")).values()
    assert text == BARE.replace("Hello there", "Hi"), "one text goes on to serve all"
    assert reworded.saved(files, found["b · q · text"], {"nl": ""}, ("en", "nl")) == {}
    (alone,) = (one for one in wording.rows(files, ("en",)) if one.key == "b · q · text")
    assert alone.missing == ()


COUNTED = """\
days:
  en: {one: "{{ n }} day", other: "{{ n }} days"}  # ours
  he: {one: יום אחד, other: "{{ n }} ימים"}
"""


def test_each_form_of_a_sentence_that_counts_has_its_row() -> None:
    files, locales = {"texts/own.yaml": COUNTED}, ("en", "he")
    found = {one.form: one for one in wording.rows(files, locales) if one.place == ("days",)}
    assert list(found) == ["one", "two", "other"]
    assert [cell.text for cell in found["one"].cells] == ["{{ n }} day", "יום אחד"]
    assert [cell.faults for cell in found["one"].cells] == [(), ()], "one day needs no figure"
    assert found["two"].missing == ("he",), "English has no such form"
    (text,) = reworded.saved(files, found["two"], {"he": "יומיים"}, locales).values()
    assert text == COUNTED.replace('other: "{{ n }} ימים"}', 'other: "{{ n }} ימים", two: "יומיים"}')
    (text,) = reworded.saved(files, found["other"], {"en": "{{ n }} d"}, locales).values()
    assert text == COUNTED.replace("{{ n }} days", "{{ n }} d")


def test_a_products_sentence_that_counts_is_reworded_with_all_its_forms() -> None:
    ours = {one.form: one for one in wording.rows({}, ("en", "he")) if one.place == ("console_x",)}
    assert not ours
    found = {one.form: one for one in wording.rows({}, ("en", "he")) if one.place == ("link_wrong",)}
    (path, text), *_ = reworded.saved({}, found["one"], {"en": "One try left."}, ("en", "he")).items()
    assert path == "texts/own.yaml"
    assert '"One try left."' in (text or "")
    assert "other: " in (text or "")


def test_saving_a_text_changes_only_that_text() -> None:
    path, text = next(iter(reworded.saved(FILES, row("hello"), {"nl": "Hallo {{ order.name }}"}, LOCALES).items()))
    assert path == "texts/shop.yaml"
    assert text == FILES[path].replace('"Hoi"', '"Hallo {{ order.name }}"')
    added = reworded.saved(FILES, row("bye"), {"nl": "Dag", "en": "Bye"}, LOCALES)
    assert added == {path: FILES[path].replace("  en: Bye\n", '  en: Bye\n  nl: "Dag"\n')}
    flow = reworded.saved(FILES, row("a · q · say"), {"nl": "Waarheen?"}, LOCALES)
    assert flow == {"flows/a.yaml": FILES["flows/a.yaml"].replace("Waar?", "Waarheen?")}
    assert reworded.saved(FILES, row("hello"), {"nl": "Hoi"}, LOCALES) == {}
    assert reworded.saved(FILES, row("bye"), {"nl": "", "en": ""}, LOCALES) == {}, "a text of the desk is not emptied"
    assert reworded.saved(FILES, row("queue_place"), {"en": ""}, LOCALES) == {}, "a language that is not named stays"


def test_a_sentence_of_the_product_gets_an_own_wording_and_goes_back() -> None:
    made = reworded.saved(FILES, row("kb_none"), {"nl": "Geen idee."}, LOCALES)
    assert made == {wording.OWN_FILE: wording.NEW_FILE + 'kb_none:\n  nl: "Geen idee."\n'}
    with_it = {**FILES, **{path: text or "" for path, text in made.items()}}
    assert row("kb_none", with_it).cells[1].own
    assert reworded.saved(with_it, row("kb_none", with_it), {"nl": ""}, LOCALES) == {wording.OWN_FILE: None}
    back = reworded.saved(FILES, row("queue_place"), {"nl": ""}, LOCALES)
    assert back == {
        "texts/shop.yaml": FILES["texts/shop.yaml"].replace('queue_place:\n  nl: "Plek {{ position }}"\n', "")
    }


def test_a_language_under_its_old_name_is_found_and_kept(tmp_path: Path) -> None:
    files = {"texts/a.yaml": "a: {no: Hei, en: Hi}\n"}
    found = next(one for one in wording.rows(files, ("en", "nb")) if one.key == "a")
    assert found.cells[1].text == "Hei"
    assert reworded.saved(files, found, {"nb": "Hallo"}, ("en", "nb")) == {"texts/a.yaml": "a: {no: Hallo, en: Hi}\n"}


TEXTS = demo()
ROWS = wording.rows(TEXTS, LOCALES)
REWORDED = [one for one in ROWS if one.kind == "product" and one.file]
CHOSEN = [*ROWS[:8], *REWORDED, *[one for one in ROWS if not one.file][:4]]


@given(st.sampled_from(CHOSEN), st.sampled_from(LOCALES), st.text(min_size=1, max_size=40).filter(str.strip))
@settings(max_examples=20, deadline=None)
def test_any_text_of_the_demo_desk_can_be_any_other(found: wording.Row, locale: str, text: str) -> None:
    text = text.replace("{{", "((").replace("\r", "")
    made = reworded.saved(TEXTS, found, {locale: text}, LOCALES)
    again = wording.rows({**TEXTS, **{path: one or "" for path, one in made.items()}}, LOCALES)

    def cells(rows: list[wording.Row]) -> dict[str, dict[str, str | None]]:
        return {f"{one.kind} {one.key}": {cell.locale: cell.text for cell in one.cells} for one in rows}

    expected = cells(ROWS)
    if not next(cell for cell in found.cells if cell.locale == locale).apart:  # a form that this language has not
        expected[f"{found.kind} {found.key}"][locale] = text
    assert cells(again) == expected


# ── articles and saved replies ──

ARTICLE = (
    "---\n# of the shop\ntitle: Returns  # shown\nlocale: en\ntags: [a, b]\nquestions:\n  - How?  # often\n  - When?\n---\n\n"
    "Within 30 days.\n\nFree.\n\n"
)


def test_an_article_is_read_and_changed_in_its_places() -> None:
    leaf = leaves.leaf_of("knowledge/returns.en.md", ARTICLE, LOCALES)
    assert leaf == leaves.Leaf(
        "knowledge/returns.en.md", "returns", "en", "Returns", "Within 30 days.\n\nFree.", ("a", "b"), ("How?", "When?")
    )
    wanted = replace(leaf, title="Sending back: how", body="Within 60 days.", questions=("How?", "Where to?"))
    expected = (
        ARTICLE.replace("Returns  #", '"Sending back: how"  #')
        .replace("When?", "Where to?")
        .replace("Within 30 days.\n\nFree.", "Within 60 days.")
    )
    assert leaves.edited(ARTICLE, leaf, wanted) == expected
    crlf = ARTICLE.replace("\n", "\r\n")
    again = leaves.leaf_of(leaf.path, crlf, LOCALES)
    assert again == leaf
    assert leaves.edited(crlf, leaf, wanted) == expected.replace("\n", "\r\n")
    assert leaves.edited(ARTICLE, leaf, leaf) == ARTICLE


def test_a_new_article_can_be_loaded() -> None:
    made = leaves.Leaf("", "x", "he", "שאלה: מה #1", "תשובה", ("no", "a, b"), ('מה "זה"?', "yes"))
    desk = load(DEMO_DESK, {"knowledge/x.he.md": leaves.written(made)})
    found = next(one for one in desk.articles if one.id == "x")
    assert (found.title, found.body, found.tags, found.questions) == (made.title, made.body, made.tags, made.questions)


def test_articles_stand_together_by_language() -> None:
    grouped = leaves.by_id(leaves.leaves(demo(), "knowledge", LOCALES))
    assert list(grouped["returns"]) == list(LOCALES)
    assert any(leaves.says(one, "RETURNS 30") for one in grouped["returns"].values())
    assert leaves.new_path("knowledge", "Gift Cards!", "nl", ()) == "knowledge/gift_cards.nl.md"
    assert leaves.new_path("knowledge", "קופון", "he", ["knowledge/knowledge.he.md"]) == "knowledge/knowledge_2.he.md"


def test_a_file_without_a_front_matter_is_left_alone() -> None:
    assert leaves.leaf_of("knowledge/a.md", "just text", LOCALES) is None
    with pytest.raises(CannotEdit):
        leaves.edited("just text", leaves.Leaf("a", "a", "en", "", ""), leaves.Leaf("a", "a", "en", "T", ""))


def test_a_saved_replys_places_are_checked() -> None:
    known = frozenset({"customer.name"})
    assert leaves.faults_of("Hi {{ customer.name }}", known) == []
    assert leaves.faults_of("Hi {{ customer.nmae }}", known) == ['unknown "customer.nmae"']
    assert leaves.faults_of("Hi {{ customer", known) != []
