"""The answers of `/desk`: its pages, their headers, and refusals."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

from bot.texts import is_rtl, say

STATIC = Path(__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types stafett-desk"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
TITLES = {
    400: "Bad request",
    401: "Unauthorised",
    403: "Forbidden",
    404: "Not found",
    409: "Conflict",
    413: "Too large",
    415: "Not accepted",
    429: "Too many requests",
    503: "Not available",
}


def desk_page() -> Response:
    return HTMLResponse((STATIC / "desk.html").read_text(encoding="utf-8"), headers=HEADERS)


def door(locale: str, title: str, text: str, *, status: int = 200, token: str = "", **values: str) -> Response:
    """The page before the desk: why one is not in, or the button that uses a link up. `title`, `text` are texts' keys."""
    page = Template((STATIC / "door.html").read_text(encoding="utf-8"))
    words = {key: escape(say(key, locale, **values)) for key in (title, text, "desk_join_button", "desk_door_foot")}
    filled = page.substitute(
        lang=locale,
        dir="rtl" if is_rtl(locale) else "ltr",
        title=words[title],
        text=words[text],
        button=words["desk_join_button"],
        foot=words["desk_door_foot"],
        token=escape(token, quote=True),
        has_token="" if token else "hidden",
        no_token="hidden" if token else "",
    )
    return HTMLResponse(filled, status, headers=HEADERS)


def answer(value: Any, status: int = 200) -> Response:
    return JSONResponse(value, status, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


def refusal(status: int, detail: str, code: str, more: Mapping[str, Any] | None = None) -> Response:
    """RFC 9457, with a `code` by which the page finds its own words."""
    body = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "detail": detail}
    headers = {"Cache-Control": "no-store"}
    return JSONResponse({**body, "code": code, **(more or {})}, status, headers, "application/problem+json")


def not_found() -> Response:
    """The same for what is not there and for what is not theirs."""
    return refusal(404, "there is nothing here by that name", "not_found")
