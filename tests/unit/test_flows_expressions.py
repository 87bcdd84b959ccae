"""Conditions that admins write: checked at load with a column, and never an exception while they run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.flows.expressions import MAX_LENGTH, ExpressionFault, Scope, parse

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
NAMES: dict[str, Any] = {
    "order": {"status": "shipped", "days_late": 0, "amount": 99.5, "tags": ["gift", "late"], "none": None},
    "n": 7,
    "word": "Fragile",
    "yes": True,
    "nothing": None,
    "customer": {"vip": True},
}


def value(text: str, **names: Any) -> Any:
    return parse(text).value(Scope({**NAMES, **names}, NOW))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("order.status == 'shipped' and order.days_late <= 0", True),
        ("order.amount > 100 or customer.vip", True),
        ("not customer.vip", False),
        ("1 + 2 * 3 - 4 / 2", 5),
        ("(1 + 2) * 3", 9),
        ("-n + 7", 0),
        ("'late' in order.tags", True),
        ("'rag' in word", True),
        ("n in [1, 7]", True),
        ("yes == 1", False),  # a truth value is no number
        ("7.0 == 7", True),
        ("'7' == 7", False),
        ("nothing == null", True),
        ("order.missing == null", True),
        ("word.part == null", True),  # only mappings have parts
        ("len(order.tags)", 2),
        ("lower(word)", "fragile"),
        ("contains(word, 'RAG')", True),
        ("coalesce(nothing, order.none, 3)", 3),
        ("days_since('2026-02-28')", 2),
        ("hours_until('2026-03-02T18:00:00+00:00')", 6),
        ("is_open()", True),
        ("matches(word, '^Fr')", True),
        ("matches(nothing, 'x')", False),
        ('"it\'s"', "it's"),
    ],
)
def test_what_an_expression_means(text: str, expected: object) -> None:
    assert value(text) == expected
    assert type(value(text)) is type(expected) or isinstance(expected, int | float)


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("other", ["5", "'a'", "true", "null", "order", "[1]"])
def test_null_never_orders(sign: str, other: str) -> None:
    assert value(f"nothing {sign} {other}") is False
    assert value(f"{other} {sign} nothing") is False


@pytest.mark.parametrize(
    "text", ["'a' * 3", "1 / 0", "word - 1", "-word", "len(7)", "days_since('soon')", "lower(n)", "order + 1"]
)
def test_a_wrong_type_is_null_and_no_exception(text: str) -> None:
    assert value(text) is None


def test_numbers_and_texts_stay_small() -> None:
    assert value("n * n", n=10**12) is None
    assert value("word + word", word="x" * 6000) is None
    for text in ("n + 1", "n * n", "-n"):
        assert value(text, n=10**400) is None, "beyond what a float can be"


@pytest.mark.parametrize(
    ("text", "offset", "part"),
    [
        ("n = 3", 2, "=="),
        ("n > > 3", 4, "not expected"),
        ("(n", 2, '")" is missing'),
        ("n)", 1, "not expected"),
        ("", 0, "empty"),
        ("n +", 3, "missing at the end"),
        ("'open", 0, "no end"),
        ("eval('1')", 0, "no function"),
        ("len(n, n)", 0, "takes 1 value"),
        ("order.__class__", 0, "begin with _"),
        ("n.__init__.x == 1", 0, "begin with _"),
        ("a < b < c", 6, "in a row"),
        ("n && 1", 2, "and, or, not"),
        ("matches(word, word)", 14, "written out"),
        ("matches(word, '(')", 14, "RE2"),
        ("matches(word, '(a)\\1')", 14, "RE2"),
        ("12345678901234567890", 0, "not a number"),
        ("lambda: 1", 6, "no meaning"),
        ("`x`", 0, "no meaning"),
    ],
)
def test_a_fault_is_found_at_load_with_its_place(text: str, offset: int, part: str) -> None:
    with pytest.raises(ExpressionFault) as caught:
        parse(text)
    assert caught.value.offset == offset
    assert part in caught.value.message


def test_too_long_and_too_deep_is_refused_at_load() -> None:
    for text in (
        "n + " * 200 + "n",
        "(" * 40 + "n" + ")" * 40,
        "not " * 60 + "n",
        "- " * 60 + "n",
        "[" * 50 + "]" * 50,
    ):
        with pytest.raises(ExpressionFault):
            parse(text)
    assert value("+".join(["n"] * (MAX_LENGTH // 2))) == 7 * (MAX_LENGTH // 2)


PIECES = [
    "and",
    "or",
    "not",
    "in",
    "==",
    "!=",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "(",
    ")",
    "[",
    "]",
    ",",
    "'x'",
    "3",
    "0.5",
    "null",
    "true",
    "order",
    "order.status",
    "order.tags",
    "n",
    "word",
    "nothing",
    "len(",
    "coalesce(",
    "contains(",
    "matches(",
    "now(",
]


@settings(max_examples=600, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join) | st.text(max_size=60),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=6,
    ),
)
def test_whatever_is_written_is_refused_at_load_or_runs_without_an_exception(text: str, anything: Any) -> None:
    try:
        expression = parse(text)
    except ExpressionFault:
        return
    json.dumps(expression.value(Scope({**NAMES, "n": anything, "word": anything}, NOW)))
