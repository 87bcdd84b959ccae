"""The console's pages of content over HTTP: what they change, what they refuse, and that nothing of it is markup."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import insert, select
from starlette.applications import Starlette

from bot.console.drafting import Drafting
from bot.console.people import Person, Role
from bot.console.routes import Console
from bot.desk_folder import DEMO_DESK, load
from bot.desk_folder.desk import Rollout
from bot.desk_folder.watch import DeskInForce
from bot.flows import versions
from bot.settings import Settings
from bot.storage import flow_rows
from bot.storage import tables as t
from bot.storage.engine import Storage
from channels.preview import PREVIEWS
from tests.support.console_site import a_database

OURS = {"Origin": "http://localhost:8080"}


async def view() -> dict[str, Any]:
    raise AssertionError("not the first page")


@dataclass
class Hand:
    """An admin at the console, with a copy of the demo desk in `folder`."""

    http: httpx2.AsyncClient
    storage: Storage
    folder: Path
    desk: DeskInForce

    async def sees(self, path: str) -> str:
        answer = await self.http.get(f"/admin{path}")
        assert answer.status_code == 200, answer.text
        return answer.text

    async def does(
        self, to: str, seen: str, headers: dict[str, str] | None = None, /, **fields: Any
    ) -> httpx2.Response:
        csrf = re.search(r'name="csrf" value="([^"]+)"', seen)
        assert csrf is not None
        return await self.http.post(
            f"/admin{to}", data={"csrf": csrf[1], **fields}, headers={**OURS, **(headers or {})}
        )

    async def draft(self) -> dict[str, str | None]:
        rows = await self.storage.read(lambda conn: conn.execute(select(t.desk_drafts)).all())
        return {row.path: row.text for row in rows}


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with a_database(tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def hand(storage: Storage, tmp_path: Path) -> AsyncIterator[Hand]:
    folder = tmp_path / "desk"
    shutil.copytree(DEMO_DESK, folder)
    for file in (*folder.glob("tests/*"), *folder.glob("knowledge/*")):  # what is not needed here takes time
        if not file.name.startswith(("returns.", "delivery.en")):
            file.unlink()
    settings = Settings(_env_file=None, admin_password="open sesame", desk=folder)
    desk = DeskInForce(folder)
    console = Console(settings, "a secret of the house", storage, desk, view, PREVIEWS)
    transport = httpx2.ASGITransport(app=Starlette(routes=list(console.routes())))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080") as http:
        await http.post("/admin/sign-in", data={"password": "open sesame"}, headers=OURS)
        yield Hand(http, storage, folder, desk)


def fields_of(page: str, key: str) -> dict[str, str]:
    """The fields of one row of the grid, as the browser would send them."""
    row = next(one for one in page.split("<form ") if f"<bdi>{key}</bdi></h2>" in one)
    found = dict(re.findall(r'<input type="hidden" name="(row|was|here|old_\w+|ours_\w+)" value="([^"]*)"', row))
    found |= dict(re.findall(r'<textarea[^>]* name="(text_\w+)"[^>]*>([^<]*)</textarea>', row))
    return {name: html.unescape(value) for name, value in found.items()}


# ── flows ──


async def test_another_name_for_a_flow_writes_over_nobodys_edit(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bob's edit of the flow comes between the reading of the files and their writing."""
    meanwhile, path, save = ["Bob"], "flows/order_status.yaml", Drafting.save
    theirs = (hand.folder / path).read_text() + "# Bob's\n"

    async def slow(self: Drafting, one: str, text: str | None, by: Person, *, seen: str | None = None) -> Any:
        if meanwhile:
            await save(self, path, theirs, Person("b", meanwhile.pop(), Role.EDITOR))
        return await save(self, one, text, by, seen=seen)

    monkeypatch.setattr(Drafting, "save", slow)
    page = await hand.sees("/flows")
    answer = await hand.does("/flows/change", page, do="rename", path=path, id="where_is_it")
    assert (answer.status_code, "changed by somebody else" in answer.text) == (409, True)
    assert (await hand.draft())[path] == theirs


# ── texts ──


