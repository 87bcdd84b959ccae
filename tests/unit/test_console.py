"""The admin's pages: one password, a signed cookie, a brake on guessing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from bot.console.routes import Console
from bot.console.sign_in import PER, TRIES, Doorkeeper, from_our_page, password_of
from bot.desk_folder.watch import DeskInForce
from bot.settings import Settings
from bot.storage import tables as t
from bot.storage.engine import Storage

VIEW = {
    "faults": ["telegram: <b>down</b>"],
    "warnings": [],
    "figures": [("console_fig_customers", 3)],
    "report": "ces7 5.3",
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
    made = Storage(f"sqlite+aiosqlite:///{tmp_path / 'console.db'}")
    await made.open()
    await made.write(lambda tx: t.metadata.create_all(tx.conn))
    yield made
    await made.close()


@pytest_asyncio.fixture
async def site(storage: Storage) -> AsyncIterator[httpx2.AsyncClient]:
    console = Console(settings(), "a secret of the house", storage, DeskInForce(), view)
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
    assert (page.status_code, "ces7 5.3" in page.text) == (200, True)
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
    door = Doorkeeper(settings(), "s", "open sesame")
    for number in range(TRIES):
        assert door.may_try("a", number)
        assert not door.is_right("wrong", "a", number)
    assert not door.may_try("a", TRIES)
    assert door.may_try("b", TRIES)
    assert door.may_try("a", PER + 1)


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "eyJvZiI6ICJ4In0.x.y", "\x00"])
def test_no_made_up_cookie_opens(cookie: str) -> None:
    door = Doorkeeper(settings(), "s", "open sesame")
    assert door.session({door.cookie: cookie}) is None


def test_a_session_ends_with_its_password_and_with_its_secret() -> None:
    door = Doorkeeper(settings(), "s", "open sesame")
    cookie = {door.cookie: door.begin()}
    assert door.session(cookie) is not None
    assert Doorkeeper(settings(), "s", "another").session(cookie) is None
    assert Doorkeeper(settings(), "t", "open sesame").session(cookie) is None


def test_on_https_the_cookie_is_bound_to_its_host() -> None:
    door = Doorkeeper(settings(public_url="https://help.example"), "s", "p")
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
