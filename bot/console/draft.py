"""The draft: changed files of the desk, layered over the folder that is the truth.

What lives here: which files may be changed, how a file's text is shown and kept, what a draft contains, its differences
from the folder, its faults. What it must not know: who is signed in, the database, HTTP.

A text is kept as the file has it, byte for byte: CRLF line ends and a byte order mark stay what they are, although a
browser shows neither (`shown`, `as_kept`).
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bot.desk_folder.desk import Desk
from bot.desk_folder.load import DeskFaults, load
from bot.errors import Conflict, DeskFault, NotAllowed
from bot.flows.source import MAX_BYTES, Fault

KINDS: Mapping[str, tuple[str, ...]] = {
    "flows": (".yaml", ".yml"),
    "texts": (".yaml", ".yml"),
    "knowledge": (".md",),
    "macros": (".md",),
    "tests": (".yaml", ".yml"),
    "data": (".csv",),
}
"""Folder → the endings of its files. desk.yaml stands beside them."""

_PART = re.compile(r"[\w][\w.-]{0,99}\Z")
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Change:
    """One file as it is to be. `base_hash`: of the file that was changed, None: there was none. `text` None: it is to go."""

    path: str
    base_hash: str | None
    text: str | None
    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Checked:
    """What the loader says of a draft: the desk, or None and its faults. Faults name files within the folder."""

    desk: Desk | None
    faults: tuple[Fault, ...]

    @property
    def is_good(self) -> bool:
        return self.desk is not None

    def of(self, path: str) -> list[Fault]:
        """Faults and warnings of one file, in the order of its lines."""
        return [one for one in self.faults if one.file == path]


@dataclass(frozen=True, slots=True)
class Draft:
    """The folder with its changes over it."""

    folder: Path
    changes: Mapping[str, Change] = field(default_factory=dict)

    def text(self, path: str) -> str | None:
        """The file as it is to be, byte for byte; None where there is none."""
        change = self.changes.get(path)
        return change.text if change is not None else on_disk(self.folder, path)

    def paths(self, under: str) -> list[str]:
        """The files of one of KINDS, in order, those that are to go left out."""
        root = self.folder / under
        there = (
            {one.relative_to(self.folder).as_posix() for one in root.rglob("*") if one.is_file()}
            if root.is_dir()
            else set()
        )
        for path, change in self.changes.items():
            there = there - {path} if change.text is None else there | {path}
        return sorted(path for path in there if path.startswith(f"{under}/") and is_editable(path))

    def layers(self, more: Mapping[str, str | None] | None = None) -> dict[str, str | None]:
        """The changes as `load` takes them, with `more` over them."""
        return {**{path: change.text for path, change in self.changes.items()}, **(more or {})}

    def check(self, more: Mapping[str, str | None] | None = None) -> Checked:
        """Load it all. Reads files and takes some 50 ms: run it in a thread."""
        try:
            desk = load(self.folder, self.layers(more))
        except DeskFaults as error:
            return Checked(None, tuple(self._within(one) for one in error.faults))
        except DeskFault as error:
            return Checked(None, (Fault("", 1, 1, str(error)),))
        return Checked(desk, tuple(self._within(one) for one in desk.warnings))

    def conflicts(self) -> list[str]:
        """The files that were changed in the folder since they were changed here."""
        there = {path: on_disk(self.folder, path) for path in self.changes}
        return [
            path
            for path, one in self.changes.items()
            if there[path] != one.text and hash_of(there[path]) != one.base_hash
        ]

    def _within(self, fault: Fault) -> Fault:
        inside = fault.file.removeprefix(f"{self.folder}/")
        message = fault.message.replace(f"{self.folder}/", "")
        return Fault(inside, fault.line, fault.column, message, fault.severity, fault.rule)


# ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def is_editable(path: str) -> bool:
    """desk.yaml, or a file in one of the desk's folders with that folder's ending; nothing hidden, nothing outside."""
    if path == "desk.yaml":
        return True
    parts = path.split("/")
    if not 2 <= len(parts) <= 6 or len(path) > 200 or not all(_PART.match(one) for one in parts):
        return False
    return parts[-1].lower().endswith(KINDS.get(parts[0], ()) or ("\0",))


def checked_path(path: str) -> str:
    """Raises NotAllowed for what is no file of a desk."""
    if not is_editable(path):
        raise NotAllowed(f'"{path[:100]}" is no file of a desk; use letters, digits, "-", "_" and the usual ending')
    return path


def on_disk(folder: Path, path: str) -> str | None:
    """A file's text byte for byte, None where there is none. Raises DeskFault for one that is not UTF-8, or too large."""
    file = folder / path
    try:
        if not file.resolve().is_relative_to(folder.resolve()):
            raise DeskFault(f"{path}: this file lies outside the desk folder")
        if not file.is_file():
            return None
        if file.stat().st_size > MAX_BYTES:
            raise DeskFault(
                f"{path}: {file.stat().st_size} bytes are too many to be changed here; edit it in its folder"
            )
        return file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise DeskFault(f"{path}: not UTF-8; save it as UTF-8 in its folder") from None
    except OSError as error:
        raise DeskFault(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None


def all_on_disk(folder: Path) -> Iterator[tuple[str, str]]:
    """Every file that may be changed here, with its text."""
    for path in ("desk.yaml", *(one for kind in KINDS for one in Draft(folder).paths(kind))):
        text = on_disk(folder, path)
        if text is not None:
            yield path, text


def hash_of(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest(*said: object) -> str:
    """Of what somebody has before them, for a form to bring back: whether it is still that."""
    return hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def digest_of(draft: Draft) -> str:
    """Of all that is changed: which files, and to what."""
    return digest([(path, hash_of(one.text)) for path, one in sorted(draft.changes.items())])


def shown(text: str) -> str:
    """A kept text as an editor shows it."""
    return text.removeprefix(_BOM).replace("\r\n", "\n")


def as_kept(written: str, before: str | None) -> str:
    """What was written in an editor, in the manner of the file as it was. Raises Conflict for what no file can hold."""
    text = written.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
        raise Conflict("the text holds a character that no text file can hold; take it out")
    if len(text.encode()) > MAX_BYTES:
        raise Conflict(f"the text has {len(text.encode())} bytes; at most {MAX_BYTES} are read")
    if text and not text.endswith("\n"):
        text += "\n"
    if before is not None and "\r\n" in before:
        text = text.replace("\n", "\r\n")
    return _BOM + text if before is not None and before.startswith(_BOM) else text


# ── differences ────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class DiffLine:
    """`kind` is same | gone | new | gap; `old` and `new` are the line's numbers, 0 where it has none."""

    kind: str
    old: int
    new: int
    text: str


def diff(before: str | None, after: str | None, around: int = 3) -> list[DiffLine]:
    """The changed lines with some around them."""
    old, new = (shown(one or "").splitlines() for one in (before, after))
    lines: list[DiffLine] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(around):
        if lines or group[0][1] or group[0][3]:
            lines.append(DiffLine("gap", 0, 0, ""))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += [DiffLine("same", i1 + at + 1, j1 + at + 1, one) for at, one in enumerate(old[i1:i2])]
                continue
            lines += [DiffLine("gone", i1 + at + 1, 0, one) for at, one in enumerate(old[i1:i2])]
            lines += [DiffLine("new", 0, j1 + at + 1, one) for at, one in enumerate(new[j1:j2])]
    return lines
