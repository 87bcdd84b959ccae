"""Complaint, suggestion, praise, of product, service or process: set by flows, corrected by people. And a case's topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.errors import Conflict, NotFound
from bot.events import TopicGiven
from bot.model import new_id
from bot.storage import audit
from bot.storage.tx import Tx
from surveys.insights.records import store
from surveys.insights.records.nouns import Area, Label, LabelKind
from surveys.insights.records.words import text_of, title_of

TOLD_AS = ("text", "wish", "request", "question", "comment", "description", "what")
"""Keys under which a flow's `record` holds the customer's words; else all its values are taken together."""
AREA_AS = ("area", "about", "of")


def words_of(values: Mapping[str, Any]) -> str:
    """The customer's words in what a flow recorded."""
    for key in TOLD_AS:
        if str(values.get(key) or "").strip():
            return str(values[key])
    return " · ".join(str(value) for key, value in values.items() if key not in AREA_AS and str(value or "").strip())


def area_of(values: Mapping[str, Any]) -> Area | None:
    for key in AREA_AS:
        if str(values.get(key)) in set(Area):
            return Area(str(values[key]))
    return None


def label(
    tx: Tx, case_id: str, customer_id: str, kind: LabelKind, area: Area | None, text: str, by: str | None
) -> Label:
    """`by` None: a flow's word."""
    source = "flow" if by is None else "agent"
    made = Label(new_id(), case_id, customer_id, kind, area, text_of(text), source, by, tx.now)
    store.add_label(tx, made)
    if by is not None:
        audit.of_console(tx, by, "label set", kind=kind.value)
    return made


def label_case(tx: Tx, case_id: str, kind: LabelKind, area: Area | None, text: str, by: str) -> Label:
    """A person's word on a case. Raises NotFound."""
    customer_id = store.customer_of(tx.conn, case_id)
    if customer_id is None:
        raise NotFound("that case is not there any more")
    return label(tx, case_id, customer_id, kind, area, text, by)


def relabel(tx: Tx, label_id: str, kind: LabelKind, area: Area | None, by: str, text: str = "") -> None:
    """Its words stay where no `text` is given. Raises NotFound."""
    if not store.change_label(tx, label_id, kind, area, by, text_of(text)):
        raise NotFound("that label is not there any more")
    audit.of_console(tx, by, "label changed", kind=kind.value)


def newest_of(tx: Tx, case_id: str) -> Label | None:
    """What a case told us last."""
    return next(iter(store.labels(tx.conn, case_id=case_id, limit=1)), None)


def unlabel(tx: Tx, label_id: str, by: str) -> None:
    if not store.remove_label(tx, label_id):
        raise NotFound("that label is not there any more")
    audit.of_console(tx, by, "label removed")


def give_topic(tx: Tx, case_ids: list[str], topic: str, by: str) -> int:
    """Cases get a topic: their room writes it down, and figures hear of it. Raises Conflict for none."""
    name = title_of(topic)
    if not case_ids:
        raise Conflict("there is no case to give it to")
    for case_id in sorted(case_ids):
        tx.emit(TopicGiven(case_id, name, by))
    audit.of_console(tx, by, "topic given", title=name, count=len(case_ids))
    return len(case_ids)