async def test_a_text_is_changed_in_the_draft_and_nothing_else_of_its_file(hand: Hand) -> None:
    page = await hand.sees("/texts?q=order_bad")
    fields = fields_of(page, "order_bad")
    before = (hand.folder / "texts/shop.yaml").read_text()
    old = fields["text_he"]
    answer = await hand.does("/texts", page, **{**fields, "text_he": 'מספר אחר, "בבקשה"'})
    assert answer.status_code == 303
    draft = await hand.draft()
    assert list(draft) == ["texts/shop.yaml"]
    assert draft["texts/shop.yaml"] == before.replace(json.dumps(old, ensure_ascii=False), '"מספר אחר, \\"בבקשה\\""')
    assert (hand.folder / "texts/shop.yaml").read_text() == before, "the folder waits for its publication"
    again = await hand.does("/texts", page, **{**fields, "text_he": "עוד אחר"})
    assert again.status_code == 409, "somebody else changed it meanwhile"
    part = await hand.does("/texts", page, {"HX-Request": "true"}, **{**fields, "text_he": "עוד אחר"})
    assert part.status_code == 200
    assert 'role="alert"' in part.text
    assert fields_of(part.text, "order_bad")["text_he"] == "עוד אחר", "what was written is not lost"
    await hand.does("/texts", part.text, {"HX-Request": "true"}, **fields_of(part.text, "order_bad"))
    assert '"עוד אחר"' in ((await hand.draft())["texts/shop.yaml"] or "")


async def test_what_is_wrong_with_a_text_is_told_while_it_is_written(hand: Hand) -> None:
    page = await hand.sees("/texts?q=queue_place")
    answer = await hand.does(
        "/texts/check", page, place=["position", "wait"], text_nl="Je bent <b>{{ positon }}", old_nl=""
    )
    assert "{{ position }}, {{ wait }}" in answer.text
    assert "{{ positon }}" in answer.text
    assert "<b>" not in answer.text
    assert await hand.draft() == {}


# ── articles and saved replies ──


async def test_an_article_is_changed_written_anew_and_deleted(hand: Hand) -> None:
    path = "knowledge/returns.en.md"
    page = await hand.sees(f"/articles/{path}")
    seen = re.search(r'name="seen" value="(\w+)"', page)
    assert seen is not None
    fields = {
        "path": path,
        "seen": seen[1],
        "locale": "en",
        "title": "Sending back",
        "tags": "returns, refund, money back",
    }
    body = "Within **30 days**. <script>alert(1)</script>"
    answer = await hand.does("/articles", page, **fields, body=body, questions="How?\nHow?\nWhen?", do="save")
    assert answer.status_code == 303
    text = (await hand.draft())[path] or ""
    assert "title: Sending back\n" in text
    assert "# A self-service article" in text, "comments stay"
    assert text.endswith(f"---\n{body}\n")
    shown = await hand.sees(f"/articles/{path}")
    assert "<strong>30 days</strong>" in shown
    assert "<script>alert" not in shown

    new = await hand.does(
        "/articles", page, path="", locale="nl", id="opening", title="Open?", body="Ja.", questions="", tags=""
    )
    assert new.headers["location"] == "/admin/articles/knowledge/opening.nl.md"
    empty = await hand.does("/articles", page, path="", locale="nl", title="Open?", body=" ", questions="", tags="")
    assert empty.status_code == 409
    strange = await hand.does("/articles", page, path="", locale="xx", title="Open?", body="x", questions="", tags="")
    assert strange.status_code == 409

    late = await hand.does(
        "/articles", page, **{**fields, "title": "Back & <forth>"}, body="Mine", questions="", do="save"
    )
    assert late.status_code == 409, "it was changed since this page was opened"
    assert 'value="Back &amp; &lt;forth&gt;"' in late.text, "what was written is not lost"
    assert ">Mine</textarea>" in late.text
    assert (await hand.draft())[path] == text

    gone = await hand.does("/articles", page, path="knowledge/returns.nl.md", do="delete", seen="")
    assert gone.status_code == 409, "whoever deletes has seen what it says"
    assert (await hand.does("/articles", page, path="macros/hello.en.md", do="delete", seen="")).status_code == 404
    other = re.search(r'name="seen" value="(\w+)"', await hand.sees("/articles/knowledge/returns.nl.md"))
    assert other is not None
    await hand.does("/articles", page, path="knowledge/returns.nl.md", do="delete", seen=other[1])
    assert (await hand.draft())["knowledge/returns.nl.md"] is None
    assert 'id=returns&amp;locale=nl"' in await hand.sees("/articles?show=missing")


