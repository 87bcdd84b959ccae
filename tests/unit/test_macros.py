"""Saved replies: found, in the customer's language where there is one, filled in for this case, and never more than text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.desk_folder import load
from bot.desk_folder.desk import Macro
from channels.web.frames import html
from handoff import macros
from handoff.macros import Offered, fill, offered

VALUES = {"customer.name": "Kari", "agent.name": "Ann", "case.id": "7", "order": "AB-123"}


def macro(macro_id: str, title: str, locale: str = "en", body: str = "Words") -> Macro:
    return Macro(macro_id, title, locale, body, f"macros/{macro_id}.{locale}.md")


SHELF = (
    macro("hello", "Hello", "en", "Hello {{ customer.name }}, this is {{ agent.name }}."),
    macro("hello", "Hallo", "nl", "Hallo {{ customer.name }}, met {{ agent.name }}."),
    macro("refund", "Refund is on its way", "en", "We paid you back for {{ order }}."),
    macro("sorry", "Unnskyld", "nb", "Det beklager vi."),
)


def titles(found: list[Offered]) -> list[str]:
    return [one.title for one in found]


def test_each_is_offered_once_in_the_customers_language_else_in_the_agents_with_a_mark() -> None:
    found = offered(SHELF, "nl-BE", VALUES)
    assert [(one.title, one.locale, one.elsewhere) for one in found] == [
        ("Hallo", "nl", False),
        ("Refund is on its way", "en", True),
        ("Unnskyld", "nb", True),
    ]
    assert found[0].text == "Hallo Kari, met Ann."


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("hello", ["Hello"]),
        ("REFUND", ["Refund is on its way"]),
        ("paid back", ["Refund is on its way"]),
        ("ab-123", ["Refund is on its way"]),
        ("way refund", ["Refund is on its way"]),
        ("nothing of that", []),
    ],
)
def test_they_are_found_by_title_name_and_words(query: str, found: list[str]) -> None:
    assert titles(offered(SHELF, "en", VALUES, query)) == found


def test_what_is_named_so_stands_before_what_only_speaks_of_it() -> None:
    shelf = (macro("a", "About", body="the refund"), macro("b", "Late refund"), macro("refund", "Money"))
    assert titles(offered(shelf, "en", {}, "refund")) == ["Money", "Late refund", "About"]


def test_what_has_no_value_stays_visible_and_is_named() -> None:
    text, missing = fill("{{ customer.name }} bought {{ order }} and {{ order }}", {"customer.name": "Kari"})
    assert text == "Kari bought [order?] and [order?]"
    assert missing == ("order",)


def test_a_value_is_one_line_never_markup_and_never_a_placeholder_again() -> None:
    evil = "[click](https://evil.example) **now**\n# {{ agent.name }}"
    text, _ = fill("Dear {{ customer.name }}!", {"customer.name": evil, "agent.name": "Ann"})
    assert "\n" not in text
    assert "{{ agent.name }}" in text
    shown = _drawn(text)
    assert ">click</a>" not in shown, "an address may show as itself, never behind other words"
    assert "<strong>" not in shown


def _drawn(text: str) -> str:
    from datetime import UTC, datetime

    from bot.model import Author, AuthorKind, Body, Message

    author = Author(AuthorKind.AGENT, "Ann", "ann")
    said = Message("m", "c", 1, None, author, "web", Body(text, markdown=True), datetime(2026, 3, 9, tzinfo=UTC), {})
    return html(said)


@given(st.text(max_size=80))
def test_no_value_of_a_customer_makes_a_link_or_swallows_the_rest(value: str) -> None:
    text, _ = fill("A {{ customer.name }} Z", {"customer.name": value})
    assert text.startswith("A ")
    assert text.endswith(" Z")
    assert "<a " not in _drawn(text) or "http" in value.lower() or "www" in value.lower() or "@" in value


def folder(path: Path, body: str) -> Path:
    (path / "macros").mkdir(parents=True)
    (path / "flows").mkdir()
    (path / "desk.yaml").write_text("schema: 1\nname: Shop\nlocales: [en]\n", "utf-8")
    flow: dict[str, Any] = {"schema": 1, "flow": "order", "version": 1}
    lines = [f"{key}: {value}" for key, value in flow.items()]
    lines += ["triggers: {phrases: {en: [my order]}}", "slots: {order_number: {type: text, scope: case}}"]
    lines += ["steps:", '  - {id: q, ask: order_number, text: "Which?"}']
    (path / "flows" / "order.yaml").write_text("\n".join(lines) + "\n", "utf-8")
    (path / "macros" / "late.en.md").write_text(f"---\ntitle: Late\nlocale: en\n---\n{body}\n", "utf-8")
    return path


def test_a_desk_may_name_its_slots_in_a_macro(tmp_path: Path) -> None:
    desk = load(folder(tmp_path, "Order {{ order_number }} for {{ customer.name }}"))
    assert [one.id for one in desk.macros] == ["late"]


def test_a_slot_that_no_flow_has_is_a_fault_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"late\.en\.md:5:1.*order_nmber.*order_number"):
        load(folder(tmp_path, "Order {{ order_nmber }}"))


def test_the_values_of_a_macro_are_those_that_desks_are_checked_for() -> None:
    from bot.desk_folder.pages import MACRO_NAMES

    assert macros.left_open("[case.topic?]") == ("[case.topic?]",)
    assert set(MACRO_NAMES) == {"customer.name", "customer.locale", "agent.name", "case.id", "case.topic"}
