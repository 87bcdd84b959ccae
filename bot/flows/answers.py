"""What a customer wrote, as the value of a slot: one parser a type. Pure; None means that it is no answer.

Values are JSON: text, number, true or false, an option's value, an address, a phone number in E.164, an ISO 8601 day, a
file as `{"id", "name", "type", "size"}`. Each parser takes the answer out of a short sentence ("it's AB123456, thanks"),
but never guesses between two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from bot.answers.decide import yes_no
from bot.flows.expressions import compiled_pattern
from bot.flows.schema import AskStep, Option, Slot
from bot.flows.words import phrase, stands_in, tokens
from bot.model import FileRef
from bot.texts import FALLBACK, Texts, canonical
from bot.texts.spoken import in_all, listed

LONGEST = 4000
"""Characters of a text answer: Telegram's message holds 4096."""
_SHORT = 6
"""Words of a message in which an option's label is looked for; longer ones tell a story."""
_NUMBER = re.compile(r"(?<![\w.,])[-+−]?\d[\d\s.,’']*(?!\w)")
_EMAIL = re.compile(r"[A-Za-z0-9._%+\-]{1,64}@[A-Za-z0-9.\-]{1,190}\.[A-Za-z]{2,24}")
_ISO_DAY = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_DAY = re.compile(r"\b(\d{1,2})[./\-](\d{1,2})(?:[./\-](\d{4}|\d{2}))?(?!\d)")
_NEAR_DAYS: Mapping[str, int] = {"words_today": 0, "words_tomorrow": 1, "words_yesterday": -1}


@dataclass(frozen=True, slots=True)
class _Setting:
    """In which language and when something was said, and the desk's texts, which may bring word lists."""

    locale: str
    now: datetime
    own: Texts | None

    def listed(self, key: str) -> tuple[tuple[str, ...], ...]:
        """The words of each entry of a list, in any language: people mix them."""
        return tuple(phrase(one) for _, entries in in_all(key, self.own) for one in entries)


def answer(
    slot: Slot,
    ask: AskStep,
    text: str,
    files: Sequence[FileRef],
    locale: str,
    now: datetime,
    own: Texts | None = None,
) -> Any:
    """The slot's value, or None. `own` are the desk's texts."""
    if slot.type == "file":
        return file_value(files[0]) if files else None
    said = text.strip()
    if not said:
        return None
    if ask.options and (option := picked(ask.options, said)) is not None:
        return typed(slot, option.value)
    if ask.options and slot.type not in {"text", "bool"}:
        return None
    return _PARSERS[slot.type](slot, said, _Setting(locale, now, own))


def picked(options: Sequence[Option], said: str) -> Option | None:
    """The option that was typed: its number, value, or label or synonym in any language; in a few words of one's own."""
    words = tokens(said)
    if len(words) == 1 and words[0].isdecimal() and not any(option.value == words[0] for option in options):
        place = int(words[0]) if len(words[0]) < 4 else 0
        return options[place - 1] if 1 <= place <= len(options) else None
    exact = [option for option in options if any(words == name for name in _names(option))]
    if exact or len(words) > _SHORT:
        return exact[0] if exact else None
    named = [option for option in options if any(stands_in(name, words) for name in _names(option) if name)]
    return named[0] if len(named) == 1 else None


def _names(option: Option) -> list[tuple[str, ...]]:
    return [phrase(name) for name in (option.value, *option.label.values(), *option.synonyms)]


def typed(slot: Slot, value: str) -> Any:
    """A button's value in the slot's own type."""
    if slot.type == "bool":
        return value in {"true", "yes"}
    return _to_number(value) if slot.type == "number" else value


@lru_cache(maxsize=64)
def matching(pattern: str, text: str) -> str | None:
    """The text, or the one word of it, that the pattern takes; in capitals where only they fit.

    Codes are typed as they stand on paper: "AB 123456" and "AB-123456" are tried without the gap. What was found is kept
    for a moment: several flows may wait for the same code.
    """
    compiled = compiled_pattern(pattern)
    for candidate in dict.fromkeys((text, text.upper())):
        if compiled.search(candidate):
            return candidate
    words = [word.strip(".,;:!?()[]\"'«»“”#\u2068\u2069") for word in text.split()[:40]]
    pairs = [first + second for first, second in pairwise(words)]
    found: dict[str, None] = {}
    seen = {"", text, text.upper()}
    for tried in (words, [word.replace("-", "") for word in (*words, *pairs)]):
        fresh = dict.fromkeys(one for word in tried for one in (word, word.upper()) if one not in seen)
        found = dict.fromkeys(one for one in fresh if compiled.search(one))
        if found:
            break
        seen.update(fresh)
    several = {one.upper() for one in found}
    return next(iter(found)) if len(several) == 1 else None


def _text(slot: Slot, said: str, _: _Setting) -> str | None:
    found = matching(slot.pattern, said[:LONGEST]) if slot.pattern else said[:LONGEST]
    if found is None:
        return None
    too_short = slot.min is not None and len(found) < slot.min
    too_long = slot.max is not None and len(found) > slot.max
    return None if too_short or too_long else found


def _number(slot: Slot, said: str, where: _Setting) -> int | float | None:
    found = [match[0] for match in _NUMBER.finditer(said[:LONGEST])]
    value = _to_number(found[0]) if len(found) == 1 else None if found else _in_words(said, where)
    if value is None:
        return None
    within = (slot.min is None or value >= slot.min) and (slot.max is None or value <= slot.max)
    return value if within else None


