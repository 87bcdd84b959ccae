"""The console's pages of problems and wishes: two people at one record."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from bot.desk_folder.desk import Desk
from bot.model import system_clock
from bot.storage.engine import Storage
from surveys.console.wing import wing
from surveys.insights.records import problems, store, wishing
from surveys.team.rounds import Pulse
from surveys.team.sheets import TeamSheets
from tests.support.console_site import OURS, a_database, signed_in


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with a_database(tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def site(storage: Storage) -> AsyncIterator[httpx2.AsyncClient]:
    pulse = Pulse(lambda: Desk(""), "a secret")
    wings = [wing(TeamSheets(lambda: Desk(""), pulse, system_clock), pulse)]
    async with signed_in(storage, "Ann", wings) as client:
        yield client


@pytest.mark.parametrize("kind", ["problems", "wishes"])
async def test_of_two_at_one_record_neither_writes_over_the_other_nor_tells_unseen_words(
    site: httpx2.AsyncClient, storage: Storage, kind: str
) -> None:
    begin = problems.open_problem if kind == "problems" else wishing.add_wish
    find = store.problem if kind == "problems" else store.wish
    made = (await storage.write(lambda tx: begin(tx, "Parcels", "console:password:Bob"))).id
    here = f"/admin/{kind}/{made}"

    async def opened() -> dict[str, str]:
        page = (await site.get(here)).text
        return {name: re.findall(rf'name="{name}" value="([^"]+)"', page)[-1] for name in ("csrf", "seen")}

    async def does(do: str, seen: dict[str, str], **fields: str) -> httpx2.Response:
        return await site.post(here, data={"do": do, "title": "Parcels", **seen, **fields}, headers=OURS)

    mine = await opened()
    assert (await does("save", mine, text_en="Theirs")).status_code == 303
    refused = await does("save", mine, text_en="Mine")
    assert (refused.status_code, "changed by somebody else" in refused.text) == (409, True)
    told = "close" if kind == "problems" else "ship"
    assert (await does(told, mine)).status_code == 409
    found = await storage.read(lambda conn: find(conn, made))
    assert (found.message, found.state) == ({"en": "Theirs"}, "open")
    assert (await does("save", await opened(), text_en="Mine")).status_code == 303
    assert (await does(told, await opened())).status_code == 303


async def test_of_two_at_one_improvement_neither_writes_over_the_other(
    site: httpx2.AsyncClient, storage: Storage
) -> None:
    fields = {
        "title": "Faster",
        "starts_on": "2100-01-01",
        "days": "28",
        "metric": "ces",
        "cost": "1.5",
        "topic": "refund",
    }

    async def opened(here: str) -> dict[str, str]:
        page = (await site.get(here)).text
        return {name: re.findall(rf'name="{name}" value="([^"]*)"', page)[-1] for name in ("csrf", "seen")}

    async def saves(here: str, seen: dict[str, str], what: str) -> httpx2.Response:
        return await site.post(here, data={"do": "save", **fields, **seen, "what": what}, headers=OURS)

    new = "/admin/improvements/new"
    here = str((await saves(new, await opened(new), "First")).headers["location"]).partition("?")[0]
    mine = await opened(here)
    assert (await saves(here, mine, "Theirs")).status_code == 303
    for _ in range(2):  # a second press is no more than the first
        refused = await saves(here, mine, "Mine")
        assert (refused.status_code, "changed by somebody else" in refused.text) == (409, True)
        assert "Mine</textarea>" in refused.text, "what was written is not lost"
        mine["seen"] = re.findall(r'name="seen" value="([^"]*)"', refused.text)[-1]
    (found,) = await storage.read(store.improvements)
    assert found.what == "Theirs"
    assert (await saves(here, await opened(here), "Mine")).status_code == 303
