"""What a file is, is said by its bytes; its name is only ever data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Refused
from channels.web.files import headers, safe_name, sniff


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        ("שלום, מה שלומך?".encode(), "text/plain"),
        (b"a,b\n1,2\n", "text/plain"),
        (("ש" * 40_000 + "x").encode(), "text/plain"),
        (b"a" + "ש".encode() * 40_000, "text/plain"),
        (b"\x00\x01\x02", "application/octet-stream"),
        (b"\xff\xfe\x00", "application/octet-stream"),
    ],
)
def test_a_file_is_what_its_bytes_say(data: bytes, kind: str) -> None:
    assert sniff(data) == kind


@pytest.mark.parametrize(
    "data",
    [
        b"MZ\x90\x00",
        b"\x7fELF\x02",
        b"#!/bin/sh\nrm -rf /",
        b"\xcf\xfa\xed\xfe",
        b"<!DOCTYPE html><script>",
        b"  \n<HTML>",
        b"\xef\xbb\xbf<html>",
        b'<?xml version="1.0"?><svg onload="x()">',
        b"<!-- x --><svg xmlns='http://www.w3.org/2000/svg'>",
        b"hello <script>alert(1)</script>",
    ],
)
def test_programs_and_active_documents_are_refused_whatever_they_are_called(data: bytes) -> None:
    with pytest.raises(Refused):
        sniff(data)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\kari\\photo.png", "photo.png"),
        ("a\x00b\r\n.txt", "ab.txt"),
        ("gnp.\u202eexe", "gnp.exe"),
        ("...", "file"),
        ("", "file"),
        (None, "file"),
        ("kvittering på norsk.pdf", "kvittering på norsk.pdf"),
    ],
)
def test_a_name_has_no_path_and_no_tricks(name: str | None, kept: str) -> None:
    assert safe_name(name) == kept


@given(st.text(max_size=5_000))
def test_any_name_is_short_printable_and_one_header_line(name: str) -> None:
    safe = safe_name(name)
    assert 0 < len(safe) <= 120
    assert not set(safe) & set("/\\\r\n\0")
    line = headers(safe, "application/pdf")["Content-Disposition"]
    line.encode("latin-1")
    assert "\n" not in line
    assert line.count('"') == 2


def test_a_long_name_keeps_its_ending() -> None:
    assert safe_name("x" * 4_000 + ".pdf").endswith("x.pdf")


@pytest.mark.parametrize(
    ("kind", "in_the_desk"),
    [("image/png", "inline"), ("image/svg+xml", "attachment"), ("text/plain", "attachment")],
)
def test_files_are_served_without_sniffing_or_scripts(kind: str, in_the_desk: str) -> None:
    told = headers("a.b", kind)
    assert told["Content-Disposition"].startswith("attachment")
    assert headers("a.b", kind, to_colleagues=True)["Content-Disposition"].startswith(in_the_desk)
    assert told["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in told["Content-Security-Policy"]