def _in_words(said: str, where: _Setting) -> int | None:
    """Two, twee or שתיים, with a polite word or two: by its place in the list of the language."""
    first, *rest = tokens(said)[:5] or ("",)
    if not _is_polite(rest, where):
        return None
    for entries in (listed("words_numbers", where.locale, where.own), listed("words_numbers", FALLBACK, where.own)):
        for at, entry in enumerate(entries):
            if (first,) in map(phrase, entry.split("/")) or tokens(said) in map(phrase, entry.split("/")):
                return at
    return None


def _is_polite(words: Sequence[str], where: _Setting) -> bool:
    polite = {word for entry in where.listed("words_polite") for word in entry}
    return set(words) <= polite


def _to_number(raw: str) -> int | float | None:
    """`1.234,5`, `1,234.5`, `1 234,5` and `12,5` alike; digits of any script."""
    text = re.sub(r"[\s’']", "", raw).replace("−", "-").rstrip(".,")
    comma, point = text.rfind(","), text.rfind(".")
    if comma >= 0 and point >= 0:
        group, decimal = (",", ".") if point > comma else (".", ",")
        text = text.replace(group, "").replace(decimal, ".")
    elif comma >= 0:
        text = text.replace(",", "") if re.fullmatch(r"[-+]?\d{1,3}(,\d{3}){2,}", text) else text.replace(",", ".")
    elif text.count(".") > 1:
        text = text.replace(".", "")
    try:
        value = float(text)
    except ValueError:
        return None
    if abs(value) > 1e15:
        return None
    return int(value) if value.is_integer() else value


def _bool(_: Slot, said: str, where: _Setting) -> bool | None:
    """Yes or no, with a polite word or two; "no idea" is neither."""
    found = yes_no(said, where.locale, where.own)
    first, *rest = tokens(said)[:5] or ("",)
    return yes_no(first, where.locale, where.own) if found is None and _is_polite(rest, where) else found


def _email(_: Slot, said: str, __: _Setting) -> str | None:
    from email_validator import EmailNotValidError, validate_email

    found = dict.fromkeys(match[0].rstrip(".-") for match in _EMAIL.finditer(said[:LONGEST]))
    whole = said if len(said) <= 254 and "@" in said and not found else None  # an address in another script
    if len(found) != 1 and whole is None:
        return None
    try:
        return validate_email(whole or next(iter(found)), check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def _phone(_: Slot, said: str, where: _Setting) -> str | None:
    import phonenumbers

    region = _region(where.locale)
    found = list(phonenumbers.PhoneNumberMatcher(said[:200], region))
    if len(found) != 1:
        return None
    return phonenumbers.format_number(found[0].number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=100)
def _region(locale: str) -> str | None:
    """The country whose telephone numbers are written without its code: `nl-BE` → BE, `sv` → SE; `en` → GB."""
    from babel import Locale, UnknownLocaleError
    from babel.core import get_global

    try:
        known = Locale.parse(canonical(locale), sep="-")
    except (UnknownLocaleError, ValueError):
        return None
    likely: Mapping[str, str] = get_global("likely_subtags")
    if known.territory or known.language == "en":
        return known.territory or "GB"
    return likely.get(known.language, "").rpartition("_")[2] or None


def _date(_: Slot, said: str, where: _Setting) -> str | None:
    words, locale, now = tokens(said), where.locale, where.now
    near = [days for key, days in _NEAR_DAYS.items() if any(stands_in(one, words) for one in where.listed(key))]
    if len(set(near)) == 1 and len(words) <= _SHORT:
        return (now.date() + timedelta(days=near[0])).isoformat()
    if match := _ISO_DAY.search(said):
        return _day(int(match[1]), int(match[2]), int(match[3]))
    if match := _DAY.search(said):
        year = _year(match[3], now)
        day, month = int(match[1]), int(match[2])
        return _day(year, month, day) or _day(year, day, month)  # the American order where only it is a date
    return _day_by_name(words, locale, now)


def _year(raw: str | None, now: datetime) -> int:
    return now.year if raw is None else int(raw) + (2000 if len(raw) == 2 else 0)


def _day(year: int, month: int, day: int) -> str | None:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


def _day_by_name(words: Sequence[str], locale: str, now: datetime) -> str | None:
    """`3 november`, `November 3rd 2026`, `3 בנובמבר`."""
    months = _months(locale.split("-", maxsplit=1)[0]) | _months("en")
    named = {months[word] for word in words if word in months}
    days = [int(match[1]) for word in words if (match := re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th|e)?", word))]
    years = [int(word) for word in words if re.fullmatch(r"(?:19|20)\d\d", word)]
    if len(named) != 1 or len(days) != 1 or len(years) > 1:
        return None
    return _day(years[0] if years else now.year, named.pop(), days[0])


@lru_cache(maxsize=16)
def _months(language: str) -> dict[str, int]:
    from babel import Locale, UnknownLocaleError

    try:
        months = Locale.parse(language).months["format"]
    except (UnknownLocaleError, ValueError):
        return {}
    names = {tokens(name)[0]: at for width in ("abbreviated", "wide") for at, name in months[width].items()}
    return names | {"ב" + name: at for name, at in names.items() if language == "he"}


_PARSERS: Mapping[str, Callable[[Slot, str, _Setting], Any]] = {
    "text": _text,
    "number": _number,
    "bool": _bool,
    "choice": lambda *_: None,  # its options were looked at already
    "email": _email,
    "phone": _phone,
    "date": _date,
}


def file_value(file: FileRef) -> dict[str, Any]:
    return {"id": file.id, "name": file.name, "type": file.type, "size": file.size}
