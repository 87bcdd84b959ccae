"""The admin's pages: one password, a signed cookie, a brake on guessing."""

from __future__ import annotations

import ast
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request

from bot.console.pages import PAGES
from bot.console.routes import Console
from bot.console.sign_in import PER, TRIES, Doorkeeper, from_our_page, password_of
from bot.desk_folder.watch import DeskInForce
from bot.settings import Settings
from bot.storage.engine import Storage
from bot.texts import known
from channels.preview import PREVIEWS
from tests.support.console_site import a_database

ROOT = Path(__file__).resolve().parents[2]
SCORE = {
    "instrument": "ces7",
    "n": 40,
    "score": 5.3,
    "interval": [5.0, 5.6],
    "share": 0.75,
    "share_interval": [0.6, 0.86],
}
VIEW = {
    "faults": ["telegram: <b>down</b>"],
    "warnings": [],
    "figures": [("console_fig_customers", 3)],
    "report": {"scores": [SCORE], "rates": [], "times": []},
    "flows": [],
    "articles": 2,
    "locales_of_desk": ("en",),
    "folder": "<script>alert(1)</script>",
}


def settings(**more: Any) -> Settings:
    return Settings(_env_file=None, admin_password="open sesame", **more)


async def view() -> dict[str, Any]:
    return VIEW


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with a_database(tmp_path) as made:
        yield made


@pytest_asyncio.fixture
async def site(storage: Storage) -> AsyncIterator[httpx2.AsyncClient]:
    console = Console(settings(), "a secret of the house", storage, DeskInForce(), view, PREVIEWS)
    transport = httpx2.ASGITransport(app=Starlette(routes=list(console.routes())))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        yield client


OURS = {"Origin": "http://localhost:8080"}


async def sign_in(site: httpx2.AsyncClient, password: str = "open sesame", **headers: str) -> httpx2.Response:
    return await site.post("/admin/sign-in", data={"password": password}, headers={**OURS, **headers})


async def test_without_a_session_there_is_only_the_sign_in_page(site: httpx2.AsyncClient) -> None:
    answer = await site.get("/admin")
    assert answer.status_code == 401
    assert "password" in answer.text
    assert "ces7" not in answer.text


async def test_the_password_opens_and_sign_out_closes(site: httpx2.AsyncClient) -> None:
    answer = await sign_in(site)
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    page = await site.get("/admin")
    assert (page.status_code, "5.3" in page.text) == (200, True)
    assert "<script>alert" not in page.text
    assert "<b>down" not in page.text
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    await site.post("/admin/sign-out", headers=OURS)
    assert (await site.get("/admin")).status_code == 401


@pytest.mark.parametrize("password", ["", "open", "open sesame ", "OPEN SESAME", "x" * 10_000, "\x00", "åpne"])
async def test_any_other_password_does_not(site: httpx2.AsyncClient, password: str) -> None:
    assert (await sign_in(site, password)).status_code == 401
    assert (await site.get("/admin")).status_code == 401


async def test_five_wrong_ones_a_minute_and_even_the_right_one_waits(site: httpx2.AsyncClient) -> None:
    for _ in range(5):
        assert (await sign_in(site, "wrong")).status_code == 401
    assert (await sign_in(site)).status_code == 429


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_foreign_page_signs_nobody_in(site: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    assert (await sign_in(site, **headers)).status_code == 403


def test_the_brake_lets_go_after_a_minute_and_is_one_addresss_own() -> None:
    door = Doorkeeper(settings(), "s", lambda: "open sesame")
    for number in range(TRIES):
        assert door.may_try("a", number)
        assert not door.is_right("wrong", "a", number)
    assert not door.may_try("a", TRIES)
    assert door.may_try("b", TRIES)
    assert door.may_try("a", PER + 1)


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "eyJvZiI6ICJ4In0.x.y", "\x00"])
def test_no_made_up_cookie_opens(cookie: str) -> None:
    door = Doorkeeper(settings(), "s", lambda: "open sesame")
    assert door.session({door.cookie: cookie}) is None


def test_a_session_ends_with_its_password_and_with_its_secret() -> None:
    door = Doorkeeper(settings(), "s", lambda: "open sesame")
    cookie = {door.cookie: door.begin()}
    assert door.session(cookie) is not None
    assert Doorkeeper(settings(), "s", lambda: "another").session(cookie) is None
    assert Doorkeeper(settings(), "t", lambda: "open sesame").session(cookie) is None


def test_on_https_the_cookie_is_bound_to_its_host() -> None:
    door = Doorkeeper(settings(public_url="https://help.example"), "s", lambda: "p")
    assert door.secure
    assert door.cookie.startswith("__Host-")


