"""The flows: their list with live numbers, and a new one, another name, or the end of one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from bot.console import live, store
from bot.console.draft import Draft, checked_path, hash_of
from bot.console.page import Page, Visit
from bot.console.renaming import renamed
from bot.errors import Conflict, NotFound
from bot.flows.source import Faults, read

_ID = re.compile(r"[a-z][a-z0-9_]{0,59}\Z")


async def show(visit: Visit) -> Response:
    draft = await visit.drafting.now()
    checked = await visit.drafting.check(draft)
    paths = await asyncio.to_thread(draft.paths, "flows")
    states = await visit.rooms.storage.read(store.states_in_flows)
    counts, in_force = live.by_flow(states), {one.id: one.hash for one in visit.rooms.rules.flows.values()}
    known = {**visit.rooms.rules.flows, **(checked.desk.flows if checked.desk is not None else {})}
    by_path = {f"flows/{one.file.partition('/flows/')[2]}": one for one in known.values()}
    rows = []
    for path in paths:
        flow = by_path.get(path)
        rows.append(
            {
                "path": path,
                "id": flow.id if flow is not None else path.removeprefix("flows/").rpartition(".")[0],
                "title": titled(flow.title, visit.locale) if flow is not None else "",
                "version": flow.version if flow is not None else "",
                "steps": len(flow.steps) if flow is not None else "",
                "live": counts.get(flow.id, 0) if flow is not None else 0,
                "is_changed": path in draft.changes,
                "faults": sum(1 for one in checked.of(path) if one.severity == "fault"),
                "warnings": sum(1 for one in checked.of(path) if one.severity == "warning"),
            }
        )
    gone = [path for path, one in draft.changes.items() if path.startswith("flows/") and one.text is None]
    return await visit.page("flows.html", rows=rows, gone=gone, behind=live.behind(states, in_force))


def titled(wording: Any, locale: str) -> str:
    return str(wording.get(locale) or next(iter(wording.values()), ""))


async def new(visit: Visit) -> Response:
    """A flow of a few steps that loads, with comments that say what to change."""
    flow_id = _checked_id(visit, visit.form.one("id"))
    draft = await visit.drafting.now()
    path = f"flows/{flow_id}.yaml"
    await _must_be_free(visit, draft, path)
    await visit.drafting.save(path, starter(flow_id, visit.rooms.rules.locales), visit.person, seen="")
    return visit.go(f"/{path}", "console_flow_made", flow=flow_id)


async def change(visit: Visit) -> Response:
    """Give a flow another name, or end it: `do` is rename | delete."""
    path = checked_path(visit.form.one("path"))
    draft = await visit.drafting.now()
    text = await asyncio.to_thread(draft.text, path)
    if text is None or not path.startswith("flows/"):
        raise NotFound(visit.t("console_no_file", path=path))
    if visit.form.one("do") == "delete":
        await visit.drafting.save(path, None, visit.person)
        return visit.go("/flows", "console_flow_deleted", flow=path)
    flow_id = _checked_id(visit, visit.form.one("id"))
    target = f"{path.rpartition('/')[0]}/{flow_id}.yaml"
    if target == path:
        return visit.go(f"/{path}")
    await _must_be_free(visit, draft, target)
    root = await asyncio.to_thread(read, path, text, Faults())
    if root is None or root.kind != "map" or "flow" not in root.entries:
        raise Conflict(visit.t("console_flow_broken"))
    files = await asyncio.to_thread(_all, draft)
    for one, new_text in renamed(files, path, target, root.entries["flow"].raw, flow_id).items():
        await visit.drafting.save(one, new_text, visit.person, seen=hash_of(files.get(one)) or "")
    return visit.go(f"/{target}", "console_flow_renamed", flow=flow_id)


def _all(draft: Draft) -> dict[str, str]:
    """What may name a flow: desk.yaml, the flows, the tests."""
    paths = ["desk.yaml", *draft.paths("flows"), *draft.paths("tests")]
    return {path: text for path in paths if (text := draft.text(path)) is not None}


def _checked_id(visit: Visit, given: str) -> str:
    flow_id = given.strip().lower().replace(" ", "_").replace("-", "_")
    if not _ID.match(flow_id):
        raise Conflict(visit.t("console_flow_bad_id"))
    return flow_id


async def _must_be_free(visit: Visit, draft: Draft, path: str) -> None:
    flow_id = path.rpartition("/")[2].removesuffix(".yaml")
    if await asyncio.to_thread(draft.text, path) is not None or flow_id in visit.rooms.rules.flows:
        raise Conflict(visit.t("console_flow_taken", flow=flow_id))


ASK = {
    "en": "What can we do for you?",
    "nl": "Wat kunnen we voor je doen?",
    "nb": "Hva kan vi gjøre for deg?",
    "he": "במה אפשר לעזור?",
}
THANKS = {"en": "Thank you!", "nl": "Bedankt!", "nb": "Takk!", "he": "תודה!"}


def starter(flow_id: str, locales: tuple[str, ...]) -> str:
    """The text of a new flow: it asks one question, answers, and closes the case."""
    name = flow_id.replace("_", " ")
    phrases = "\n".join(f'    {one}: ["{name}"]' for one in locales)
    return f"""\
# What this flow is for, in a sentence for your colleagues.
schema: 1
flow: {flow_id}
version: 1

triggers:                       # what starts it: put the words here that your customers use, in each language
  phrases:
{phrases}

slots:                          # what it finds out
  answer: {{type: text}}

steps:
  - id: question                # a question needs a name; keep it when you change the text
    ask: answer
    text:
{_wording(ASK, locales)}
  - say:
{_wording(THANKS, locales)}
  - close: resolved
"""


def _wording(texts: Mapping[str, str], locales: tuple[str, ...]) -> str:
    return "\n".join(f'      {one}: "{texts.get(one.split("-")[0], texts["en"])}"' for one in locales)


PAGES = (
    Page("/flows", show, menu="console_flows", group="console_group_content"),
    Page("/flows/new", do=new),
    Page("/flows/change", do=change),
)
