"""Uploads: what a file really is, and how it is served. Never by its name, never inline but a plain picture to a colleague."""

from __future__ import annotations

import codecs
import unicodedata
from urllib.parse import quote

from bot.errors import Refused

MAX_UPLOAD = 20 * 1024 * 1024  # bytes
MAX_PER_DAY = 200 * 1024 * 1024  # bytes a customer and day
MAX_NAME = 120  # characters

SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (8, b"WAVE", "audio/wav"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
)
"""(offset, bytes, MIME type): what these files begin with, as listed by the IANA and the formats' own papers."""

PROGRAMS = (b"MZ", b"\x7fELF", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!")
INLINE = {"image/png", "image/jpeg", "image/gif", "image/webp"}


def sniff(data: bytes) -> str:
    """The MIME type by content. Raises Refused for programs and for active documents (HTML, SVG)."""
    if data.startswith(PROGRAMS):
        msg = "programs are not accepted"
        raise Refused(msg)
    for offset, magic, kind in SIGNATURES:
        if data[offset : offset + len(magic)] == magic:
            return kind
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if (
        head.startswith((b"<!doctype html", b"<html", b"<svg", b"<script", b"<?xml"))
        or b"<svg" in head
        or b"<script" in head
    ):
        msg = "web pages and SVG pictures are not accepted"
        raise Refused(msg)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data[:65_536])  # which may end in the middle of a character
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "application/octet-stream" if b"\0" in data[:65_536] else "text/plain"


def safe_name(name: str | None) -> str:
    """A file's name as data: no path, no control or direction characters, not too long."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(char for char in last if unicodedata.category(char)[0] != "C").strip(" .")
    if len(kept) > MAX_NAME:
        stem, dot, ending = kept.rpartition(".")
        kept = (stem[: MAX_NAME - len(ending) - 1] + dot + ending) if dot and len(ending) < 12 else kept[:MAX_NAME]
    return kept or "file"


def headers(name: str, kind: str, *, to_colleagues: bool = False) -> dict[str, str]:
    """How a stored file is served: sniffing off, scripts off, as a download (RFC 6266). To colleagues, who open a picture in a
    tab of its own, plain pictures inline; the widget draws what it has fetched.
    """
    where = "inline" if to_colleagues and kind in INLINE else "attachment"
    plain = name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    return {
        "Content-Disposition": f"{where}; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, max-age=86400",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