async def test_a_field_that_nobody_touched_stays_as_the_file_says(hand: Hand) -> None:
    path, front = "knowledge/odd.en.md", '---\ntitle: "A  title"\nlocale: en\ntags: ["a, b", c]\n---\n'
    (hand.folder / path).write_text(f"{front}Old words.\n")
    page = await hand.sees(f"/articles/{path}")
    seen = re.search(r'name="seen" value="(\w+)"', page)
    assert seen is not None
    fields = {"path": path, "seen": seen[1], "title": "A  title", "tags": "a, b, c", "questions": ""}
    await hand.does("/articles", page, **fields, body="New words.", do="save")
    assert (await hand.draft())[path] == f"{front}New words.\n"


async def test_a_saved_reply_is_previewed_with_its_places_filled_in(hand: Hand) -> None:
    page = await hand.sees("/macros/macros/hello.en.md")
    assert "Noa" in page
    answer = await hand.does("/macros/preview", page, locale="en", title="t", body="Hi {{ customer.nmae }} <i>")
    assert "unknown &#34;customer.nmae&#34;" in answer.text
    assert "<i>" not in answer.text


async def test_a_question_that_nobody_answered_becomes_a_question_of_an_article(hand: Hand) -> None:
    await asked(hand.storage, "Do you deliver to <b>Mars</b>?")
    page = await hand.sees("/unanswered")
    assert "Do you deliver to &lt;b&gt;Mars&lt;/b&gt;?" in page
    path = "knowledge/delivery.en.md"
    answer = await hand.does("/unanswered", page, path=path, question="Do you deliver to <b>Mars</b>?")
    assert answer.status_code == 303
    assert "Do you deliver to <b>Mars</b>?" in ((await hand.draft())[path] or "")
    twice = await hand.does("/unanswered", page, path=path, question="Do you deliver to <b>Mars</b>?")
    assert twice.status_code == 409
    new = await hand.sees("/articles/new?locale=en&question=Mars%3F&question=Moon%3F")
    assert 'value="Mars?"' in new
    assert "Mars?\nMoon?</textarea>" in new


async def asked(storage: Storage, question: str) -> None:
    now = storage.clock()

    def unit(tx: Any) -> None:
        tx.conn.execute(insert(t.customers).values(id="c1", name="", locale="en", created_at=now))
        tx.conn.execute(
            insert(t.cases).values(
                id="k1",
                number=1,
                customer_id="c1",
                status="bot",
                channel="web",
                locale="en",
                opened_at=now,
                updated_at=now,
            )
        )
        tx.conn.execute(
            insert(t.case_events).values(
                customer_id="c1", case_id="k1", kind="unanswered", at=now, data={"question": question}
            )
        )

    await storage.write(unit)


# ── versions ──


async def rests_in_an_old_version(storage: Storage, folder: Path, step: str) -> str:
    """A conversation in the version of the flow order_status that the file held before its question was renamed."""
    desk = load(folder)
    flow = desk.flows["order_status"]
    await asked(storage, "where is it")
    frame = {"flow": flow.id, "hash": flow.hash, "step_id": step, "entered_at": storage.clock().isoformat()}
    pending = {"kind": "ask", "step_id": step, "hash": flow.hash, "token": "t"}
    state = {"case": "k1", "flow": {"frames": [{**frame, "slots": {}, "asked": []}], "pending": pending}}

    def unit(tx: Any) -> None:
        tx.conn.execute(insert(t.conversations).values(customer_id="c1", bot_state=state, updated_at=tx.now))
        flow_rows.keep(tx, [versions.to_row(flow, desk.names)])

    await storage.write(unit)
    return flow.hash


