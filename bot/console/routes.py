"""The console's pages."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bot.console.sign_in import LIFETIME, Doorkeeper, from_our_page, password_of
from bot.settings import Settings

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = Path(__file__).parent
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
LONGEST_FORM = 4_096  # bytes

View = Callable[[], Awaitable[Mapping[str, Any]]]


class Console:
    """`view()` gives what the overview shows: name, faults, warnings, cases, figures, report, flows, articles."""

    def __init__(self, settings: Settings, secret: str, view: View) -> None:
        self._settings = settings
        password, self.password_file = password_of(settings)
        self.password = password
        self._door = Doorkeeper(settings, secret, password)
        self._view = view
        self._pages: Environment | None = None

    def routes(self) -> Sequence[BaseRoute]:
        return (
            Route("/admin", self._overview),
            Route("/admin/sign-in", self._sign_in, methods=["POST"]),
            Route("/admin/sign-out", self._sign_out, methods=["POST"]),
            Mount("/admin/static", StaticFiles(directory=HERE / "static")),
        )

    async def _overview(self, request: Request) -> Response:
        if not self._door.is_in(request.cookies):
            return self._page("sign_in.html", status=401, error="")
        return self._page("overview.html", **await self._view())

    async def _sign_in(self, request: Request) -> Response:
        address = request.client.host if request.client else ""
        if not from_our_page(request.headers, self._settings.origins):
            return self._page("sign_in.html", status=403, error="Please sign in from this page.")
        if not self._door.may_try(address, time.monotonic()):
            return self._page(
                "sign_in.html", status=429, error="Too many wrong passwords. Wait a minute, then try again."
            )
        given = (await _form(request)).get("password", "")
        if not self._door.is_right(given, address, time.monotonic()):
            return self._page("sign_in.html", status=401, error="That is not the password.")
        answer = RedirectResponse("/admin", 303)
        answer.set_cookie(
            self._door.cookie,
            self._door.session(),
            max_age=LIFETIME,
            httponly=True,
            secure=self._door.secure,
            samesite="lax",
        )
        return answer

    async def _sign_out(self, request: Request) -> Response:
        answer = RedirectResponse("/admin", 303)
        if from_our_page(request.headers, self._settings.origins):
            answer.delete_cookie(self._door.cookie, secure=self._door.secure, httponly=True, samesite="lax")
        return answer

    def _page(self, template: str, /, *, status: int = 200, **values: Any) -> Response:
        if self._pages is None:
            from jinja2 import Environment, FileSystemLoader, select_autoescape  # nobody waits for it at the start

            loader = FileSystemLoader(HERE / "pages")
            self._pages = Environment(loader=loader, autoescape=select_autoescape(default=True))
        html = self._pages.get_template(template).render(url=self._settings.url, **values)
        return HTMLResponse(html, status, {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            return {}
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
