"""What a page of the console is made of: its place, who may see it and change something there, and one visit to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bot.console.drafting import Drafting
from bot.console.people import Person, Role
from bot.console.played import LastPlayed
from bot.console.sign_in import CSRF_HEADER, Session
from bot.errors import Conflict
from bot.model import Choice
from bot.settings import Settings
from bot.storage.engine import Storage
from bot.texts import is_rtl, known, say

if TYPE_CHECKING:
    from jinja2 import Environment

    from bot.desk_folder.desk import Desk
    from bot.desk_folder.watch import DeskInForce

HERE = Path(__file__).parent
LOCALES = ("en", "nl", "nb", "he")  # what the console speaks
LONGEST_FORM = 4 * 1024 * 1024  # bytes: a file of 1 MiB, escaped
MOST_FIELDS = 5_000
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Handler: TypeAlias = Callable[["Visit"], Awaitable[Response]]
View = Callable[[], Awaitable[Mapping[str, Any]]]
Draw: TypeAlias = Callable[[str, Sequence[Choice]], Sequence[tuple[str, Sequence[Sequence[str]]]]]
"""What becomes of a text (Markdown) and its choices on one channel: posts, each its safe HTML and its rows of buttons."""


@dataclass(frozen=True, slots=True)
class Page:
    """One address below /admin. `show` answers GET, `do` POST; `role` is needed to see it, `role_to_do` to change something.

    `menu` is the key of its word in the menu ("" for a page that is reached from another one), `group` the key of the
    heading it stands under. `path` may hold Starlette's parameters: "/flows/{path:path}".
    """

    path: str
    show: Handler | None = None
    do: Handler | None = None
    role: Role = Role.VIEWER
    role_to_do: Role = Role.EDITOR
    menu: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Wing:
    """Pages that another room brings: `bot/app.py` puts them into the console, which must not know that room.

    `templates` is the folder of their templates (names of their own), `static` that of the files served at /admin/static/`name`.
    """

    name: str
    pages: Sequence[Page]
    templates: Path
    static: Path | None = None


@dataclass(frozen=True, slots=True)
class Rooms:
    """What pages may reach. `overview()` gives what the first page shows; `drawn` how a text looks on each channel."""

    settings: Settings
    storage: Storage
    desk: DeskInForce
    drafting: Drafting
    overview: View
    drawn: Mapping[str, Draw] = field(default_factory=dict)
    played: LastPlayed = field(default_factory=LastPlayed)

    @property
    def rules(self) -> Desk:
        """The desk in force."""
        return self.desk.desk


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a POST; line ends are plain newlines."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def one(self, name: str, default: str = "") -> str:
        found = self.fields.get(name)
        return found[0] if found else default

    def many(self, name: str) -> Sequence[str]:
        return self.fields.get(name, ())


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page shows around itself. `drafts`: how many files are changed; `told`: the line left by the last page."""

    drafts: int = 0
    told: tuple[str, Mapping[str, Any]] | None = None
    csrf: str = ""
    banner: str = ""  # key of a text


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in, and who may do what they ask."""

    request: Request
    rooms: Rooms
    person: Person
    session: Session
    locale: str
    form: Form
    frame: Frame
    shell: Shell

    @property
    def drafting(self) -> Drafting:
        return self.rooms.drafting

    @property
    def is_part(self) -> bool:
        """Whether htmx asks, and wants a part of a page."""
        return is_part(self.request)

    def t(self, key: str, /, **values: object) -> str:
        return say(key, self.locale, None, **values)

    def param(self, name: str) -> str:
        return str(self.request.path_params.get(name, ""))

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    async def page(self, template: str, /, *, status: int = 200, **values: Any) -> Response:
        """A whole page, or the same template's part for htmx. `template` has t, person, may, url_of, csrf …, and `values`."""
        return await self.shell.page(self, template, status, values)

    def go(self, path: str, told: str = "", /, **values: str) -> Response:
        """To another page, which says `told` (a text's key) once."""
        return self.shell.go(path, told, values)


