"""The console's and the web desk's forms, filled in by machines: whatever comes is taken, or refused in one line.

Each form is posted as the pages show it, then with its fields gone wrong; each address also with fields of its own module and
odd parameters in its path. Somebody who is signed in does it, and somebody who is not. The seed is printed.
"""

from __future__ import annotations

import inspect
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from sqlalchemy import Table, select
from starlette.routing import Route

from bot.desk_folder import DEMO_DESK
from bot.server import asgi
from bot.storage import tables as t
from handoff.web.verbs import VERBS
from tests.faults import chance
from tests.faults.mutations import IN_A_PATH, NASTY, as_bytes, mutated, scrambled
from tests.support.house import House

COUNT = 50_000 if chance.is_long() else 100
FORM = "application/x-www-form-urlencoded"
ODD = (*IN_A_PATH, "flows/new.yaml")
FIELD = re.compile(r"""(?:one|many|query|get|needed|moment)\((?:self\.)?(?:visit\.form, |form, |body, )?"(\w+)\"""")
Request = tuple[str, dict[str, str], bytes]

pytestmark = pytest.mark.timeout(7200 if chance.is_long() else 300)


class Forms(HTMLParser):
    """The forms of a page that are posted: (action, fields)."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str]]]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = of.get("method", "").lower() == "post"
            if self._inside:
                self.found.append((of.get("action", ""), []))
        elif self._inside and "name" in of:
            self.found[-1][1].append((of["name"], of.get("value", "")))
        for name in ("hx-post", "formaction"):
            if of.get(name) and self.found:
                self.found.append((of[name], self.found[-1][1]))

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    desk = tmp_path / "desk"
    shutil.copytree(DEMO_DESK, desk)
    async with House(tmp_path, desk=desk) as made:
        yield made


def door(house: House, **headers: str) -> httpx2.AsyncClient:
    """What nobody foresaw is raised here, with where it happened."""
    transport = httpx2.ASGITransport(app=asgi(house.app), client=("127.0.0.1", 1))
    return httpx2.AsyncClient(transport=transport, base_url=house.url, headers={"Origin": house.url, **headers})


def routes_below(house: House, top: str) -> list[Route]:
    """The addresses that are posted to."""
    found = [one for one in house.app.routes() if isinstance(one, Route) and one.path.startswith(top)]
    return [one for one in found if "POST" in (one.methods or ()) and "sign-out" not in one.path]


def path_of(template: str, known: list[str], luck: Random) -> str:
    return re.sub(r"\{[^}]+\}", lambda _: luck.choice(known if luck.random() < 0.6 else ODD), template)


async def pour(http: httpx2.AsyncClient, requests: Iterator[Request]) -> Counter[int]:
    """Post them all; how often each status came."""
    statuses: Counter[int] = Counter()
    for path, headers, body in requests:
        about = f"seed {chance.seed()}: {path[:200]} {headers} {body[:2000]!r}"
        try:
            answer = await http.post(httpx2.URL(f"{http.base_url}".rstrip("/") + path), headers=headers, content=body)
        except Exception as error:
            raise AssertionError(about) from error
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, about
        assert "Traceback" not in answer.text, about
    print(f"seed {chance.seed()}: {dict(statuses)}")
    return statuses


# ── the console ────────────────────────────────────────────────────────────────────────────────────────────────────
async def forms_of(http: httpx2.AsyncClient, pages: list[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """As they stand on the pages."""
    found: list[tuple[str, list[tuple[str, str]]]] = []
    for page in pages:
        shown = await http.get(page)
        assert shown.status_code < 500, page
        parser = Forms()
        parser.feed(shown.text)
        found += [(action or page, fields) for action, fields in parser.found if "sign-" not in action]
    return found


def wrong(fields: list[tuple[str, str]], luck: Random) -> list[tuple[str, str]]:
    """One to three of them gone wrong: left out, doubled, or with something else in them. Never the proof of our page."""
    made = list(fields)
    for _ in range(luck.choice((0, 1, 1, 2, 3))):
        at = luck.randrange(len(made) + 1)
        name = made[at][0] if at < len(made) else luck.choice(("action", "id", "path", "text", "\x00", ""))
        match luck.randrange(4):
            case 0:
                made = made[:at] + made[at + 1 :]
            case 1:
                made.append((name, str(luck.choice(made)[1]) if made else ""))
            case _:
                made = [*made[:at], (name, str(luck.choice(NASTY))), *made[at + 1 :]]
    return [(name, value) for name, value in made if name != "csrf"]


def fields_of(route: Route, known: list[str], luck: Random) -> list[tuple[str, str]]:
    """What the module behind this address asks a form for, with something in each."""
    page = inspect.getclosurevars(route.endpoint).nonlocals.get("page")
    source = inspect.getsource(inspect.getmodule(page.do) or pytest) if page is not None else ""
    names = sorted({*FIELD.findall(source), "action"})
    return [(one, luck.choice(known if luck.random() < 0.5 else [str(x) for x in NASTY])) for one in names]


async def test_f39_the_consoles_forms_take_whatever_comes(house: House) -> None:
    luck = chance.chance("console")
    visitor = await house.visitor()
    await visitor.says("talk to a human")
    await visitor.hears("queue")
    known = [
        "desk.yaml",
        "flows/order.yaml",
        "1",
        "2026-03-09",
        "en",
        "open",
        "save",
        *(await ids(house, t.cases, t.customers, t.messages)),
    ]
    async with door(house) as http, door(house) as stranger:
        await http.post("/admin/sign-in", data={"password": "open sesame", "name": "Ann"})
        routes = routes_below(house, "/admin")
        assert len(routes) > 30
        plain = [one.path for one in house.app.routes() if isinstance(one, Route) and one.path.startswith("/admin")]
        pages = [one for one in dict.fromkeys(plain) if "{" not in one and "GET" in methods(house, one)]
        forms = await forms_of(http, [*pages, "/admin/files/desk.yaml"])
        assert len(forms) > 20
        csrf = next(value for _, fields in forms for name, value in fields if name == "csrf")

        def requests(who: dict[str, str]) -> Iterator[Request]:
            for number in range(COUNT):
                route = routes[number // 2 % len(routes)]
                path, fields = path_of(route.path, known, luck), fields_of(route, known, luck)
                if number % 2:
                    path, fields = luck.choice(forms)
                raw = urlencode(wrong(fields, luck), errors="replace").encode()
                headers = who | {"Content-Type": FORM, "HX-Request": luck.choice(("true", "false"))}
                yield path, headers, scrambled(raw, luck) if luck.random() < 0.1 else raw

        done = await pour(http, requests({"X-Stafett-CSRF": csrf}))
        assert done[200] + done[303] > COUNT / 5, done
        assert set(await pour(stranger, requests({}))) <= {200, 303, 401, 403, 404, 405, 429}
        assert (await http.get("/admin")).status_code == 200


def methods(house: House, path: str) -> set[str]:
    found: set[str] = set()
    for one in house.app.routes():
        if isinstance(one, Route) and one.path == path:
            found |= one.methods or set()
    return found


async def ids(house: House, *tables: Table) -> list[str]:
    found = await house.app.storage.read(
        lambda conn: [conn.execute(select(one.c.id)).scalars().all() for one in tables]
    )
    return [str(one) for some in found for one in some]


# ── the web desk ───────────────────────────────────────────────────────────────────────────────────────────────────
GOOD: dict[str, Any] = {
    "text": "hello", "ref": "00000000-0000-0000-0000-000000000001", "files": [], "anyway": True, "as_note": False,
    "until": "2026-03-10T12:00:00+00:00", "agent": "demo", "team": "support", "outcome": "resolved", "topic": "delivery",
    "reason": "because", "available": True, "busy": False, "note": False, "due_at": "2026-03-10T12:00:00Z", "do": "talk",
    "owner": "demo", "id": "00000000-0000-0000-0000-000000000001", "given": {}, "score": 3, "at": "2026-03-09T12:00:00Z",
    "customer": "x", "identity": "x", "what": "talk", "errand": "x", "seq": 1,
}  # fmt: skip


async def test_f39_the_web_desks_posts_take_whatever_comes(tmp_path: Path) -> None:
    luck = chance.chance("desk")
    async with House(tmp_path) as house:
        visitor = await house.visitor()
        await visitor.says("talk to a human")
        await visitor.hears("queue")
        known = await ids(house, t.cases)
        paths = [one.path for one in routes_below(house, "/desk")]
        paths += [one.replace("{verb}", verb) for one in paths if "{verb}" in one for verb in VERBS]
        assert len(paths) > 20
        async with door(house) as http, door(house) as stranger:
            await http.get("/desk")
            csrf = (await http.get("/desk/api/me")).json()["csrf"]

            def requests(who: dict[str, str]) -> Iterator[Request]:
                for number in range(COUNT):
                    path = path_of(paths[number % len(paths)], known, luck)
                    good = {name: value for name, value in GOOD.items() if luck.random() < 0.8}
                    raw = as_bytes(mutated(good, luck) if luck.random() < 0.6 else good, luck)
                    kinds = ["application/json"] * 8 + ["text/plain", FORM, "multipart/form-data; boundary=x", ""]
                    headers = who | {
                        "Content-Type": luck.choice(kinds),
                        "X-File-Name": luck.choice(["a.png", "%00", "x" * 999]),
                    }
                    yield path, headers, scrambled(raw, luck) if luck.random() < 0.2 else raw

            done = await pour(http, requests({"X-Stafett-CSRF": csrf}))
            assert done[200] > COUNT / 50, done
            assert set(await pour(stranger, requests({}))) <= {401, 403, 404, 405}
            assert (await http.get("/desk/api/me")).status_code == 200
