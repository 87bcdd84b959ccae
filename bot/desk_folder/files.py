"""The files of a desk folder: found, read once, and hashed. What cannot be read is a fault of its file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from bot.flows.source import MAX_BYTES, Faults

MAX_FILES = 5000


class Folder:
    """One desk folder. Files are named as the folder was given, so that a terminal can open them.

    `drafts` lie over it: path within the folder → the file's text as it is to be, None where the file is to go.
    """

    def __init__(self, path: Path, faults: Faults, drafts: Mapping[str, str | None] | None = None) -> None:
        self.path = path
        self.faults = faults
        self._drafts = drafts or {}
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """A hash of everything that was read so far."""
        return self._digest.hexdigest()[:16]

    def name(self, relative: str) -> str:
        return str(self.path / relative)

    def fault(self, relative: str, message: str, rule: str = "file") -> None:
        self.faults.add(self.name(relative), 1, 1, message, rule)

    def has(self, relative: str) -> bool:
        """Whether there is such a file, drafts counted."""
        if relative in self._drafts:
            return self._drafts[relative] is not None
        return (self.path / relative).is_file()

    def listed(self, folder: str, *endings: str) -> Iterator[str]:
        """The relative paths below `folder` that end so, in order; hidden ones and editors' copies are left out."""
        root = self.path / folder
        there = (
            {file for file in root.rglob("*") if _counts(file, endings) and file.is_file()} if root.is_dir() else set()
        )
        changed = {self.path / name: text for name, text in self._drafts.items() if name.startswith(f"{folder}/")}
        there |= {file for file, text in changed.items() if text is not None and _counts(file, endings)}
        found = sorted(there - {file for file, text in changed.items() if text is None})
        if len(found) > MAX_FILES:
            self.fault(folder, f"{len(found)} files; at most {MAX_FILES} are read")
        yield from (file.relative_to(self.path).as_posix() for file in found[:MAX_FILES])

    def text(self, relative: str) -> str | None:
        """A file's text, or None and a fault."""
        raw = self._raw(relative)
        if raw is None:
            return None
        self._digest.update(relative.encode("utf-8", "surrogateescape") + b"\0" + raw + b"\0")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
            self.faults.add(self.name(relative), line, column, "not UTF-8; save the file as UTF-8", "encoding")
            return None
        if "\0" in text:
            self.fault(relative, "holds a null byte; this is no text file", "encoding")
            return None
        return text.replace("\r\n", "\n")

    def _raw(self, relative: str) -> bytes | None:
        draft = self._drafts.get(relative)
        if draft is not None:
            raw = draft.encode("utf-8", "surrogateescape")
            if len(raw) > MAX_BYTES:
                self.fault(relative, f"the file has {len(raw)} bytes; at most {MAX_BYTES} are read")
                return None
            return raw
        file = self.path / relative
        try:
            if not file.resolve().is_relative_to(self.path.resolve()):
                self.fault(relative, "this file lies outside the desk folder")
                return None
            if file.stat().st_size > MAX_BYTES:
                self.fault(relative, f"the file has {file.stat().st_size} bytes; at most {MAX_BYTES} are read")
                return None
            return file.read_bytes()
        except OSError as error:
            self.fault(relative, f"cannot be read: {(error.strerror or str(error)).lower()}")
            return None


def _counts(file: Path, endings: tuple[str, ...]) -> bool:
    return file.suffix.lower() in endings and not file.name.startswith((".", "~", "#"))