class Shell:
    """Renders templates in the console's frame. One for all visits."""

    def __init__(
        self,
        menu: Sequence[Page],
        told_cookie: str,
        tell: Callable[[str, Mapping[str, str]], str],
        templates: Sequence[Path] = (),
    ) -> None:
        self._menu = [one for one in menu if one.menu]
        self._folders = (HERE / "templates", *templates)
        self._told_cookie, self._tell = told_cookie, tell
        self._templates: Environment | None = None

    def go(self, path: str, told: str, values: Mapping[str, str]) -> Response:
        answer = RedirectResponse(f"/admin{path}", 303, {"Cache-Control": "no-store"})
        if told:
            secure = self._told_cookie.startswith("__Host-")
            answer.set_cookie(self._told_cookie, self._tell(told, values), max_age=60, httponly=True, secure=secure)
        return answer

    async def page(self, visit: Visit, template: str, status: int, values: Mapping[str, Any]) -> Response:
        place = visit.request.url.path.removeprefix("/admin") or "/"
        frame = visit.frame
        told = visit.t(frame.told[0], **frame.told[1]) if frame.told and known(frame.told[0]) else ""
        answer = self.html(
            template,
            visit.locale,
            status,
            person=visit.person,
            may=lambda name: visit.person.may(Role[name.upper()]),
            csrf=frame.csrf,
            told=told,
            drafts=frame.drafts,
            banner=frame.banner,
            name=visit.rooms.rules.name,
            groups=self._groups(visit.person, place),
            place=place,
            is_part=visit.is_part,
            **values,
        )
        if frame.told is not None:
            answer.delete_cookie(self._told_cookie, secure=self._told_cookie.startswith("__Host-"), httponly=True)
        return answer

    def html(self, template: str, locale: str, status: int = 200, /, **values: Any) -> Response:
        """A template without anybody signed in."""
        if self._templates is None:
            from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape  # nobody waits for it

            loader = FileSystemLoader(self._folders)
            self._templates = Environment(
                loader=loader,
                autoescape=select_autoescape(default=True),
                undefined=StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
            )
            self._templates.globals |= {"url_of": url_of, "language": lambda code: NAMES.get(code, code)}
        shown = self._templates.get_template(template).render(
            t=lambda key, **more: say(key, locale, None, **more),
            locale=locale,
            dir="rtl" if is_rtl(locale) else "ltr",
            locales=[(one, NAMES[one]) for one in LOCALES],
            **values,
        )
        return HTMLResponse(shown, status, HEADERS)

    def _groups(self, person: Person, place: str) -> list[tuple[str, list[tuple[str, str, bool]]]]:
        """The menu: headings, each with its entries: path, key of the word, whether we are there."""
        groups: dict[str, list[tuple[str, str, bool]]] = {}
        seen = [one for one in self._menu if person.may(one.role)]
        here = max(
            (one.path for one in seen if f"{place}/".startswith(f"{one.path.rstrip('/')}/")), key=len, default=""
        )
        for one in seen:
            groups.setdefault(one.group, []).append((one.path, one.menu, one.path == here))
        return list(groups.items())


NAMES = {"en": "English", "nl": "Nederlands", "nb": "Norsk", "he": "עברית"}


def url_of(*parts: str) -> str:
    """An address of the console, its parts escaped: "flows", "flows/refund.yaml" → "/admin/flows/flows/refund.yaml"."""
    return "/".join(("/admin", *(quote(one) for one in parts)))


def is_part(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


async def form_of(request: Request) -> Form:
    """The fields of a form. Raises Conflict for one that is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            raise Conflict("that is more than the console takes at once; at most 1 MB a file")
    try:
        fields = await asyncio.to_thread(
            parse_qs, body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise Conflict("that form has too many fields") from error
    return Form({name: [one.replace("\r\n", "\n") for one in values] for name, values in fields.items()})


def given_csrf(request: Request, form: Form) -> str:
    return request.headers.get(CSRF_HEADER, "") or form.one("csrf")
