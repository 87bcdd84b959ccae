"""The section `escalation: rules:` of desk.yaml: an ordered list; the first rule that speaks up is followed."""

from __future__ import annotations

from bot.answers.rules import KINDS, TIMES, Rule
from bot.flows.load import phrases
from bot.flows.names import Seen
from bot.flows.schema import PRIORITIES
from bot.flows.source import Node

RULE_KEYS = ("when", "reason", "text", "priority", "team", "words", "if", "times", "within")
_WITH_WORDS = ("safety", "anger")


def read_rules(node: Node, seen: Seen) -> tuple[Rule, ...]:
    """`seen` knows the desk's texts and teams, and no slots: a rule's text has only `customer` and `case` to fill in."""
    rules: list[Rule] = []
    for one in seen.reader.items(node, "rules"):
        rule = _rule(one, seen)
        if rule is not None and any(rule.when == other.when for other in rules):
            seen.reader.fault(one, f'two rules for "{rule.when}"; write one', "duplicate")
        elif rule is not None:
            rules.append(rule)
    return tuple(rules)


def _rule(node: Node, seen: Seen) -> Rule | None:
    reader = seen.reader
    found = reader.entries(node, RULE_KEYS, "rule", ("when",))
    when = reader.one_of(found["when"], KINDS, "when") if "when" in found else None
    if "words" in found and when not in {*_WITH_WORDS, None}:
        reader.fault(node.keys["words"], f"only {' and '.join(_WITH_WORDS)} listen to words", "value")
    if when == "vip" and "if" not in found:
        reader.fault(node, 'a rule for "vip" needs an "if": who is one, such as customer.vip', "missing-key")
    if "if" in found and when not in {"vip", None}:
        reader.fault(node.keys["if"], 'only "vip" has a condition', "value")
    if "times" in found and when not in {*TIMES, None}:
        reader.fault(node.keys["times"], f"only {', '.join(TIMES)} count how often", "value")
    if "within" in found and when not in {"repeated", None}:
        reader.fault(node.keys["within"], 'only "repeated" has a time: how long ago the last contact may be', "value")
    within = reader.span(found["within"], "within") if "within" in found else None
    rule = Rule(
        when=when or "",
        reason=(reader.text(found["reason"], "reason") if "reason" in found else None) or "",
        text=(seen.wording(found["text"], "text") if "text" in found else None) or {},
        priority=reader.one_of(found["priority"], PRIORITIES, "priority") if "priority" in found else None,
        team=reader.one_of(found["team"], seen.names.teams, "team", "unknown-team") if "team" in found else None,
        words=phrases(found["words"], reader, seen.names.locales, f'rule "{when}"') if "words" in found else {},
        condition=seen.expression(found["if"], "if") if "if" in found else None,
        times=reader.whole(found["times"], "times", 1, 9) if "times" in found else None,
        within_s=None if within is None else int(within.total_seconds()),
    )
    return rule if when is not None else None
