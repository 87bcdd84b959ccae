"""Saved replies for one case: which are offered, in which language, and their words with its values. Pure but for `values`.

What comes out is the text of a reply that its agent sees before it leaves, never a message. A value is one line, and what
would be markup in it is escaped: a customer's name cannot make a link. What has no value yet stays visible, as `[name?]`,
and `send_check` warns of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.flows.templates import places
from bot.storage import customers
from bot.texts import canonical, match_locale
from channels.text import one_line
from handoff import store
from handoff.case import AgentView, Case

if TYPE_CHECKING:
    from bot.desk_folder.desk import Desk, Macro

LONGEST_VALUE = 300  # characters of one value
LEFT_OPEN = re.compile(r"\[[^\W\d][\w.]*\?\]")
"""A placeholder that nothing has filled."""
_MARKUP = re.compile(r"([\\`*_\[\]<>~|])")


@dataclass(frozen=True, slots=True)
class Offered:
    """A macro as it would be said in this case. `locale` is its own language; `elsewhere`: not the customer's.

    `missing` are placeholders without a value, which stand in `text` as `[name?]`.
    """

    id: str
    title: str
    locale: str
    elsewhere: bool
    text: str
    missing: tuple[str, ...] = ()


def offered(
    macros: Sequence[Macro], locale: str, values: Mapping[str, str], query: str = "", fallback: str = "en"
) -> list[Offered]:
    """Each macro once: in the customer's language, else in the agents' (`fallback`), else in any; those that `query` finds.

    Best first: what is named so, what begins so, what has all words in its title, then in its text. Those in the
    customer's language go before the others, then by title.
    """
    by_id: dict[str, dict[str, Macro]] = {}
    for one in macros:
        by_id.setdefault(one.id, {})[one.locale] = one
    chosen = [_in(by, locale, fallback) for by in by_id.values()]
    made = [_filled(one, values, elsewhere=not _same_language(one.locale, locale)) for one in chosen]
    ranked = [(place, one) for one in made if (place := _rank(one, query)) is not None]
    return [
        one
        for _, one in sorted(
            ranked, key=lambda pair: (pair[0], pair[1].elsewhere, pair[1].title.casefold(), pair[1].id)
        )
    ]


def _in(by: Mapping[str, Macro], locale: str, fallback: str) -> Macro:
    """Translations in the order of what serves best."""
    for wanted in (locale, fallback):
        found = match_locale(wanted, ["", *by])
        if found:
            return by[found]
    return next(iter(by.values()))


def _same_language(one: str, other: str) -> bool:
    return canonical(one).split("-")[0] == canonical(other).split("-")[0]


def _rank(one: Offered, query: str) -> int | None:
    """0 is best; None: not found."""
    wanted = query.casefold().split()
    title = one.title.casefold()
    if not wanted:
        return 0
    if " ".join(wanted) in {title, one.id.casefold()}:
        return 0
    if title.startswith(" ".join(wanted)):
        return 1
    if all(word in title or word in one.id.casefold() for word in wanted):
        return 2
    return 3 if all(word in title or word in one.text.casefold() for word in wanted) else None


def _filled(macro: Macro, values: Mapping[str, str], *, elsewhere: bool) -> Offered:
    text, missing = fill(macro.body, values)
    return Offered(macro.id, macro.title, macro.locale, elsewhere, text, missing)


def fill(body: str, values: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """(the words with their values, the names that have none). Values are never read as placeholders again."""
    parts, at, missing = [], 0, []
    for place in places(body):
        value = values.get(place.name, "")
        if not value.strip():
            missing.append(place.name)
        parts += [body[at : place.start], shown(value) if value.strip() else f"[{place.name}?]"]
        at = place.end
    return "".join((*parts, body[at:])), tuple(dict.fromkeys(missing))


def shown(value: str) -> str:
    return _MARKUP.sub(r"\\\1", one_line(value, LONGEST_VALUE))


def left_open(text: str) -> tuple[str, ...]:
    """Placeholders that a text still has to have filled in, each once."""
    return tuple(dict.fromkeys(LEFT_OPEN.findall(text)))


def values(conn: store.Reader, case: Case, agent: AgentView) -> dict[str, str]:
    """What a macro may name, as it is in this case: the customer, the agent, the case, and what the bot asked and was told.

    Slots are those that stand on the agents' card: sensitive ones are not among them.
    """
    who = customers.customer(conn, case.customer_id)
    told: Iterable[Sequence[object]] = (case.escalation or {}).get("show", ())
    slots = {str(name): str(value) for name, value in told}
    return {
        **slots,
        "customer.name": who.name if who else "",
        "customer.locale": who.locale if who else case.locale,
        "agent.name": agent.name,
        "case.id": str(case.number or ""),
        "case.topic": case.topic or "",
    }


def of_case(conn: store.Reader, desk: Desk | None, case: Case, agent: AgentView, query: str = "") -> list[Offered]:
    """The desk's macros for this case and agent: see `offered`."""
    if desk is None:
        return []
    who = customers.customer(conn, case.customer_id)
    locale = who.locale if who else case.locale
    return offered(desk.macros, locale, values(conn, case, agent), query, desk.locales[0])
