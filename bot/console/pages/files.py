"""Any file of the desk in an editor with live faults; flows beside their picture. What is saved is a draft."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.responses import Response

from bot.console import live, store
from bot.console.draft import Checked, Draft, as_kept, checked_path, hash_of, on_disk, shown
from bot.console.drawing.picture import draw
from bot.console.page import Page, Visit
from bot.console.people import Role, shown_who
from bot.errors import NotFound
from bot.flows.graph import graph
from bot.flows.load import read_flow
from bot.flows.names import Names
from bot.flows.schema import Flow
from bot.flows.source import Faults, Reader, read
from bot.storage import step_rows

COUNTED_FOR = timedelta(days=30)

PLACES = {"knowledge": "/articles", "macros": "/macros", "tests": "/tests", "texts": "/texts"}
"""Where one comes from to a file of this folder."""


def place_of(path: str) -> str:
    """The editor's address below /admin."""
    return f"/{path}" if path.startswith("flows/") else f"/files/{path}"


def path_of(visit: Visit) -> str:
    """The file that an address names. Raises NotAllowed for what is no file of a desk."""
    given = visit.param("path") or "desk.yaml"
    return checked_path(f"flows/{given}" if "/admin/flows/" in visit.request.url.path else given)


async def show(visit: Visit) -> Response:
    path = path_of(visit)
    draft = await visit.drafting.now()
    text = await asyncio.to_thread(draft.text, path)
    if text is None:
        raise NotFound(visit.t("console_no_file", path=path))
    checked = await visit.drafting.check(draft)
    return await visit.page("editor.html", **await _values(visit, draft, path, text, checked))


async def check(visit: Visit) -> Response:
    """The faults and the picture of what stands in the editor, not saved yet."""
    path = path_of(visit)
    draft = await visit.drafting.now()
    before = await asyncio.to_thread(draft.text, path)
    text = as_kept(visit.form.one("text"), before)
    checked = await visit.drafting.check(draft, {path: text})
    values = await _result(visit, path, text, checked)
    return await visit.page("editor_checked.html", path=path, swapped=True, **values)


async def save(visit: Visit) -> Response:
    path = path_of(visit)
    draft = await visit.drafting.now()
    before = await asyncio.to_thread(draft.text, path)
    text = as_kept(visit.form.one("text"), before)
    await visit.drafting.save(path, text, visit.person, seen=visit.form.one("seen"))
    return visit.go(place_of(path), "console_saved", path=path)


async def _values(visit: Visit, draft: Draft, path: str, text: str, checked: Checked) -> dict[str, Any]:
    change = draft.changes.get(path)
    changed = None
    if change is not None:
        changed = {"who": shown_who(change.who), "is_new": change.base_hash is None}
    conflict = change is not None and path in await asyncio.to_thread(draft.conflicts)
    folder = path.partition("/")[0]
    return {
        "path": path,
        "text": shown(text),
        "seen": hash_of(text),
        "here": place_of(path),
        "back": PLACES.get(folder, "/flows" if folder == "flows" else ""),
        "is_flow": folder == "flows",
        "is_prose": path.endswith(".md"),
        "changed": changed,
        "conflict": conflict,
        **await _result(visit, path, text, checked),
    }


async def _result(visit: Visit, path: str, text: str, checked: Checked) -> dict[str, Any]:
    """What the loader says: the file's own faults first, how many others there are, and the flow's picture."""
    mine = checked.of(path)
    others = [one for one in checked.faults if one.file != path and one.severity == "fault"]
    return {
        "faults": mine,
        "others": others,
        "picture": await _picture(visit, path, text, checked),
        "is_good": checked.is_good,
    }


async def _picture(visit: Visit, path: str, text: str, checked: Checked) -> str:
    """The flow as it would be; where the desk has faults, as far as its own file can be read."""
    flows: Mapping[str, Flow] = checked.desk.flows if checked.desk is not None else {}
    flow = next((one for one in flows.values() if one.file.endswith(f"/{path}")), None)
    if flow is None and path.startswith("flows/"):
        flow = await asyncio.to_thread(_as_far_as_read, path, text, visit.rooms.rules.names)
    if flow is None:
        return ""
    zone = ZoneInfo(visit.rooms.rules.time_zone)
    since = (visit.rooms.storage.clock() - COUNTED_FOR).astimezone(zone).date().isoformat()
    counted = await visit.rooms.storage.read(lambda conn: step_rows.since(conn, flow.id, since))
    counts = live.of_flow(await visit.rooms.storage.read(store.states_in_flows), flow, counted)
    locale = visit.locale if visit.locale in visit.rooms.rules.locales else visit.rooms.rules.locales[0]
    return await asyncio.to_thread(draw, graph(flow, locale), visit.t, counts)


def _as_far_as_read(path: str, text: str, names: Names) -> Flow | None:
    faults = Faults()
    root = read(path, shown(text), faults)
    return None if root is None else read_flow(root, shown(text), Reader(path, faults), names)


async def discard(visit: Visit) -> Response:
    """Forget the draft of a file; back to it, or to the list where there is no such file without it."""
    path = checked_path(visit.form.one("path"))
    await visit.drafting.discard(path, visit.person)
    is_there = await asyncio.to_thread(on_disk, visit.drafting.folder, path) is not None
    to = visit.form.one("then") or (place_of(path) if is_there else "/flows")
    return visit.go(to if to in {"/changes", "/flows"} or is_there else "/changes", "console_discarded", path=path)


PAGES = (
    Page("/files/desk.yaml", show, save, menu="console_settings", group="console_group_content"),
    Page("/files/discard", do=discard),
    Page("/files/check/{path:path}", do=check, role_to_do=Role.VIEWER),
    Page("/files/{path:path}", show, save),
    Page("/flows/check/{path:path}", do=check, role_to_do=Role.VIEWER),
    Page("/flows/{path:path}", show, save),
)