def test_a_password_that_was_made_is_kept_in_a_file(tmp_path: Path) -> None:
    made = Settings(_env_file=None, database_url=f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    password, file = password_of(made)
    assert file == tmp_path / "a.db.admin-password"
    assert len(password) >= 16
    assert file.stat().st_mode & 0o077 == 0


def test_a_program_without_a_page_may_post() -> None:
    assert from_our_page({}, frozenset())


async def test_an_admin_of_the_agents_desk_needs_no_password_as_long_as_desk_yaml_says_so(storage: Storage) -> None:
    desk, signed_in = DeskInForce(), list[tuple[str, str]]()

    async def admin_at_desk(_request: Request) -> tuple[str, str] | None:
        return next(iter(signed_in), None)

    console = Console(settings(), "a secret of the house", storage, desk, view, PREVIEWS, admin_at_desk)
    transport = httpx2.ASGITransport(app=Starlette(routes=list(console.routes())))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        assert (await client.post("/admin/sign-in", data={"by": "desk"}, headers=OURS)).status_code == 401
        signed_in.append(("demo", "Robin"))
        assert "Sign in as Robin" in (await client.get("/admin")).text
        foreign = {"Origin": "https://evil.example"}
        assert (await client.post("/admin/sign-in", data={"by": "desk"}, headers=foreign)).status_code == 403
        assert (await client.post("/admin/sign-in", data={"by": "desk"}, headers=OURS)).status_code == 303
        assert "Robin" in (await client.get("/admin/people")).text
        desk.desk = replace(desk.desk, agents=tuple(replace(one, role="lead") for one in desk.desk.agents))
        assert (await client.get("/admin/people")).status_code == 401


# ── roles ──────────────────────────────────────────────────────────────────────────────────────────────────────────
class Hand:
    """Somebody with a browser: their own cookies, the token of the last page."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.http = client
        self.csrf = ""

    async def sees(self, path: str) -> httpx2.Response:
        answer = await self.http.get(path)
        found = re.search(r'name="csrf" value="(\w+)"', answer.text) or re.search(r'csrf": "(\w+)"', answer.text)
        self.csrf = found[1] if found else self.csrf
        return answer

    async def does(self, path: str, **fields: str) -> httpx2.Response:
        return await self.http.post(path, data={"csrf": self.csrf, **fields}, headers=OURS)


@pytest_asyncio.fixture
async def admin(site: httpx2.AsyncClient) -> Hand:
    await sign_in(site)
    hand = Hand(site)
    await hand.sees("/admin/people")
    return hand


async def joined(admin: Hand, role: str, client: httpx2.AsyncClient) -> Hand:
    """Somebody invited with this role, signed in by their link."""
    answer = await admin.does("/admin/people", do="invite", name="Bob <b>", role=role)
    link = re.search(r'value="http://localhost:8080(/admin/join\?token=([\w-]+))"', answer.text)
    assert link is not None
    assert "Bob &lt;b&gt;" in (await client.get(link[1])).text
    assert (await client.post("/admin/join", data={"token": link[2]}, headers=OURS)).status_code == 303
    assert (await client.post("/admin/join", data={"token": link[2]}, headers=OURS)).status_code == 404  # used up
    hand = Hand(client)
    await hand.sees("/admin/flows")
    return hand


@pytest_asyncio.fixture
async def other(site: httpx2.AsyncClient) -> AsyncIterator[httpx2.AsyncClient]:
    """A second browser."""
    async with httpx2.AsyncClient(transport=site._transport, base_url="http://localhost:8080") as client:
        yield client


@pytest.mark.parametrize(
    ("role", "edits", "publishes", "invites"),
    [
        ("viewer", 403, 403, 403),
        ("editor", 303, 403, 403),
        ("publisher", 303, 403, 403),  # 403 of the demo desk, which nobody can write
        ("admin", 303, 403, 200),
    ],
)
async def test_each_role_may_do_what_its_name_says_and_no_more(
    admin: Hand, other: httpx2.AsyncClient, role: str, edits: int, publishes: int, invites: int
) -> None:
    hand = await joined(admin, role, other)
    assert (await hand.sees("/admin/flows/refund.yaml")).status_code == 200
    assert (await hand.does("/admin/flows/new", id="brand new")).status_code == edits
    answer = await hand.does("/admin/changes/publish", note="x")
    assert answer.status_code == publishes
    assert ("demo desk" in answer.text) == (role in {"publisher", "admin"})
    assert (await hand.does("/admin/people", do="invite", name="Eve", role="admin")).status_code == invites
    assert (await hand.http.get("/admin/people")).status_code == (200 if role == "admin" else 403)


async def test_whoever_is_removed_or_signs_out_is_out_at_once(admin: Hand, other: httpx2.AsyncClient) -> None:
    bob = await joined(admin, "editor", other)
    cookie = {"stafett-admin": other.cookies["stafett-admin"]}
    people = (await admin.sees("/admin/people")).text
    bobs_id = re.search(r'name="id" value="([\w-]+)"', people)
    assert bobs_id is not None
    await admin.does("/admin/people", do="role", id=bobs_id[1], role="viewer")
    assert (
        await bob.does("/admin/flows/new", id="late")
    ).status_code == 403  # a role counts from now on, not from sign-in
    await admin.does("/admin/people", do="remove", id=bobs_id[1])
    assert (await bob.sees("/admin/flows")).status_code == 401
    await sign_in(other)
    mine = {"stafett-admin": other.cookies["stafett-admin"]}
    await other.post("/admin/sign-out", headers=OURS)
    for old in (cookie, mine):  # the cookies themselves are dead, not only forgotten
        other.cookies.clear()
        other.cookies.update(old)
        assert (await other.get("/admin/flows")).status_code == 401


@pytest.mark.parametrize("csrf", ["", "0" * 64, "é"])
async def test_a_change_without_the_sessions_own_token_is_refused(admin: Hand, csrf: str) -> None:
    answer = await admin.http.post("/admin/flows/new", data={"csrf": csrf, "id": "forged"}, headers=OURS)
    assert answer.status_code == 403
    answer = await admin.http.post(
        "/admin/flows/new", data={"csrf": admin.csrf, "id": "forged"}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert "forged" not in (await admin.sees("/admin/changes")).text


async def test_every_page_is_closed_without_a_session_and_open_with_one(admin: Hand, other: httpx2.AsyncClient) -> None:
    for page in PAGES:
        path = "/admin" + re.sub(r"\{\w+(:path)?\}", "refund.yaml", page.path).rstrip("/")
        assert (await other.get(path)).status_code in {401, 405}
        assert (await other.post(path, headers=OURS)).status_code in {401, 405}
        if page.show is not None:
            answer = await admin.http.get(path)
            assert answer.status_code in {200, 403, 404}
            assert "script-src 'self';" in answer.headers["content-security-policy"]


async def test_the_console_speaks_the_readers_language_and_keeps_the_one_that_was_chosen(
    admin: Hand, other: httpx2.AsyncClient
) -> None:
    door = await other.get("/admin", headers={"Accept-Language": "he-IL,en;q=0.5"})
    assert 'lang="he" dir="rtl"' in door.text
    assert 'lang="nb"' in (await admin.sees("/admin/flows?lang=nb")).text
    assert "Flyter" in (await admin.sees("/admin/flows")).text


async def test_the_audit_says_who_came_in_and_what_they_did(admin: Hand, other: httpx2.AsyncClient) -> None:
    bob = await joined(admin, "editor", other)
    await bob.does("/admin/flows/new", id="brand_new")
    await bob.http.post("/admin/sign-out", headers=OURS)
    page = (await admin.sees("/admin/audit")).text
    for words in ("Signed in", "Signed out", "Invited", "Edited", "flows/brand_new.yaml", "Bob &lt;b&gt;"):
        assert words in page
    assert "Bob <b>" not in page


async def test_the_editor_shows_faults_with_their_lines_and_escapes_what_was_written(admin: Hand) -> None:
    broken = 'schema: 1\nflow: refund\nversion: 1\nsteps:\n  - sya: "</textarea><script>alert(1)</script>"\n'
    part = await admin.http.post(
        "/admin/flows/check/refund.yaml", data={"text": broken}, headers={**OURS, "X-Stafett-CSRF": admin.csrf}
    )
    assert part.status_code == 200
    assert 'data-line="5"' in part.text
    assert "<script>" not in part.text
    await admin.sees("/admin/flows/refund.yaml")
    seen = re.search(r'name="seen" value="(\w+)"', (await admin.sees("/admin/flows/refund.yaml")).text)
    assert seen is not None
    await admin.does("/admin/flows/refund.yaml", text=broken, seen=seen[1])
    page = (await admin.sees("/admin/flows/refund.yaml")).text
    assert "&lt;/textarea&gt;&lt;script&gt;" in page
    assert "<script>alert" not in page
    assert "<script>alert" not in (await admin.sees("/admin/changes")).text


def test_the_audit_has_words_for_all_that_is_written_in_it() -> None:
    """Every verb that the product's code hands to the audit, in the reader's language; none is shown as the code writes it."""
    heads = {"of_console": "", "of_agent": "agent_", "note": "", "_noted": ""}
    said: set[str] = set()
    for file in (one for room in ("bot", "handoff", "surveys") for one in (ROOT / room).rglob("*.py")):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name in heads and len(call.args) > 1 and getattr(call.args[0], "id", "") == "tx":
                what = call.args[1 if name == "_noted" else 2 : 3]
                said |= {heads[name] + one for part in what for one in _texts(part)}
    assert {"problem fixed", "agent_available", "notice approved", "turn dropped", "signed in"} <= said
    assert [one for one in sorted(said) if not known(f"console_did_{one.replace(': ', '_').replace(' ', '_')}")] == []


def _texts(node: ast.AST) -> set[str]:
    """What an expression can be, where it is one of several texts."""
    if isinstance(node, ast.IfExp):
        return _texts(node.body) | _texts(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()
