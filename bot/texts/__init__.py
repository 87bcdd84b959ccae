"""Every sentence that the product says, in each language, and how one is chosen and filled in.

What lives here: the built-in sentences (`*.yaml` of this folder, `key: {en, nl, nb, he}`), placeholders,
languages, and the few words that depend on them (durations, numbers, moments). What it must not know:
markup, channels, the desk's files (a desk's own texts are handed in as a mapping).

Built-in sentences are plain text, not Markdown: send them as `Body(text, markdown=False)`. Placeholders are
`{{ name }}` or `{{ name.part }}`, without logic, so that a translator cannot break a sentence and an admin
cannot run code.

Babel (8 MB once loaded) and YAML are imported at first use.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel import Locale

Texts = Mapping[str, Mapping[str, str]]
"""key → {locale: text}."""

FOR_CUSTOMERS = ("core", "answers", "flows", "handoff", "outreach", "queue", "surveys")
"""The pages whose sentences customers read."""
WORDS = "words"
"""The page with the lists of words that are listened for (`spoken`)."""

FALLBACK = "en"
"""The language of last resort: every built-in key has it."""

FSI, PDI = "\u2068", "\u2069"
"""Unicode's isolates (UAX #9): what stands between them keeps its own direction and disturbs nobody's."""
LRM, RLM = "\u200e", "\u200f"
"""Invisible letters of each direction."""

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_]\w*(?:\.\w+)*)\s*\}\}")
_ALIASES = {"no": "nb", "nn": "nb", "iw": "he", "in": "id", "ji": "yi"}
_RTL_LANGUAGES = frozenset({"ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})
_RTL_SCRIPTS = frozenset({"arab", "hebr", "nkoo", "syrc", "thaa"})
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&])")


def say(key: str, locale: str, own: Texts | None = None, /, **values: object) -> str:
    """The sentence `key` in the language of `locale`, filled in with `values`.

    The desk's `own` text of that language wins over the built-in one; a language that neither has falls back
    to English. An own text that names a value which this place does not have yields to the built-in sentence.
    Raises KeyError for a key that nobody knows, or a placeholder of a built-in sentence without a value.
    """
    marked = {name: _isolated(value) for name, value in values.items()} if is_rtl(locale) else values
    built_in = _built_in().get(key)
    mine = own.get(key) if own else None
    if mine is not None:
        template = in_language(mine, locale)
        if template is None and (built_in is None or in_language(built_in, locale) is None):
            template = in_language(mine, FALLBACK) or (next(iter(mine.values()), None) if built_in is None else None)
        if template is not None:
            try:
                return _led(template, fill(_counted(template, values, locale), marked), locale)
            except KeyError:
                if built_in is None:
                    raise
    if built_in is None:
        raise KeyError(key)
    template = in_language(built_in, locale)
    if template is None:
        template, locale = built_in[FALLBACK], FALLBACK
    return _led(template, fill(_counted(template, values, locale), marked), locale)


def _counted(template: str, values: Mapping[str, object], locale: str) -> str:
    """The form of a sentence that counts something."""
    if type(template) is str:
        return template
    from bot.texts.plural import chosen

    return chosen(template, (_walk(values, name) for name in _PLACEHOLDER.findall(template)), locale)


def known(key: str) -> bool:
    """Whether the product has a sentence of its own under `key`."""
    return key in _built_in()


def keys() -> list[str]:
    """The key of every sentence of the product."""
    return list(_built_in())


def built_in(key: str) -> Mapping[str, str]:
    """The product's own sentence as it is written, by language; empty for a key that is not ours."""
    return _built_in().get(key, {})


def for_customers() -> list[str]:
    """The keys of the sentences that customers read, whatever language the agents have."""
    return [key for page, key, _ in _pages() if page in FOR_CUSTOMERS]


def word_lists() -> list[str]:
    """The keys of the lists of words that customers are understood by."""
    return [key for page, key, _ in _pages() if page == WORDS]


def speaks(key: str, locale: str) -> bool:
    """Whether the product has this sentence in that language."""
    return in_language(_built_in().get(key, {}), locale) is not None


def placeholders(template: str) -> frozenset[str]:
    """The names that `template` asks for, as written: `{"order.status", "name"}`."""
    return frozenset(_PLACEHOLDER.findall(template))