async def test_conversations_in_an_old_version_are_shown_tried_moved_and_forbidden(hand: Hand) -> None:
    old = await rests_in_an_old_version(hand.storage, hand.folder, "q_order")
    assert "No conversation runs in a flow" not in await hand.sees("/flows/versions")
    file = hand.folder / "flows/order_status.yaml"
    renamed = file.read_text().replace("q_order", "q_number")
    file.write_text(renamed)
    await hand.desk.reload()
    page = await hand.sees("/flows/versions")
    assert old in page
    assert "1 conversation runs in an older version" in await hand.sees("/flows")
    tried = (await hand.does("/flows/versions", page, flow="order_status", do="move")).text
    assert "0 conversations were moved" in tried
    assert html.escape('the live step "q_order" does not exist', quote=False) in html.unescape(tried)
    number = re.search(r"^version: (\d+)", renamed, re.MULTILINE)
    assert number is not None
    newer = renamed.replace(number[0], f"version: {int(number[1]) + 1}")
    file.write_text(f"{newer}\nmigrate: {{from: [{number[1]}], rename: {{q_order: q_number}}}}\n")
    await hand.desk.reload()
    killed = await hand.does("/flows/versions/kill", page, hash=old, do="kill")
    assert killed.headers["location"] == "/admin/changes"
    assert f"kill: [{old}]" in str((await hand.draft())["desk.yaml"]).replace('"', "")
    tried = (await hand.does("/flows/versions", page, flow="order_status", do="try")).text
    assert "1 conversation could be moved." in tried
    assert "forbidden" in tried
    done = await hand.does("/flows/versions", page, flow="order_status", do="move")
    assert done.status_code == 303
    page = await hand.sees("/flows/versions")
    assert "order_status: conversations moved: 1" in page
    now = load(hand.folder).flows["order_status"].hash
    assert f"{now}</code></th>" in page
    assert "Conversations moved" in await hand.sees("/audit")
    allowed = await hand.does("/flows/versions/kill", page, hash=old, do="allow")
    assert allowed.status_code == 303
    assert await hand.draft() == {}, "as it was"
    refused = await hand.does("/flows/versions/kill", page, hash=now, do="kill")
    assert refused.status_code == 409

    part = await hand.does("/flows/versions/rollout", page, flow="order_status", share="10%")
    assert part.headers["location"] == "/admin/changes"
    drafted = str((await hand.draft())["desk.yaml"])
    (hand.folder / "desk.yaml").write_text(drafted)
    await hand.desk.reload()
    assert hand.desk.desk.versions.rollout["order_status"] == Rollout(0.1, old)
    assert "Change of that share" not in await hand.sees("/flows/versions"), "nothing has come of either yet"
    await hand.does("/flows/versions/rollout", page, flow="order_status", share="100%")
    assert "rollout" not in str((await hand.draft())["desk.yaml"])
    unknown = await hand.does("/flows/versions/rollout", page, flow="handoff", share="10%")
    assert unknown.status_code == 409, "it has had one version only"


# ── simulator and tests ──


def carried(page: str) -> dict[str, str]:
    sketch = re.search(r'name="sketch" value="([^"]*)"', page)
    assert sketch is not None
    return {"sketch": html.unescape(sketch[1]), "which": "draft"}


async def test_a_conversation_is_played_and_saved_as_a_test_of_the_draft(hand: Hand) -> None:
    page = await hand.sees("/simulator?locale=en")
    for what in (
        {"do": "say", "text": "where is my order? <b>"},
        {"do": "say", "text": "AB123456"},
        {"do": "choose:yes"},
    ):
        page = (await hand.does("/simulator", page, **carried(page), **what)).text
    assert "where is my order? &lt;b&gt;" in page
    assert "<strong>AB123456</strong>" in page
    assert "Glad to hear it" in page
    assert await hand.draft() == {}
    saved = await hand.does("/simulator/save", page, **carried(page), name="an order is found: <b>")
    assert saved.headers["location"] == "/admin/tests"
    assert list(await hand.draft()) == ["tests/simulator.yaml"]
    tests = await hand.sees("/tests")
    assert "not played on the draft" in tests, "nothing is played before somebody asks for it"
    assert (await hand.does("/tests", tests)).headers["location"] == "/admin/tests"
    tests = await hand.sees("/tests")
    assert "an order is found: &lt;b&gt;" in tests
    assert "All tests pass" in tests
    again = await hand.does("/simulator/save", page, **carried(page), name="an order is found: <b>")
    assert again.status_code == 409, "two tests of one name"


