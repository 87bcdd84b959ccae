"""The texts grid: every sentence by language, looked for, filtered, and changed in its place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from bot.console import reworded, wording
from bot.console.material import Material, material
from bot.console.page import Page, Visit
from bot.errors import Conflict, NotFound, StafettError
from bot.texts import is_rtl
from bot.texts.refused import in_words

ON_PAGE = 25
SHOWS = ("", "missing", "faulty", "own", "unused")
KINDS = ("", *wording.KINDS)
_FILES = ("texts", "flows")


async def show(visit: Visit) -> Response:
    found = await material(visit, *_FILES)
    rows = wording.rows(found.files, found.locales)
    asked = {"q": visit.query("q")[:200], "show": visit.query("show"), "kind": visit.query("kind")}
    picked = wording.wanted(rows, asked["q"], asked["show"], asked["kind"])
    pages = max(1, -(-len(picked) // ON_PAGE))
    given = visit.query("page")
    number = min(int(given), pages) if given.isascii() and given.isdigit() and len(given) < 6 else 1
    number = max(number, 1)
    return await visit.page(
        "texts.html",
        rows=[_shown(row, found) for row in picked[(number - 1) * ON_PAGE : number * ON_PAGE]],
        total=len(picked),
        missing=sum(len(row.missing) for row in rows),
        faulty=sum(row.is_faulty for row in rows),
        asked=asked,
        number=number,
        pages=pages,
        others=[(one, f"?{urlencode({**asked, 'page': one})}") for one in (number - 1, number + 1)],
        shows=SHOWS,
        kinds=KINDS,
        columns=[(locale, "rtl" if is_rtl(locale) else "ltr") for locale in found.locales],
        here=f"?{urlencode({**asked, 'page': number})}",
    )


async def save(visit: Visit) -> Response:
    found = await material(visit, *_FILES)
    row = _row(wording.rows(found.files, found.locales), visit.form.one("row"))
    typed = _typed(visit, found)
    try:
        if visit.form.one("was") != _digest(row):
            raise Conflict(visit.t("console_texts_changed"))
        for path, text in reworded.saved(found.files, row, typed, found.locales).items():
            await visit.drafting.save(path, text, visit.person, seen=found.seen(path))
    except StafettError as refused:
        if not visit.is_part:
            raise
        return await _row_again(visit, found, row, typed, in_words(str(refused), visit.locale))
    if not visit.is_part:
        return visit.go(f"/texts{_query(visit.form.one('here'))}#{_anchor(row)}", "console_texts_saved")
    now = await material(visit, *_FILES)
    again = next(one for one in wording.rows(now.files, now.locales) if (one.kind, one.key) == (row.kind, row.key))
    return await _row_again(visit, now, again)


def _typed(visit: Visit, found: Material) -> dict[str, str]:
    """What was changed in the fields, by language."""
    fields = {locale: f"text_{locale}" for locale in found.locales if f"text_{locale}" in visit.form.fields}
    written = {locale: visit.form.one(name).replace("\0", "") for locale, name in fields.items()}
    return {locale: text for locale, text in written.items() if text != visit.form.one(f"old_{locale}", "\0")}


async def _row_again(
    visit: Visit, found: Material, row: wording.Row, typed: Mapping[str, str] | None = None, error: str = ""
) -> Response:
    """The row as it is now; what could not be kept still stands in its fields, below the reason."""
    shown = {**_shown(row, found), "typed": typed or {}, "error": error}
    return await visit.page("texts_row_saved.html", row=shown, here=visit.form.one("here"), columns=_columns(found))


async def check(visit: Visit) -> Response:
    """What is wrong with what stands in the fields just now; nothing is kept."""
    places = visit.form.many("place")
    faults = []
    for name, values in visit.form.fields.items():
        locale = name.removeprefix("text_")
        ours = f"ours_{locale}" in visit.form.fields and values[0] == visit.form.one(f"old_{locale}")
        if name.startswith("text_") and values[0].strip() and not ours:
            faults += [(locale, one) for one in wording.faults_of(values[0], places)]
    return await visit.page("texts_faults.html", faults=faults)


def _columns(found: Material) -> list[tuple[str, str]]:
    return [(locale, "rtl" if is_rtl(locale) else "ltr") for locale in found.locales]


def _row(rows: Sequence[wording.Row], row_id: str) -> wording.Row:
    row = next((one for one in rows if one.id == row_id), None)
    if row is None:
        raise NotFound("that text is not there any more; look at the list again")
    return row


def _digest(row: wording.Row) -> str:
    texts = repr([(cell.locale, cell.text, cell.own) for cell in row.cells])
    return hashlib.sha256(texts.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _anchor(row: wording.Row) -> str:
    return f"row-{hashlib.sha256(f'{row.kind} {row.key}'.encode()).hexdigest()[:10]}"


def _shown(row: wording.Row, found: Material) -> dict[str, object]:
    faults = [(cell.locale, one) for cell in row.cells for one in cell.faults]
    return {
        "row": row,
        "was": _digest(row),
        "anchor": _anchor(row),
        "faults": faults,
        "changed": row.file in found.draft.changes,
        "typed": {},
        "error": "",
    }


def _query(here: str) -> str:
    """The list as it was looked at: only what we made ourselves goes into an address."""
    return here if here.startswith("?") and "\n" not in here and len(here) < 600 else ""


PAGES = (
    Page("/texts", show, save, menu="console_texts", group="console_group_content"),
    Page("/texts/check", do=check),
)
