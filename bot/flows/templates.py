"""Texts with values in them: `{{ order.eta | date }}`. No logic, and a value is never read as a template again.

In a text for customers each value is escaped, so that what a customer wrote is never markup, and kept apart from a
sentence of the other direction. What has no value shows as nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from bot.flows.expressions import MAX_NUMBER, look_up
from bot.texts import canonical, escape_markdown, is_rtl, isolate, number
from bot.texts.plural import chosen

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INSIDE = re.compile(r"\s*([^\W\d_]\w*(?:\.[^\W_]\w*)*)\s*((?:\|\s*[a-z]+\s*)*)\Z")
_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9./_~%?=&#:+,@-]{2,500}\Z")
_BREAKS = re.compile(r"[\t-\r \x85\u2028\u2029]+")
LONGEST_VALUE = 4000
"""Characters of one value in a text: a customer's novel does not become ours."""


@dataclass(frozen=True, slots=True)
class Place:
    """One `{{ … }}`: where it stands, the dotted path, and the filters after it."""

    start: int
    end: int
    path: tuple[str, ...]
    filters: tuple[str, ...]

    @property
    def name(self) -> str:
        return ".".join(self.path)


def _upper(value: Any, _: str) -> str:
    return str(value).upper()


def _lower(value: Any, _: str) -> str:
    return str(value).lower()


def _number(value: Any, locale: str) -> str:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return number(value, locale, 2) if plain and abs(value) <= MAX_NUMBER else str(value)


def _day(value: Any, locale: str) -> str:
    """A day as people of that language write it; what is no ISO 8601 day stays as it is."""
    from babel import Locale, UnknownLocaleError
    from babel.dates import format_date

    try:
        day = datetime.fromisoformat(value).date() if isinstance(value, str) else value
        known = Locale.parse(canonical(locale), sep="-")
    except (ValueError, UnknownLocaleError):
        return str(value)
    return format_date(day, "long", locale=known) if isinstance(day, date) else str(value)


def _link(value: Any, _: str) -> str:
    """The one filter that makes markup: a web address becomes a link, anything else stays plain words."""
    text = str(value)
    return f"[{escape_markdown(text)}]({text})" if _WEB_ADDRESS.match(text) else escape_markdown(text)


FILTERS: Mapping[str, Callable[[Any, str], str]] = {
    "upper": _upper,
    "lower": _lower,
    "number": _number,
    "date": _day,
    "link": _link,
}


class TemplateFault(Exception):
    """`offset` counts characters of the template from 0."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@lru_cache(maxsize=4096)
def places(template: str) -> tuple[Place, ...]:
    """Every `{{ … }}` of a template. Raises TemplateFault."""
    found = []
    for match in _PLACE.finditer(template):
        inside = _INSIDE.match(match[1])
        if inside is None:
            raise TemplateFault(
                f'"{match[0]}" must be {{{{ name }}}}, {{{{ slot.part }}}} or {{{{ name | filter }}}}', match.start()
            )
        filters = tuple(one.strip() for one in inside[2].split("|")[1:])
        for one in filters:
            if one not in FILTERS:
                raise TemplateFault(f'unknown filter "{one}"; known are {", ".join(FILTERS)}', match.start())
        found.append(Place(match.start(), match.end(), tuple(inside[1].split(".")), filters))
    rest = _PLACE.sub("", template)
    if "{{" in rest or "}}" in rest:
        raise TemplateFault('"{{" and "}}" must come in pairs', max(template.find("{{"), 0))
    return tuple(found)


def is_fixed(template: str) -> bool:
    """Whether it is said as it is written, whatever the values are."""
    return type(template) is str and not places(template)


def render(template: str, names: Mapping[str, Any], locale: str, *, markdown: bool = True) -> str:
    """The template with its values. `markdown` false gives plain text for programs: nothing escaped or isolated."""
    if type(template) is not str:
        template = chosen(template, (look_up(names, place.path) for place in places(str(template))), locale)
    parts, at = [], 0
    for place in places(template):
        parts += [template[at : place.start], _shown(place, names, locale, markdown=markdown)]
        at = place.end
    return "".join((*parts, template[at:]))


def raw(template: str, names: Mapping[str, Any], locale: str) -> Any:
    """For connectors: a template that is one value alone keeps its type, any other becomes text."""
    found = places(template)
    if len(found) == 1 and not found[0].filters and not (template[: found[0].start] + template[found[0].end :]).strip():
        return look_up(names, found[0].path)
    return render(template, names, locale, markdown=False)


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping):
        if "name" in value and "size" in value:
            return str(value["name"])  # a file
        return ", ".join(f"{key}: {shown(one)}" for key, one in value.items() if one is not None)
    if isinstance(value, list | tuple):
        return ", ".join(shown(one) for one in value)
    return str(value)


def _shown(place: Place, names: Mapping[str, Any], locale: str, *, markdown: bool) -> str:
    value = look_up(names, place.path)
    if "link" in place.filters and markdown:
        return "" if value is None else _link(value, locale)
    for one in place.filters:
        value = "" if value is None else value if one == "link" else FILTERS[one](value, locale)
    text = shown(value)[:LONGEST_VALUE]
    if not markdown or (text.isascii() and text.isalnum()):  # one plain word
        return text
    text = _BREAKS.sub(" ", text).strip()  # a value stays within its paragraph; a number keeps its narrow spaces
    one_word = text.isascii() and text.isalnum()
    text = escape_markdown(text)
    return isolate(text) if text and is_rtl(locale) and not one_word else text
