"""Who still talks in an older version of a flow: how many, whether they could move to the one in force, and moving them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from bot.console.draft import hash_of
from bot.console.moments import when
from bot.console.page import Page, Visit
from bot.console.people import Role
from bot.desk_folder.edit import change_list
from bot.dialogue import moving
from bot.dialogue.moving import Moved
from bot.errors import Conflict, NotFound
from bot.storage import flow_rows

AT_ONCE = 100  # conversations that are locked together
SHOWN = 10  # reasons why some can't be moved


async def show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, tried: Mapping[str, Any] | None = None) -> Response:
    storage, rules = visit.rooms.storage, visit.rooms.rules

    def read(conn: Any) -> tuple[dict[str, dict[str, int]], dict[str, Any]]:
        live = moving.live(conn)
        return live, flow_rows.labels(conn, [content for found in live.values() for content in found])

    live, labels = await storage.read(read)
    kill = await _killed(visit)
    running: list[dict[str, Any]] = []
    for flow_id in sorted({*live, *rules.flows}):
        now = rules.flows.get(flow_id)
        hashes = sorted(live.get(flow_id, {}), key=lambda one: labels[one][1] if one in labels else storage.clock())
        rows = [_row(visit, one, live[flow_id][one], labels.get(one), one in kill) for one in hashes]
        for row in rows:
            row["is_now"] = now is not None and row["hash"] == now.hash
        if rows:
            old = sum(row["live"] for row in rows if not row["is_now"])
            running.append({"id": flow_id, "rows": rows, "old": old, "is_gone": now is None})
    running.sort(key=lambda one: -one["old"])
    known = {row["hash"] for group in running for row in group["rows"]}
    idle = [one for one in kill if one not in known]
    return await visit.page(
        "versions.html", running=running, pin_days=rules.versions.pin_days, idle=idle, tried=tried or {}
    )


def _row(visit: Visit, content: str, count: int, label: tuple[int, Any] | None, killed: bool) -> dict[str, Any]:
    version, at = (str(label[0]), when(visit, label[1])) if label is not None else ("", "")
    return {"hash": content, "live": count, "version": version, "at": at, "killed": killed}


async def move(visit: Visit) -> Response:
    """`do` is try (nothing is changed) | move. In slices, so that nobody's turn waits for all of them."""
    flow_id, dry = visit.form.one("flow"), visit.form.one("do") != "move"
    desk, storage = visit.rooms.rules, visit.rooms.storage
    if flow_id not in desk.flows:
        raise NotFound(visit.t("console_versions_gone", flow=flow_id))
    if not dry and not visit.person.may(Role.PUBLISHER):
        raise Conflict(visit.t("console_versions_publisher"))
    customer_ids = await storage.read(lambda conn: moving.behind(conn, desk, flow_id))
    found = [await _some(visit, flow_id, part, dry=dry) for part in _parts(customer_ids)]
    moved = sum(len(one.moved) for one in found)
    reasons = Counter(reason for one in found for reason in one.refused.values())
    if not dry:
        who, content = visit.person.who, desk.flows[flow_id].hash
        await storage.write(lambda tx: flow_rows.told(tx, who, flow_id, content, moved, reasons.total()))
        if not reasons:
            return visit.go("/flows/versions", "console_versions_moved", flow=flow_id, count=str(moved))
    tried = {"flow": flow_id, "moved": moved, "refused": reasons.total(), "why": reasons.most_common(SHOWN), "dry": dry}
    return await _page(visit, tried)


def _parts(customer_ids: Sequence[str]) -> list[Sequence[str]]:
    return [customer_ids[at : at + AT_ONCE] for at in range(0, len(customer_ids), AT_ONCE)]


async def _some(visit: Visit, flow_id: str, customer_ids: Sequence[str], *, dry: bool) -> Moved:
    desk = visit.rooms.rules
    return await visit.rooms.storage.write(lambda tx: moving.move_some(tx, desk, flow_id, customer_ids, dry=dry))


async def kill(visit: Visit) -> Response:
    """Forbid a version, or allow it again: a change of desk.yaml in the draft, in force once it is published."""
    content, forbid = visit.form.one("hash"), visit.form.one("do") == "kill"
    if forbid and any(one.hash == content for one in visit.rooms.rules.flows.values()):
        raise Conflict(visit.t("console_versions_in_force"))
    if forbid and await visit.rooms.storage.read(lambda conn: flow_rows.find(conn, content)) is None:
        raise NotFound(visit.t("console_versions_gone", flow=content))
    draft = await visit.drafting.now()
    text = await asyncio.to_thread(draft.text, "desk.yaml") or ""
    raw = text.encode("utf-8", "surrogateescape")
    listed = [one for one in await _killed(visit) if one != content] + ([content] if forbid else [])
    changed = change_list(raw, ("versions", "kill"), listed).decode("utf-8", "surrogateescape")
    await visit.drafting.save("desk.yaml", changed, visit.person, seen=hash_of(text))
    return visit.go("/changes", "console_versions_kill_drafted")


async def _killed(visit: Visit) -> Sequence[str]:
    """As the draft has it; where the draft has faults, as it is in force."""
    checked = await visit.drafting.check()
    return list((checked.desk or visit.rooms.rules).versions.kill)


PAGES = (
    Page("/flows/versions", show, move, role_to_do=Role.EDITOR),
    Page("/flows/versions/kill", do=kill, role_to_do=Role.EDITOR),
)
