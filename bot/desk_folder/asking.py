"""What desk.yaml's `surveys:` says beyond the one question: by flow, campaigns of NPS, a link for who is happy."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, time, timedelta
from typing import Any
from urllib.parse import urlsplit

from bot.flows.schema import INSTRUMENTS
from bot.flows.source import Node, Reader, nearest

NPS_KEYS = ("every", "first", "at", "run_for", "active", "sample", "seed")
ABOUT_CASES = tuple(one for one in INSTRUMENTS if one != "nps")


def is_off(node: Node) -> bool:
    return node.kind == "scalar" and node.raw in {"off", "false"}


def instrument(node: Node, reader: Reader, what: str = "instrument") -> str | None:
    """One that asks about a case, or `off`."""
    if is_off(node):
        return "off"
    found = reader.one_of(node, INSTRUMENTS, what)
    if found == "nps":
        told = "nps asks about the whole relationship and never about one case, so nobody is asked here; write nps: {every: 90d}"
        reader.warn(node, f"{what}: {told}", "never-per-case")
    return found


def flows(node: Node, reader: Reader) -> dict[str, str]:
    """`{refund: csat5, greeting: off}`."""
    read = {
        key: instrument(one, reader, f"surveys: flows: {key}")
        for key, one in reader.entries(node, None, "flows").items()
    }
    return {key: found for key, found in read.items() if found is not None}


def check_flows(root: Node, reader: Reader, ids: Collection[str]) -> None:
    """Each flow that `surveys: flows:` names exists."""
    section = root.entries.get("surveys") if root.kind == "map" else None
    named = section.entries.get("flows") if section is not None and section.kind == "map" else None
    for key in named.entries if named is not None and named.kind == "map" else ():
        if key not in ids and named is not None:
            reader.fault(named.keys[key], f'surveys: flows: unknown flow "{key}"{nearest(key, ids)}', "unknown-flow")


def review_url(node: Node, reader: Reader) -> str | None:
    if is_off(node):
        return None
    url = reader.text(node, "review_url")
    if url is not None and (not url.startswith("https://") or not urlsplit(url).hostname):
        reader.wrong(node, "review_url must begin with https:// and a host, or be off")
        return None
    return url


def nps(node: Node, reader: Reader) -> dict[str, Any] | str | None:
    """In the words of `surveys.campaign.relationship_from`: spans as seconds."""
    if is_off(node):
        return "off"
    found = reader.entries(node, NPS_KEYS, "nps")
    read: dict[str, Any] = {}
    for key in ("every", "run_for", "active"):
        span = reader.span(found[key], f"nps: {key}") if key in found else None
        if span is not None and (span < timedelta(days=1) or span % timedelta(days=1)):
            reader.wrong(found[key], f"nps: {key} must be whole days such as 90d")
        elif span is not None:
            read[f"{key}_s"] = int(span.total_seconds())
    if "first" in found and (day := _day(found["first"], reader)) is not None:
        read["first"] = day
    if "at" in found and (clock := _clock(found["at"], reader)) is not None:
        read["at"] = clock
    share = reader.number(found["sample"], "nps: sample") if "sample" in found else None
    if share is not None and not 0 <= share <= 1:
        reader.wrong(found["sample"], "nps: sample must be a share from 0 to 1")
    elif share is not None:
        read["sample"] = share
    seed = reader.text(found["seed"], "nps: seed") if "seed" in found else None
    return read | ({"seed": seed} if seed is not None else {})


def _day(node: Node, reader: Reader) -> str | None:
    try:
        return date.fromisoformat(node.raw).isoformat()
    except ValueError:
        reader.wrong(node, "nps: first must be a day such as 2026-01-05")
        return None


def _clock(node: Node, reader: Reader) -> str | None:
    try:
        return time.fromisoformat(node.raw).isoformat()
    except ValueError:
        reader.wrong(node, 'nps: at must be a time such as "10:00"')
        return None
