"""The texts grid: every sentence by key and language, what is missing, what is wrong, and a change of one of them. Pure.

Three kinds of rows: the desk's own texts (`texts/*.yaml`), wordings that stand in a flow or in desk.yaml, and the
product's sentences, which an own text of the same key replaces language by language. `reworded` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.flows.names import TELEGRAM_TEXT
from bot.flows.source import Faults, Node, read
from bot.flows.templates import TemplateFault, places
from bot.texts import built_in, canonical, keys
from bot.texts.plural import FORMS, Plural, needed

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
    """One sentence in one language. `text` None: missing. `own` false: the product's, which nobody has reworded.

    `apart`: this language has no such form (of a sentence that counts something).
    """

    locale: str
    text: str | None
    own: bool = True
    faults: tuple[Wrong, ...] = ()
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One sentence. `place` is where it stands in `file`; `uses` the flows that say it, `kind` one of KINDS.

    `form`: this row is one form (one, two, other…) of a sentence that counts something. `bare`: one text stands there for
    every language; once a second language has words of its own, it becomes a mapping.
    """

    kind: str
    key: str
    file: str
    place: tuple[str | int, ...]
    cells: tuple[Cell, ...]
    places: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    line: int = 0
    form: str = ""
    bare: bool = False

    @property
    def id(self) -> str:
        return json.dumps([self.file, *self.place, *([self.form] if self.form else [])], ensure_ascii=False)

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(cell.locale for cell in self.cells if cell.text is None)

    @property
    def is_faulty(self) -> bool:
        return bool(self.missing) or any(cell.faults for cell in self.cells)


def rows(files: Files, locales: Sequence[str]) -> list[Row]:
    """Every row, the desk's own first, then those in flows, then the product's."""
    roots = {path: node for path, text in files.items() if path.endswith((".yaml", ".yml")) and (node := parsed(text))}
    uses = _uses(roots)
    product = {key for key in keys() if not key.startswith("console_")}  # a desk does not reword its console
    own: list[Row] = []
    said: dict[str, list[Row]] = {}
    for path, root in roots.items():
        if not path.startswith("texts/") or root.kind != "map":
            continue
        for key, node in root.entries.items():
            if node.kind != "map":
                continue
            line = root.keys[key].line
            kind = "product" if key in product else "desk"
            found = [replace(row, uses=tuple(uses.get(key, ()))) for row in _rows(kind, key, path, node, locales, line)]
            if key in product:
                said.setdefault(key, found)
            else:
                own += found
    flows = [row for path, root in roots.items() for row in _inside(path, root, locales)]
    ours = (said.get(key) or _untouched(key, locales, tuple(uses.get(key, ()))) for key in sorted(product))
    return [*own, *flows, *(row for found in ours for row in found)]


def _rows(kind: str, key: str, path: str, node: Node, locales: Sequence[str], line: int) -> list[Row]:
    """The sentence's row; one for each form where it counts something."""
    counts = any(body.kind == "map" for body in node.entries.values()) or _counts(built_in(key))
    if not counts:
        return [_row(kind, key, path, (key,), node, locales, line)]
    return [_form_row(kind, key, path, node, locales, line, form) for form in _forms(locales)]


def _counts(texts: Mapping[str, str]) -> bool:
    return any(isinstance(text, Plural) for text in texts.values())


def _forms(locales: Sequence[str]) -> list[str]:
    return [form for form in FORMS if any(form in needed(locale) for locale in locales)]


def _form_row(kind: str, key: str, path: str, node: Node | None, locales: Sequence[str], line: int, form: str) -> Row:
    bodies = {canonical(language): body for language, body in node.entries.items()} if node is not None else {}
    ours = built_in(key) if kind == "product" else {}
    named = {locale: text for locale, body in bodies.items() if (text := _in_form(body, "other")) is not None}
    wanted = wanted_places(ours or named, locales)
    cells = tuple(_form_cell(locale, bodies.get(locale), ours.get(locale), form, wanted) for locale in locales)
    return Row(kind, f"{key} · {form}", path, (key,), cells, tuple(sorted(wanted)), (), line, form)


def _form_cell(locale: str, body: Node | None, ours: str | None, form: str, wanted: frozenset[str]) -> Cell:
    if body is not None:
        text, own = _in_form(body, form), True
    else:
        text, own = to_forms(ours).get(form) if ours is not None else None, False
    if text is None and (form not in needed(locale) or (body is not None and body.kind != "map")):
        return Cell(locale, "", own, apart=True)
    faults = tuple(faults_of(text, wanted)) if text is not None and own else ()
    if form != "other":  # "one day" needs no figure
        faults = tuple(one for one in faults if one.kind != "lacks")
    return Cell(locale, text, own, faults)


def _in_form(body: Node, form: str) -> str | None:
    """A text without forms is its form `other`."""
    if body.kind != "map":
        return body.raw if form == "other" else None
    found = body.entries.get(form)
    return found.raw if found is not None and found.kind == "scalar" else None


def to_forms(text: str) -> Mapping[str, str]:
    return text.forms if isinstance(text, Plural) else {"other": text}


def parsed(text: str) -> Node | None:
    """The file as YAML; None where it is empty or broken."""
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


def _untouched(key: str, locales: Sequence[str], uses: tuple[str, ...]) -> list[Row]:
    ours = built_in(key)
    if _counts(ours):
        found = [_form_row("product", key, "", None, locales, 0, form) for form in _forms(locales)]
        return [replace(row, uses=uses) for row in found]
    cells = tuple(Cell(locale, ours.get(locale), own=False) for locale in locales)
    return [Row("product", key, "", (key,), cells, tuple(sorted(wanted_places(ours, locales))), uses)]


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
    for place, node in _bare(path, root):
        flow = root.entries["flow"].raw if "flow" in root.entries else "desk.yaml"
        cells = tuple(Cell(locale, node.raw if at == 0 else None) for at, locale in enumerate(locales))
        named = tuple(sorted(_named(node.raw)))
        yield Row("flow", f"{flow} · {_where(root, place)}", path, place, cells, named, (), node.line, bare=True)


def _bare(path: str, root: Node) -> Iterator[tuple[tuple[str | int, ...], Node]]:
    """Single texts where a wording by language may stand: customers of every language read them."""
    spots: list[tuple[tuple[str | int, ...], Node]] = []
    if path == "desk.yaml":
        section = root.entries.get("escalation")
        rules = section.entries.get("rules") if section is not None else None
        spots += [(("escalation", "rules", at, "text"), one) for at, one in enumerate(rules.items if rules else ())]
    else:
        steps = root.entries.get("steps")
        spots.append((("title",), root))
        for at, step in enumerate(steps.items if steps is not None else ()):
            spots += [(("steps", at, key), step) for key in ("say", "text", "error", "kb")]
            spots += [(("steps", at, "retry", "text"), step.entries["retry"])] if "retry" in step.entries else []
            options = step.entries.get("options")
            listed = options.items if options is not None else ()
            spots += [(("steps", at, "options", n, "label"), one) for n, one in enumerate(listed)]
    for place, parent in spots:
        node = parent.entries.get(str(place[-1]))
        if node is not None and node.kind == "scalar" and node.raw.strip() and not _is_key(node.raw):
            yield place, node


def _is_key(text: str) -> bool:
    return text.startswith("$") and " " not in text


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


def _uses(roots: Mapping[str, Node]) -> dict[str, list[str]]:
    """Key → the flows (or files) that name it as `$key`."""
    found: dict[str, dict[str, None]] = {}
    for path, root in roots.items():
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
