"""A version of a flow as a row, and back: its file's text, and what it could refer to when it was read.

With both a version can be read again when texts, connectors and teams of the desk have changed since: what was valid then
is valid now. What has gone from the desk meanwhile is met while running (a connector fails, a flow escalates).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.flows.load import read_flow
from bot.flows.names import Names
from bot.flows.schema import Flow
from bot.flows.source import Faults, Reader, read
from bot.texts.plural import from_json, to_json


def to_row(flow: Flow, names: Names) -> dict[str, Any]:
    """`{hash, flow, version, source, names}`, all JSON. Of the texts only those that the flow uses."""
    used = {
        key: {locale: to_json(text) for locale, text in texts.items()}
        for key, texts in names.texts.items()
        if f"${key}" in flow.source
    }
    known = {
        "locales": list(names.locales),
        "texts": used,
        "connectors": {name: sorted(wanted) for name, wanted in names.connectors.items()},
        "tables": sorted(names.tables),
        "teams": list(names.teams),
        "flows": list(names.flows),
        "slots": {name: list(slots) for name, slots in names.slots.items()},
        "collections": list(names.collections),
    }
    return {"hash": flow.hash, "flow": flow.id, "version": flow.version, "source": flow.source, "names": known}


def from_row(row: Mapping[str, Any]) -> Flow | None:
    """The flow; None where a newer program cannot read it any more."""
    known = row["names"]
    names = Names(
        locales=tuple(known["locales"]),
        texts={key: {locale: from_json(text) for locale, text in said.items()} for key, said in known["texts"].items()},
        connectors={name: frozenset(wanted) for name, wanted in known["connectors"].items()},
        tables=frozenset(known["tables"]),
        teams=tuple(known["teams"]),
        flows=tuple(known["flows"]),
        slots={name: tuple(slots) for name, slots in known["slots"].items()},
        collections=tuple(known["collections"]),
        was_valid=True,
    )
    faults = Faults()
    root = read(f"{row['flow']} ({row['hash']})", row["source"], faults)
    return None if root is None else read_flow(root, row["source"], Reader(row["flow"], faults), names)
