"""The console's page of notices: a draft, whom it would reach, approval, and what came of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from bot.model import Sender
from bot.outreach import store
from bot.outreach.notice import Audience, Kind, Notice, State
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


@pytest.mark.parametrize("wrong", [{"starts": "0001-01-01T00:00"}, {"since": "2026-02-30"}, {"title": " "}])
async def test_what_was_typed_stays_beside_a_fault_and_nobody_approves_what_is_not_shown(
    site: httpx2.AsyncClient, storage: Storage, wrong: dict[str, str]
) -> None:
    made = await drafted(site, starts="2026-03-09T10:30")
    here = f"/admin/notices/{made}"
    typed = {"ends": "2026-03-11T09:15", "slot": "city", "value": "Oslo", **wrong}
    answer = await post(site, here, here, **{**FIELDS, **typed, "text_en": "Other words"})
    assert answer.status_code == 409
    assert "Other words</textarea>" in answer.text
    fields = dict(re.findall(r'name="(\w+)"[^>]*? value="([^"]*)"', answer.text))
    assert {name: fields[name] for name in typed} == {name: value.strip() for name, value in typed.items()}
    assert 'value="approve"' not in answer.text
    assert 'value="approve"' in (await site.get(here)).text
    kept = await storage.read(lambda conn: store.notice(conn, made))
    assert kept is not None
    assert kept.texts == {"en": FIELDS["text_en"]}


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


def seen_on(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', page)
    assert found
    return found[1]


async def test_of_two_at_one_draft_neither_writes_over_the_other_nor_approves_unseen_words(
    site: httpx2.AsyncClient, storage: Storage
) -> None:
    made = await drafted(site)
    here = f"/admin/notices/{made}"
    mine = seen_on((await site.get(here)).text)
    theirs = await post(site, here, **{**FIELDS, "text_en": "Theirs"}, seen=mine)
    assert theirs.status_code == 303
    refused = await post(site, here, **{**FIELDS, "text_en": "Mine"}, seen=mine)
    assert (refused.status_code, "changed by somebody else" in refused.text, "Mine" in refused.text) == (
        409,
        True,
        True,
    )
    again = await post(site, here, **{**FIELDS, "text_en": "Mine"}, seen=seen_on(refused.text))
    assert again.status_code == 409
    approved = await post(site, f"{here}/decide", here, do="approve", seen=mine)
    assert (approved.status_code, "changed by somebody else" in approved.text) == (409, True)
    found = await storage.read(lambda conn: store.notice(conn, made))
    assert found is not None
    assert (found.state, found.texts) == (State.DRAFT, {"en": "Theirs"})
    looked = seen_on((await site.get(here)).text)
    assert (await post(site, f"{here}/decide", here, do="approve", seen=looked)).status_code == 303


async def test_other_words_for_a_programs_notice_reach_nobody_more_than_it_was_meant_for(
    site: httpx2.AsyncClient, storage: Storage
) -> None:
    """What the form shows in part, or has no field for, stays: to the second, and with every condition."""
    audience = Audience(
        topic="parcel",
        flow="gone",
        team="gone too",
        since=datetime(2026, 3, 2, 14, 5, 33, tzinfo=UTC),
        locale="fr",
        slots={"city": "Oslo", "tier": "gold"},
        problem="p1",
    )
    starts = datetime(2026, 3, 9, 10, 30, 20, tzinfo=UTC)
    of_program = Notice("n1", Kind.INCIDENT, State.DRAFT, "Parcels", {"en": "Late"}, audience, "api", starts)
    await storage.write(lambda tx: store.add(tx, replace(of_program, starts_at=starts)))
    page = (await site.get("/admin/notices/n1")).text
    fields = dict(re.findall(r'<input[^>]* name="(\w+)"[^>]* value="([^"]*)"', page))
    for name, options in re.findall(r'<select[^>]* name="(\w+)"[^>]*>(.*?)</select>', page):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        fields[name] = chosen[1] if chosen else ""
    sent = {**fields, "kind": "incident", "who": "some", "text_en": "Later"}
    del sent["csrf"]
    answer = await post(site, "/admin/notices/n1", **sent)
    assert answer.status_code == 303, answer.text
    found = await storage.read(lambda conn: store.notice(conn, "n1"))
    assert found is not None
    assert (found.texts, found.audience, found.starts_at) == ({"en": "Later"}, audience, starts)