def fill(template: str, values: Mapping[str, object], escape: Callable[[str], str] | None = None) -> str:
    """`template` with each `{{ name }}` replaced by `values[name]`, each passed through `escape` if given.

    A dotted name walks into mappings. Raises KeyError, naming the placeholder, where there is no such value.
    What a value contains is never read as a placeholder again.
    """

    def one(match: re.Match[str]) -> str:
        text = str(_walk(values, match[1]))
        return escape(text) if escape else text

    return _PLACEHOLDER.sub(one, template)


def escape_markdown(text: str) -> str:
    """`text` so that Markdown shows it as it is: for values that go into a Markdown template."""
    return _MARKDOWN.sub(r"\\\1", text)


def match_locale(wanted: str, offered: Sequence[str]) -> str:
    """The one of `offered` that suits `wanted` (BCP 47) best; the first one if none does, English if it is empty.

    `nl-BE` finds `nl`; `nl` finds `nl-BE`; `no` and `nn` find `nb`; `iw` finds `he`; `_` counts as `-`.
    """
    return match_any((wanted,), offered)


def match_any(wanted: Iterable[str], offered: Sequence[str]) -> str:
    """As `match_locale`, for the first of several wishes that any of `offered` suits."""
    found = (_suiting(one, offered) for one in wanted)
    return next((one for one in found if one is not None), offered[0] if offered else FALLBACK)


def languages_of(accept_language: str) -> list[str]:
    """The languages of the header `Accept-Language`, the most welcome first (RFC 9110 12.5.4)."""
    wanted = []
    for part in accept_language[:1_000].split(","):
        tag, _, rest = (one.strip() for one in part.partition(";"))
        try:
            welcome = float(rest.partition("=")[2]) if rest else 1.0
        except ValueError:
            welcome = 0.0
        if tag and welcome > 0:
            wanted.append((-welcome, tag))
    return [tag for _, tag in sorted(wanted, key=lambda one: one[0])]


def _suiting(wanted: str, offered: Sequence[str]) -> str | None:
    wants = canonical(wanted).lower()
    have = {canonical(locale).lower(): locale for locale in reversed(offered)}
    while wants:
        if wants in have:
            return have[wants]
        near = next((locale for tag, locale in have.items() if tag.startswith(wants + "-")), None)
        if near is not None:
            return near
        wants = wants.rpartition("-")[0]
    return None


@lru_cache(maxsize=500)
def canonical(locale: str) -> str:
    """`locale` with its old or broad names replaced and `-` between its parts: `no_NO` → `nb-NO`, `iw` → `he`."""
    language, dash, rest = locale.strip().replace("_", "-").partition("-")
    language = language.lower()
    return _ALIASES.get(language, language) + dash + rest


def is_rtl(locale: str) -> bool:
    """Whether `locale` is written from right to left."""
    language, *rest = canonical(locale).lower().split("-")
    scripts = [part for part in rest if len(part) == 4 and part.isalpha()]
    return scripts[0] in _RTL_SCRIPTS if scripts else language in _RTL_LANGUAGES


def isolate(text: str) -> str:
    """`text` in isolates, for a code or a name of the other direction inside a sentence."""
    return f"{FSI}{text}{PDI}"


