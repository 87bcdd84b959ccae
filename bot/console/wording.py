"""The texts grid: every sentence by key and language, what is missing, what is wrong, and a change of one of them. Pure.

Three kinds of rows: the desk's own texts (`texts/*.yaml`), wordings that stand in a flow or in desk.yaml, and the
product's sentences, which an own text of the same key replaces language by language. What is written goes through
`bot.desk_folder.edit`: every other byte of the file stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.desk_folder.edit import change, remove
from bot.flows.names import TELEGRAM_TEXT
from bot.flows.source import Faults, Node, read
from bot.flows.templates import TemplateFault, places
from bot.texts import built_in, canonical, keys

Files = Mapping[str, str]
"""Path within the desk folder → the file's text."""

OWN_FILE = "texts/own.yaml"
"""Where an own wording of a product's sentence goes when no file has one yet."""
NEW_FILE = (
    "# Sentences of the product in this desk's own words: a language that is not here says it as it always did.\n"
)
KINDS = ("desk", "flow", "product")


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a wording, for a reader of any language: `console_texts_fault_<kind>` says it."""

    kind: str  # template | lacks | strange | long
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One sentence in one language. `text` None: missing. `own` false: the product's, which nobody has reworded."""

    locale: str
    text: str | None
    own: bool = True
    faults: tuple[Wrong, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One sentence. `place` is where it stands in `file`; `uses` the flows that say it, `kind` one of KINDS."""

    kind: str
    key: str
    file: str
    place: tuple[str | int, ...]
    cells: tuple[Cell, ...]
    places: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    line: int = 0

    @property
    def id(self) -> str:
        return json.dumps([self.file, *self.place], ensure_ascii=False)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(cell.locale for cell in self.cells if cell.text is None)

    @property
    def is_faulty(self) -> bool:
        return bool(self.missing) or any(cell.faults for cell in self.cells)


def rows(files: Files, locales: Sequence[str]) -> list[Row]:
    """Every row, the desk's own first, then those in flows, then the product's."""
    parsed = {path: node for path, text in files.items() if path.endswith((".yaml", ".yml")) and (node := _read(text))}
    uses = _uses(parsed)
    product = {key for key in keys() if not key.startswith("console_")}  # a desk does not reword its console
    own: list[Row] = []
    said: dict[str, Row] = {}
    for path, root in parsed.items():
        if not path.startswith("texts/") or root.kind != "map":
            continue
        for key, node in root.entries.items():
            if node.kind != "map":
                continue
            line = root.keys[key].line
            row = _row("product" if key in product else "desk", key, path, (key,), node, locales, line)
            row = replace(row, uses=tuple(uses.get(key, ())))
            if key in product:
                said.setdefault(key, row)
            else:
                own.append(row)
    flows = [row for path, root in parsed.items() for row in _inside(path, root, locales)]
    ours = [said.get(key) or _untouched(key, locales, tuple(uses.get(key, ()))) for key in sorted(product)]
    return [*own, *flows, *ours]


def _read(text: str) -> Node | None:
    return read("", text.replace("\r\n", "\n"), Faults())


def _row(
    kind: str, key: str, file: str, place: tuple[str | int, ...], node: Node, locales: Sequence[str], line: int
) -> Row:
    found = {canonical(language): body.raw for language, body in node.entries.items() if body.kind == "scalar"}
    ours = built_in(key) if kind == "product" else {}
    texts = {locale: (found[locale], True) if locale in found else (ours.get(locale), False) for locale in locales}
    wanted = wanted_places(ours or found, locales)
    cells = tuple(
        Cell(locale, text, own, tuple(faults_of(text, wanted)) if text is not None and own else ())
        for locale, (text, own) in texts.items()
    )
    return Row(kind, key, file, place, cells, tuple(sorted(wanted)), (), line)


def _untouched(key: str, locales: Sequence[str], uses: tuple[str, ...]) -> Row:
    ours = built_in(key)
    cells = tuple(Cell(locale, ours.get(locale), own=False) for locale in locales)
    return Row("product", key, "", (key,), cells, tuple(sorted(wanted_places(ours, locales))), uses)


def _inside(path: str, root: Node, locales: Sequence[str]) -> Iterator[Row]:
    """The wordings by language that stand in a flow itself, or in desk.yaml."""
    if not (path == "desk.yaml" or path.startswith("flows/")):
        return
    for place, node, key in _maps(root):
        languages = {canonical(language) for language in node.entries}
        texts = all(body.kind == "scalar" and isinstance(body.value, str) for body in node.entries.values())
        if languages and texts and languages <= {*locales, "en", "nl", "nb", "he"}:
            flow = root.entries["flow"].raw if "flow" in root.entries else "desk.yaml"
            yield _row("flow", f"{flow} · {_where(root, place)}", path, place, node, locales, key.line)


def _maps(root: Node) -> Iterator[tuple[tuple[str | int, ...], Node, Node]]:
    """Every mapping below the root: its place, itself, and the node of its key or itself."""
    waiting: list[tuple[tuple[str | int, ...], Node, Node]] = [((), root, root)]
    while waiting:
        place, node, key = waiting.pop()
        if node.kind == "map" and place:
            yield place, node, key
        below = [((*place, name), child, node.keys[name]) for name, child in node.entries.items()]
        below += [((*place, at), child, child) for at, child in enumerate(node.items)]
        waiting += reversed(below)


def _where(root: Node, place: tuple[str | int, ...]) -> str:
    """`q_order · text`: the nearest id above, and the key."""
    node, name = root, ""
    for part in place:
        node = node.entries[part] if isinstance(part, str) else node.items[part]
        if node.kind == "map" and ("id" in node.entries or "value" in node.entries):
            name = (node.entries.get("id") or node.entries["value"]).raw
        elif isinstance(part, int):
            name = name or str(part + 1)
    key = " ".join(str(part) for part in place[-2:] if isinstance(part, str))
    return f"{name} · {key}" if name else key


def _uses(parsed: Mapping[str, Node]) -> dict[str, list[str]]:
    """Key → the flows (or files) that name it as `$key`."""
    found: dict[str, dict[str, None]] = {}
    for path, root in parsed.items():
        if path.startswith(("texts/", "tests/")):
            continue
        name = root.entries["flow"].raw if "flow" in root.entries else path
        waiting = [root]
        while waiting:
            node = waiting.pop()
            waiting += [*node.items, *node.entries.values()]
            if node.kind == "scalar" and node.raw.startswith("$") and " " not in node.raw:
                found.setdefault(node.raw[1:], {})[name] = None
    return {key: [*names] for key, names in found.items()}


# ── what is wrong with a wording ──


def wanted_places(texts: Mapping[str, str], locales: Sequence[str]) -> frozenset[str]:
    """The values that a sentence names: those of its first language that has any."""
    for locale in (*locales, *texts):
        if locale in texts and (named := _named(texts[locale])):
            return named
    return frozenset()


def _named(text: str) -> frozenset[str]:
    try:
        return frozenset(place.name for place in places(text))
    except TemplateFault:
        return frozenset()


def faults_of(text: str, wanted: Iterable[str]) -> Iterator[Wrong]:
    """What is wrong with one wording of a sentence whose wordings name the values `wanted`."""
    try:
        named = frozenset(place.name for place in places(text))
    except TemplateFault as error:
        yield Wrong("template", {"why": error.message})
        return
    wanted = frozenset(wanted)
    if missing := sorted(wanted - named):
        yield Wrong("lacks", {"names": _listed(missing)})
    if strange := sorted(named - wanted):
        yield Wrong("strange", {"names": _listed(strange)})
    if len(text) > TELEGRAM_TEXT:
        yield Wrong("long", {"count": str(len(text)), "most": str(TELEGRAM_TEXT)})


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"{{{{ {name} }}}}" for name in names)


# ── looking ──


def wanted(found: Sequence[Row], query: str = "", show: str = "", kind: str = "") -> list[Row]:
    """The rows with all words of `query` in key or texts; `show` missing | faulty | own | unused, `kind` one of KINDS."""
    said = query.casefold().split()
    return [row for row in found if (not kind or row.kind == kind) and _shown(row, show) and _says(row, said)]


def _shown(row: Row, show: str) -> bool:
    if show == "missing":
        return bool(row.missing)
    if show == "faulty":
        return row.is_faulty
    if show == "own":
        return row.kind == "product" and any(cell.own for cell in row.cells)
    return row.kind == "desk" and not row.uses if show == "unused" else True


def _says(row: Row, said: Sequence[str]) -> bool:
    text = " ".join((row.key, row.file, *(cell.text or "" for cell in row.cells))).casefold()
    return all(word in text for word in said)


# ── changing ──


def saved(files: Files, row: Row, texts: Mapping[str, str], locales: Sequence[str]) -> dict[str, str | None]:
    """The file that changes when `row` is to say `texts` (by language): path → new text, None where it is to go.

    A language that `texts` does not name stays. An empty text of a product's sentence gives it back to the product; of any
    other it leaves what was. Raises CannotEdit.
    """
    path = row.file or OWN_FILE
    raw = before = files.get(path, "" if row.file else NEW_FILE).encode("utf-8", "surrogateescape")
    for cell in row.cells:
        text = texts.get(cell.locale, cell.text or "").replace("\r\n", "\n")
        if cell.locale not in locales or text.removesuffix("\n") == (cell.text or "").removesuffix("\n"):
            continue
        place = (*row.place, _language(raw, row.place, cell.locale))
        if text.strip():
            raw = change(raw, place, _ended(text, cell))
        elif row.kind == "product" and cell.own:
            raw = remove(raw, place)
    if raw == before:
        return {}
    text = raw.decode("utf-8", "surrogateescape")
    return {path: text if _read(text) else None}


def _ended(text: str, cell: Cell) -> str:
    """A block in YAML ends with a line break, which nobody sees in a field."""
    return text + "\n" if cell.own and (cell.text or "").endswith("\n") and not text.endswith("\n") else text


def _language(raw: bytes, place: Sequence[str | int], locale: str) -> str:
    """The language as the file writes it: `no` where it says `no` for `nb`."""
    node = _read(raw.decode("utf-8-sig", "surrogateescape"))
    for part in place:
        if node is None:
            return locale
        node = node.entries.get(part) if isinstance(part, str) else node.items[part]
    return next((one for one in node.entries if canonical(one) == locale), locale) if node is not None else locale
