"""The files of a desk folder: found, read once, and hashed. What cannot be read is a fault of its file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from bot.flows.source import MAX_BYTES, Faults

MAX_FILES = 5000


class Folder:
    """One desk folder. Files are named as the folder was given, so that a terminal can open them."""

    def __init__(self, path: Path, faults: Faults) -> None:
        self.path = path
        self.faults = faults
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """A hash of everything that was read so far."""
        return self._digest.hexdigest()[:16]

    def name(self, relative: str) -> str:
        return str(self.path / relative)

    def fault(self, relative: str, message: str, rule: str = "file") -> None:
        self.faults.add(self.name(relative), 1, 1, message, rule)

    def listed(self, folder: str, *endings: str) -> Iterator[str]:
        """The relative paths below `folder` that end so, in order; hidden ones and editors' copies are left out."""
        root = self.path / folder
        if not root.is_dir():
            return
        found = sorted(
            file
            for file in root.rglob("*")
            if file.suffix.lower() in endings and not file.name.startswith((".", "~", "#")) and file.is_file()
        )
        if len(found) > MAX_FILES:
            self.fault(folder, f"{len(found)} files; at most {MAX_FILES} are read")
        yield from (file.relative_to(self.path).as_posix() for file in found[:MAX_FILES])

    def text(self, relative: str) -> str | None:
        """A file's text, or None and a fault."""
        file = self.path / relative
        try:
            if not file.resolve().is_relative_to(self.path.resolve()):
                self.fault(relative, "this file lies outside the desk folder")
                return None
            if file.stat().st_size > MAX_BYTES:
                self.fault(relative, f"the file has {file.stat().st_size} bytes; at most {MAX_BYTES} are read")
                return None
            raw = file.read_bytes()
        except OSError as error:
            self.fault(relative, f"cannot be read: {(error.strerror or str(error)).lower()}")
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