async def test_a_conversation_that_could_not_go_so_is_no_test(hand: Hand) -> None:
    page = await hand.sees("/simulator?locale=en")
    page = (await hand.does("/simulator", page, **carried(page), do="choose:blue")).text
    assert "there is no button" in page
    refused = await hand.does("/simulator/save", page, **carried(page), name="blue")
    assert refused.status_code == 409
    assert "there is no button" in refused.text
    assert await hand.draft() == {}


async def test_connectors_answer_as_they_are_told_and_nonsense_is_refused_in_one_line(hand: Hand) -> None:
    page = await hand.sees("/simulator?locale=en")
    down = {"how_orders.get": "timeout"}
    page = (await hand.does("/simulator", page, **carried(page), do="set", **down)).text
    for text in ("where is my order?", "AB123456"):
        page = (await hand.does("/simulator", page, **carried(page), do="say", text=text)).text
    assert "waits for support (another system did not answer)" in page
    for nonsense in ({"how_orders.get": "ok", "answer_orders.get": "a: [b"}, {"at": "tomorrow"}, {"customer": "- a"}):
        page = (await hand.does("/simulator", page, **carried(page), do="set", **nonsense)).text
        assert 'class="error"' in page
    page = (await hand.does("/simulator", page, sketch="[[[[", which="draft", do="say", text="hello")).text
    assert 'class="said customer"' in page


async def test_a_failing_test_is_shown_with_what_was_expected_and_got(hand: Hand) -> None:
    (hand.folder / "tests/people.yaml").write_text(
        "- test: wrong\n  locale: en\n  script:\n    - {user: hi}\n    - {bot: Goodbye}\n"
    )
    await hand.does("/tests", await hand.sees("/tests"))
    page = await hand.sees("/tests")
    assert "/admin/files/tests/people.yaml#L5" in page
    assert "bot «Goodbye»" in page
    (hand.folder / "tests/people.yaml").write_text("- test: wrong\n  scirpt: []\n")
    assert "did you mean" in await hand.sees("/tests")
    assert 'class="error"' in await hand.sees("/simulator"), "the desk in force is played"
    assert 'class="error"' in await hand.sees("/dry-run")


async def test_a_dry_run_without_conversations_says_so(hand: Hand) -> None:
    page = await hand.sees("/dry-run")
    answer = await hand.does("/dry-run", page, days="7", sample="100")
    assert "no conversations" in answer.text


# ── what went wrong ──


async def test_a_dead_letter_is_shown_and_given_up_once(hand: Hand) -> None:
    now = hand.storage.clock()
    raw = '{"token": "hush", "text": "<script>\u202e"}'
    letter = {"id": "d1", "source": "telegram", "raw": raw.encode(), "error": "not <b>readable</b>", "at": now}
    await hand.storage.write(lambda tx: tx.conn.execute(insert(t.dead_letters).values(**letter)))
    page = await hand.sees("/trouble")
    assert "not &lt;b&gt;readable&lt;/b&gt;" in page
    look = await hand.sees("/trouble/look?id=d1")
    assert "&lt;script&gt;\\u202e" in look
    assert "hush" not in look, "what is secret in a platform's update is not shown"
    assert (await hand.http.get("/admin/trouble/look?id=nobody")).status_code == 404
    assert (await hand.does("/trouble", page, id="d1", do="burn")).status_code == 409
    assert (await hand.does("/trouble", page, id="d1", do="drop")).status_code == 303
    assert "Nothing is wrong." in await hand.sees("/trouble")
    assert (await hand.does("/trouble", page, id="d1", do="drop")).status_code == 303
    rows = await hand.storage.read(lambda conn: conn.execute(select(t.audit.c.who, t.audit.c.what)).all())
    assert [row.what for row in rows if "given up" in row.what] == ["console: given up"]
