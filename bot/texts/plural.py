"""Sentences whose words depend on a number: "1 day", "2 days". Their forms are chosen by the rules of their language.

In a file such a sentence is a mapping instead of a text: `{one: "{{ n }} day", other: "{{ n }} days"}`. The names are CLDR's
(zero, one, two, few, many, other), and Babel knows which number takes which in which language. What is counted is the first
number that the sentence names. `other` is compulsory, and stands in for a form that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Self

from bot.texts import babel_locale

FORMS = ("zero", "one", "two", "few", "many", "other")
COUNTED = 1000
"""Numbers up to here say which forms a language needs: French has one for whole millions only."""
OURS = {"en": ("one", "other"), "nl": ("one", "other"), "nb": ("one", "other"), "he": ("one", "two", "other")}
"""What our own languages need, as Babel has it (a test compares): a start need not load it for them."""


class Plural(str):
    """The sentence as it stands for most numbers, its form `other`; `forms` has them all."""

    __slots__ = ("forms",)
    forms: Mapping[str, str]

    def __new__(cls, forms: Mapping[str, str]) -> Self:
        made = super().__new__(cls, forms["other"])
        made.forms = dict(forms)
        return made

    def __getnewargs__(self) -> tuple[Mapping[str, str]]:  # type: ignore[override]
        return (self.forms,)


def chosen(text: str, values: Iterable[Any], locale: str) -> str:
    """The form for the first number among `values`, which are those that the text names, in its order."""
    if not isinstance(text, Plural):
        return text
    number = next((found for value in values if (found := _number(value)) is not None), None)
    return str(text) if number is None else text.forms.get(form_of(number, locale), str(text))


def form_of(number: float, locale: str) -> str:
    """one, two, few…: the form that `number` takes in this language."""
    return str(babel_locale(locale).plural_form(number))


@cache
def needed(locale: str) -> tuple[str, ...]:
    """The forms that whole numbers take in this language, `other` always among them."""
    return OURS.get(locale) or by_rules(locale)


def by_rules(locale: str) -> tuple[str, ...]:
    """As `needed`, asked of Babel's rules."""
    found = {form_of(number, locale) for number in range(COUNTED)} | {"other"}
    return tuple(one for one in FORMS if one in found)


def variants(text: str) -> tuple[str, ...]:
    """Each text that may be said."""
    return tuple(text.forms.values()) if isinstance(text, Plural) else (text,)


def to_json(text: str) -> str | dict[str, str]:
    return dict(text.forms) if isinstance(text, Plural) else text


def from_json(stored: str | Mapping[str, str]) -> str:
    return stored if isinstance(stored, str) else Plural(stored)


def _number(value: Any) -> float | None:
    """A text of digits is a code: nobody counts an order's number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
