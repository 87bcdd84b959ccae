"""A sentence of the grid of texts gets other words, and every other byte of its file stays. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.console.wording import NEW_FILE, OWN_FILE, Cell, Files, Row, parsed, to_forms
from bot.desk_folder.edit import change, change_to_map, remove
from bot.texts import built_in, canonical


def saved(files: Files, row: Row, texts: Mapping[str, str], locales: Sequence[str]) -> dict[str, str | None]:
    """The file that changes when `row` is to say `texts` (by language): path → new text, None where it is to go.

    A language that `texts` does not name stays. An empty text of a product's sentence gives it back to the product; of any
    other it leaves what was. Raises CannotEdit.
    """
    path = row.file or OWN_FILE
    raw = before = files.get(path, "" if row.file else NEW_FILE).encode("utf-8", "surrogateescape")
    if row.bare and len(locales) > 1:
        raw = _by_language(raw, row, texts, locales)
    for cell in row.cells if raw == before else ():
        text = texts.get(cell.locale, cell.text or "").replace("\r\n", "\n")
        if cell.locale not in locales or text.removesuffix("\n") == (cell.text or "").removesuffix("\n"):
            continue
        if cell.apart:
            continue
        place = _place_of(raw, row, cell.locale)
        if text.strip():
            raw = _whole(raw, row, cell.locale) if row.form and not cell.own else raw
            raw = change(raw, place, _ended(text, cell))
        elif row.kind == "product" and cell.own:
            raw = remove(raw, place[: len(row.place) + 1])
    if raw == before:
        return {}
    text = raw.decode("utf-8", "surrogateescape")
    return {path: text if parsed(text) else None}


def _by_language(raw: bytes, row: Row, texts: Mapping[str, str], locales: Sequence[str]) -> bytes:
    """A bare text becomes a wording by language, once another language has words of its own."""
    bare = next(cell.text or "" for cell in row.cells)
    said = {locale: texts.get(locale, "").strip() for locale in locales}
    first = said[locales[0]] or bare
    if all(not said[locale] for locale in locales[1:]):
        return change(raw, row.place, first) if first != bare else raw
    return change_to_map(raw, row.place, {locale: said[locale] or first for locale in locales})


def _place_of(raw: bytes, row: Row, locale: str) -> tuple[str | int, ...]:
    """Where the cell's text stands; one form of several, unless the language has one text for all numbers."""
    place = (*row.place, _language(raw, row.place, locale))
    if not row.form:
        return place
    node = parsed(raw.decode("utf-8-sig", "surrogateescape"))
    for part in place:
        node = node.entries.get(str(part)) if node is not None else None
    return place if node is not None and node.kind == "scalar" else (*place, row.form)


def _whole(raw: bytes, row: Row, locale: str) -> bytes:
    """A product's sentence that counts something, all its forms, before one of them gets other words."""
    for form, text in to_forms(built_in(str(row.place[0]))[locale]).items():
        raw = change(raw, (*row.place, locale, form), text)
    return raw


def _ended(text: str, cell: Cell) -> str:
    """A block in YAML ends with a line break, which nobody sees in a field."""
    return text + "\n" if cell.own and (cell.text or "").endswith("\n") and not text.endswith("\n") else text


def _language(raw: bytes, place: Sequence[str | int], locale: str) -> str:
    """The language as the file writes it: `no` where it says `no` for `nb`."""
    node = parsed(raw.decode("utf-8-sig", "surrogateescape"))
    for part in place:
        if node is None:
            return locale
        node = node.entries.get(part) if isinstance(part, str) else node.items[part]
    return next((one for one in node.entries if canonical(one) == locale), locale) if node is not None else locale
