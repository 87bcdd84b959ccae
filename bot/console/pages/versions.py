"""Who still talks in an older version of a flow: how many, whether they could move to the one in force, and moving them; and
a version that only a part of the customers gets at first, compared with the one before it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from bot.console.draft import hash_of
from bot.console.moments import when
from bot.console.page import Page, Visit
from bot.console.people import Role
from bot.desk_folder.desk import Versions
from bot.desk_folder.edit import change, change_list, remove
from bot.dialogue import moving
from bot.dialogue.moving import Moved
from bot.errors import Conflict, NotFound
from bot.flows.schema import Flow
from bot.intervals import newcombe, wilson
from bot.storage import flow_rows
from bot.texts import number

AT_ONCE = 100  # conversations that are locked together
SHOWN = 10  # reasons why some can't be moved
COMPARED = timedelta(days=30)
ALL = "100%"
SHARES = ("5%", "10%", "25%", "50%", ALL)


async def show(visit: Visit) -> Response:
    return await _page(visit)


async def _page(visit: Visit, tried: Mapping[str, Any] | None = None) -> Response:
    storage, rules = visit.rooms.storage, visit.rooms.rules

    def read(conn: Any) -> tuple[dict[str, dict[str, int]], dict[str, Any], list[dict[str, Any]]]:
        live = moving.live(conn)
        labels = flow_rows.labels(conn, [content for found in live.values() for content in found])
        return live, labels, _rollouts(visit, conn)

    live, labels, rollouts = await storage.read(read)
    drafted = await _drafted(visit)
    kill = drafted.kill
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
        "versions.html",
        running=running,
        pin_days=rules.versions.pin_days,
        idle=idle,
        tried=tried or {},
        rollouts=rollouts,
        flows=sorted(rules.flows),
        shares=SHARES,
    )


def _rollouts(visit: Visit, conn: Any) -> list[dict[str, Any]]:
    """What came of the conversations that began in the version in force, and in the one before, in the last 30 days."""
    rules, now = visit.rooms.rules, visit.rooms.storage.clock()
    found = []
    for flow_id, planned in rules.versions.rollout.items():
        flow = rules.flows[flow_id]
        arms = flow_rows.arms(conn, flow_id, [flow.hash, planned.before], now - COMPARED)
        new, old = (arms.get(content, (0, 0, 0)) for content in (flow.hash, planned.before))
        rows = [
            {"hash": content, "is_now": content == flow.hash, "n": n, "over": over, **_people(visit, people, over)}
            for content, (n, over, people) in ((flow.hash, new), (planned.before, old))
        ]
        change = newcombe(old[2], old[1], new[2], new[1])
        found.append(
            {
                "id": flow_id,
                "share": f"{planned.share * 100:g} %",
                "rows": rows,
                "change": f"{change.low * 100:+.0f} … {change.high * 100:+.0f}" if change is not None else "",
            }
        )
    return found


def _people(visit: Visit, people: int, over: int) -> dict[str, str]:
    """The share that went to people, and its 95 % interval."""
    between = wilson(people, over)
    if between is None:
        return {"share": "", "between": ""}
    share, low, high = (number(one * 100, visit.locale) for one in (people / over, between.low, between.high))
    return {"share": f"{share} %", "between": f"{low} – {high} %"}


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
    listed = [one for one in (await _drafted(visit)).kill if one != content] + ([content] if forbid else [])
    changed = change_list(raw, ("versions", "kill"), listed).decode("utf-8", "surrogateescape")
    await visit.drafting.save("desk.yaml", changed, visit.person, seen=hash_of(text))
    return visit.go("/changes", "console_versions_kill_drafted")


async def roll_out(visit: Visit) -> Response:
    """Only a part of the customers gets the version in force; all of them again with `share` 100 %. A draft, as above."""
    flow_id, share = visit.form.one("flow"), visit.form.one("share")
    flow = visit.rooms.rules.flows.get(flow_id)
    if flow is None or share not in SHARES:
        raise NotFound(visit.t("console_versions_gone", flow=flow_id))
    before = await _before(visit, flow)
    draft = await visit.drafting.now()
    text = await asyncio.to_thread(draft.text, "desk.yaml") or ""
    raw = text.encode("utf-8", "surrogateescape")
    place = ("versions", "rollout", flow_id)
    if share == ALL:
        raw = remove(raw, place) if flow_id in (await _drafted(visit)).rollout else raw
    elif before is None:
        raise Conflict(visit.t("console_rollout_first", flow=flow_id))
    else:
        raw = change(change(raw, (*place, "share"), share), (*place, "before"), before)
    changed = raw.decode("utf-8", "surrogateescape")
    await visit.drafting.save("desk.yaml", changed, visit.person, seen=hash_of(text))
    return visit.go("/changes", "console_rollout_drafted")


async def _before(visit: Visit, flow: Flow) -> str | None:
    """The version for all others: the one in force where the draft has a newer one, else the one before it."""
    checked = await visit.drafting.check()
    newer = checked.desk.flows.get(flow.id) if checked.desk is not None else None
    if newer is not None and newer.hash != flow.hash:
        return flow.hash
    planned = visit.rooms.rules.versions.rollout.get(flow.id)
    if planned is not None:
        return planned.before
    return await visit.rooms.storage.read(lambda conn: flow_rows.previous(conn, flow.id, flow.hash))


async def _drafted(visit: Visit) -> Versions:
    """As the draft has it; where the draft has faults, as it is in force."""
    checked = await visit.drafting.check()
    return (checked.desk or visit.rooms.rules).versions


PAGES = (
    Page("/flows/versions", show, move, role_to_do=Role.EDITOR),
    Page("/flows/versions/kill", do=kill, role_to_do=Role.EDITOR),
    Page("/flows/versions/rollout", do=roll_out, role_to_do=Role.EDITOR),
)