def duration(seconds: float, locale: str) -> str:
    """A waiting time as people say it: "about 4 minutes", "ongeveer 4 minuten". Never less than a minute.

    Rounded up to whole minutes below an hour and a half, then to the nearest hour or day.
    """
    from babel.dates import format_timedelta

    minutes = max(1, -(-int(seconds) // 60))
    if minutes < 90:
        span, unit = timedelta(minutes=minutes), "minute"
    elif minutes < 36 * 60:
        span, unit = timedelta(hours=round(minutes / 60)), "hour"
    else:
        span, unit = timedelta(days=round(minutes / 1440)), "day"
    # A threshold above the span keeps the unit that was chosen here ("80 minutes", not "1 hour").
    text = format_timedelta(span, granularity=unit, threshold=1000, locale=babel_locale(locale))  # type: ignore[arg-type]
    about = in_language(_built_in()["about"], locale)
    if about is None:
        return f"± {text}"
    if canonical(locale)[:2] == "he":  # its "about" is joined to a word, but to a figure with a hyphen
        text = text.removeprefix("1 ")
        text = f"-{text}" if text[:1].isdigit() else text
    return fill(about, {"time": text})


def number(value: float, locale: str, digits: int = 0) -> str:
    """A number with the separators of `locale` and at most `digits` decimals: 1234.5 → "1.234,5" in Dutch."""
    from babel.numbers import format_decimal

    pattern = "#,##0" + ("." + "#" * digits if digits else "")
    return format_decimal(value, format=pattern, locale=babel_locale(locale))


def moment(at: datetime, locale: str, zone: tzinfo) -> str:
    """Day and time of `at` in `zone`, as `locale` writes them: "Mon, Nov 3, 14:05" → "ma 3 nov 14:05"."""
    from babel.dates import format_skeleton, format_time

    local, babel = at.astimezone(zone), babel_locale(locale)
    return f"{format_skeleton('MMMEd', local, locale=babel)} {format_time(local, 'short', locale=babel)}"


def _led(template: str, text: str, locale: str) -> str:
    """The sentence, led by its own direction's mark where a value at its head would turn it around.

    Browsers (`dir=auto`), Telegram and Slack take a text's direction from its first letter: "Robin כאן" is Hebrew.
    """
    if not template.lstrip().startswith("{{"):
        return text
    leading = next((kind for char in text if (kind := unicodedata.bidirectional(char)) in {"L", "R", "AL"}), None)
    if leading is None or (leading != "L") == is_rtl(locale):
        return text
    return (RLM if is_rtl(locale) else LRM) + text


def _isolated(value: object) -> object:
    """A value for a sentence from right to left.

    One word of ASCII letters and digits keeps its order without isolates, and can then be copied as it is; a
    link would swallow the closing one.
    """
    if not isinstance(value, str) or (value.isascii() and value.isalnum()):
        return value
    return isolate(value) if value and not value.startswith(("http://", "https://", FSI)) else value


def _walk(values: Mapping[str, object], path: str) -> object:
    if path in values:
        return values[path]
    found: object = values
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise KeyError(path)
        found = found[part]
    return found


def in_language(texts: Mapping[str, str], locale: str) -> str | None:
    """The text for `locale` or for its language; None if there is none."""
    if locale in texts:
        return texts[locale]
    match = match_locale(locale, tuple(texts)) if texts else ""
    same = canonical(match).split("-")[0].lower() == canonical(locale).split("-")[0].lower()
    return texts[match] if match and same else None


@cache
def babel_locale(locale: str) -> Locale:
    """Babel's data for `locale`; English for a locale that it does not know."""
    from babel import Locale, UnknownLocaleError

    for tag in (canonical(locale), canonical(locale).split("-")[0], FALLBACK):
        try:
            return Locale.parse(tag, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    raise AssertionError(FALLBACK)


@cache
def _built_in() -> dict[str, dict[str, str]]:
    """Every `*.yaml` of this folder, as one mapping. Read once."""
    texts: dict[str, dict[str, str]] = {}
    for _, key, wording in _pages():
        texts.setdefault(key, {}).update(wording)  # a language of its own may stand in a page of its own: fr.yaml
    return texts


def _wording(said: Mapping[str, str | Mapping[str, str]]) -> dict[str, str]:
    if all(isinstance(text, str) for text in said.values()):
        return dict(said)  # type: ignore[arg-type]
    from bot.texts.plural import from_json

    return {locale: from_json(text) for locale, text in said.items()}


@cache
def _pages() -> tuple[tuple[str, str, dict[str, str]], ...]:
    """(page, key, wording) of every sentence."""
    from importlib.resources import files

    import yaml

    # The base loader keeps every scalar a string: YAML 1.1 reads a key such as `no` or `yes` as a truth value.
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    found: list[tuple[str, str, dict[str, str]]] = []
    for page in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if page.name.endswith(".yaml"):
            read = yaml.load(page.read_text(encoding="utf-8"), Loader=loader) or {}  # noqa: S506
            found += [(page.name.removesuffix(".yaml"), key, _wording(said)) for key, said in read.items()]
    return tuple(found)
