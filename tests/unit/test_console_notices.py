"""The console's page of notices: a draft, whom it would reach, approval, and what came of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from bot.model import Sender
from bot.outreach import store
from bot.outreach.notice import Audience, Kind, State
from bot.storage import customers
from bot.storage.engine import Storage
from tests.support.console_site import OURS, a_database, signed_in

FIELDS = {"title": "Parcels", "kind": "incident", "text_en": "Late <b>parcels</b>", "who": "some", "topic": "parcel"}


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with a_database(tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def site(storage: Storage) -> AsyncIterator[httpx2.AsyncClient]:
    async with signed_in(storage, "Ann") as client:
        yield client


async def post(site: httpx2.AsyncClient, path: str, page: str = "/admin/notices/new", **fields: str) -> httpx2.Response:
    found = re.search(r'name="csrf" value="([^"]+)"', (await site.get(page)).text)
    assert found
    return await site.post(path, data={**fields, "csrf": found[1]}, headers=OURS)


async def drafted(site: httpx2.AsyncClient, **more: str) -> str:
    answer = await post(site, "/admin/notices", **{**FIELDS, **more})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"].removeprefix("/admin/notices/")


async def test_a_draft_says_whom_it_would_reach_and_is_told_when_somebody_approves_it(
    site: httpx2.AsyncClient, storage: Storage
) -> None:
    sender = Sender("web", "kari", address="kari", name="Kari", locale="en")
    await storage.write(lambda tx: customers.create(tx, sender, "en"))
    made = await drafted(site, who="everyone")
    page = (await site.get(f"/admin/notices/{made}")).text
    assert "Late &lt;b&gt;parcels&lt;/b&gt;" in page
    assert "<b>parcels" not in page
    assert re.search(r"Would be told now</dt><dd>\s*[01]\b", page)
    here = f"/admin/notices/{made}"
    assert (await post(site, f"{here}/decide", here, do="approve")).status_code == 303
    found = await storage.read(lambda conn: store.notice(conn, made))
    assert found is not None
    assert (found.state, found.approved_by) == (State.APPROVED, "console:password:Ann")
    again = await post(site, f"{here}/decide?lang=nl", "/admin/notices/new", do="approve")
    assert (again.status_code, "dit bericht is geen concept meer" in again.text) == (409, True)
    await post(site, f"{here}/decide", "/admin/notices/new", do="cancel")
    assert "Called off" in (await site.get("/admin/notices")).text


async def test_every_field_of_the_form_comes_back_as_it_was(site: httpx2.AsyncClient, storage: Storage) -> None:
    fields = {"since": "2026-03-02", "slot": "city", "value": "Oslo", "channel": "web", "locale": "nb"}
    made = await drafted(site, **fields, kind="campaign", starts="2026-03-09T10:30", ends="2026-03-10T10:30")
    found = await storage.read(lambda conn: store.notice(conn, made))
    assert found is not None
    assert found.kind is Kind.CAMPAIGN
    assert found.audience.slots == {"city": "Oslo"}
    assert (found.audience.topic, found.audience.channel, found.audience.locale) == ("parcel", "web", "nb")
    page = (await site.get(f"/admin/notices/{made}")).text
    for value in ("2026-03-02", "2026-03-09T10:30", "2026-03-10T10:30", "Oslo"):
        assert f'value="{value}"' in page
    again = await post(site, f"/admin/notices/{made}", **{**FIELDS, "title": "Late parcels", "topic": "parcel"})
    assert again.status_code == 303
    changed = await storage.read(lambda conn: store.notice(conn, made))
    assert changed is not None
    assert (changed.title, changed.audience) == ("Late parcels", Audience(topic="parcel"))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"topic": ""}, "at least one condition"),
        ({"text_en": " "}, "needs words"),
        ({"title": " "}, "few words"),
        ({"flow": "none"}, "not there any more"),
        ({"starts": "tomorrow"}, "no day or time"),
        ({"starts": "0001-01-01T00:00"}, "no day or time"),
    ],
)
async def test_what_cannot_be_told_is_not_kept_and_the_fields_stay(
    site: httpx2.AsyncClient, storage: Storage, wrong: dict[str, str], told: str
) -> None:
    answer = await post(site, "/admin/notices", **{**FIELDS, **wrong})
    assert answer.status_code == 409
    assert told in answer.text
    assert await storage.read(store.listing) == []
