"""The sections of desk.yaml on who is there, who takes what, and by when: holidays, routing, sla. Strictly read."""

from __future__ import annotations

from datetime import date, timedelta

from bot.desk_folder.desk import Routing, RoutingRule, Sla
from bot.flows.names import Seen
from bot.flows.schema import PRIORITIES
from bot.flows.source import Node, Reader, nearest
from bot.staffing.holidays import DaysOff, PublicHolidays, countries
from bot.staffing.routing import WAYS, Rung

HOLIDAY_KEYS = ("country", "subdivision", "open")
ROUTING_KEYS = ("assign", "capacity", "answer_within", "prefer_known", "offer_after", "rules", "ladder")
ROUTING_RULE_KEYS = ("if", "team", "skills", "priority")
RUNG_KEYS = ("after", "team", "group", "person")
SLA_KEYS = ("first_response", "next_response", "resolution")
MOST_CASES = 1000


def days_off(node: Node, reader: Reader) -> DaysOff:
    """A list of days, or days with their names; `country` (and `subdivision`) adds its public ones, `open` takes some out."""
    if node.kind != "map":
        return DaysOff(frozenset(_days(reader.items(node, "holidays"), reader)))
    public, entries = _public(node, reader), node.entries
    own = [key for name, key in node.keys.items() if name not in HOLIDAY_KEYS]
    open_on = _days(reader.items(entries["open"], "holidays: open"), reader) if "open" in entries else []
    return DaysOff(frozenset(_days(own, reader)), public, frozenset(open_on))


def _days(nodes: list[Node], reader: Reader) -> list[date]:
    days = []
    for one in nodes:
        try:
            days.append(date.fromisoformat(one.raw))
        except ValueError:
            reader.wrong(one, "a holiday must be a day such as 2026-12-25")
    return days


def _public(node: Node, reader: Reader) -> PublicHolidays | None:
    found = node.entries
    country = reader.text(found["country"], "country") if "country" in found else None
    part = reader.text(found["subdivision"], "subdivision") if "subdivision" in found else None
    if country is None:
        if "subdivision" in found and "country" not in found:
            reader.fault(node.keys["subdivision"], "a subdivision needs its country", "missing-key")
        return None
    known = countries()
    if country not in known:
        reader.fault(found["country"], f'country: unknown "{country}"{nearest(country, known)}', "value")
        return None
    if part is not None and part not in known[country]:
        hint = nearest(part, known[country]) or (f"; known are {', '.join(known[country])}" if known[country] else "")
        reader.fault(found["subdivision"], f'subdivision: unknown "{part}" of {country}{hint}', "value")
        return None
    return PublicHolidays(country, part)


def capacity(node: Node, reader: Reader) -> int | None:
    return reader.whole(node, "capacity", 1, MOST_CASES)


def routing(node: Node, reader: Reader) -> Routing:
    """All but the rules and the ladder, which name teams, agents and expressions: see `routing_rules` and `ladder`."""
    found = reader.entries(node, ROUTING_KEYS, "routing")
    default = Routing()
    assign = reader.one_of(found["assign"], WAYS, "assign") if "assign" in found else None
    within = reader.span(found["answer_within"], "answer_within") if "answer_within" in found else None
    offer = span_or_off(found["offer_after"], reader, "offer_after") if "offer_after" in found else None
    return Routing(
        assign or default.assign,
        capacity(found["capacity"], reader) if "capacity" in found else None,
        within or default.answer_within,
        reader.flag(found["prefer_known"], "prefer_known") if "prefer_known" in found else default.prefer_known,
        default.offer_after if offer is None else offer,
    )


def span_or_off(node: Node, reader: Reader, what: str) -> timedelta | None:
    """A duration; `off` is zero."""
    if node.raw in {"off", "false"}:
        return timedelta()
    return reader.span(node, what)


def routing_rules(node: Node, seen: Seen) -> tuple[RoutingRule, ...]:
    reader, rules = seen.reader, []
    for one in reader.items(node, "rules"):
        found = reader.entries(one, ROUTING_RULE_KEYS, "rule", ("if",))
        condition = seen.expression(found["if"], "if") if "if" in found else None
        if found and not found.keys() - {"if"}:
            reader.fault(one, "the rule says nothing; add team, skills or priority", "missing-key")
        team = _team(found["team"], seen) if "team" in found else None
        skills = reader.texts(found["skills"], "skills") if "skills" in found else ()
        priority = reader.one_of(found["priority"], PRIORITIES, "priority") if "priority" in found else None
        if condition is not None:
            rules.append(RoutingRule(condition, team, skills, priority))
    return tuple(rules)


def ladder(node: Node, seen: Seen, agents: tuple[str, ...]) -> tuple[Rung, ...]:
    """Rungs in the order of their times; each goes on to a team, or calls a group or a person."""
    reader = seen.reader
    rungs: list[Rung] = []
    for one in reader.items(node, "ladder"):
        found = reader.entries(one, RUNG_KEYS, "rung", ("after",))
        after = reader.span(found["after"], "after") if "after" in found else None
        named = found.keys() - {"after"}
        if found and len(named) != 1:
            reader.fault(one, "a rung of the ladder names one of team, group, person", "value")
        team = _team(found["team"], seen) if "team" in found else None
        group = reader.text(found["group"], "group") if "group" in found else None
        person = reader.one_of(found["person"], agents, "person", "unknown-agent") if "person" in found else None
        if after is not None and rungs and after < rungs[-1].after:
            reader.fault(found["after"], "the rungs of the ladder stand in the order of their times", "value")
        if after is not None:
            rungs.append(Rung(after, team, group, person))
    return tuple(rungs)


def _team(node: Node, seen: Seen) -> str | None:
    return seen.reader.one_of(node, seen.names.teams, "team", "unknown-team")


def sla(node: Node, reader: Reader) -> tuple[Sla, ...]:
    found = reader.entries(node, (*SLA_KEYS, *PRIORITIES, "warn"), "sla")
    warn = _warn(found["warn"], reader) if "warn" in found else None
    default = {key: reader.span(found[key], key) for key in SLA_KEYS if key in found}
    targets = [Sla("", warn, **default)] if default or warn is not None else []
    for priority in PRIORITIES:
        if priority in found:
            inside = reader.entries(found[priority], SLA_KEYS, f"sla: {priority}")
            targets.append(Sla(priority, None, **{key: reader.span(one, key) for key, one in inside.items()}))
    return tuple(targets)


def _warn(node: Node, reader: Reader) -> float | None:
    share = reader.number(node, "warn")
    if share is not None and not 0 < share <= 1:
        reader.wrong(node, "warn must be a share of the target between 0 and 1, such as 0.8")
        return None
    return share
