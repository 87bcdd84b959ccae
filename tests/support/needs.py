"""A thing of the machine that some tests need: found, or told in one line how to get it."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

GET_POSTGRESQL = (
    "no PostgreSQL server found: `apt-get install postgresql` (Debian), `brew install postgresql` (macOS), "
    "or set STAFETT_TEST_POSTGRES_URL to a server where databases may be made"
)
GET_BROWSER = (
    "no Chromium found: `apt-get install chromium` (Debian), `.venv/bin/playwright install chromium`, "
    "or set STAFETT_TEST_CHROMIUM to one"
)
GET_DRIVER = "Playwright's own Node.js does not start: `apt-get install libatomic1` (Debian)"


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def missing(message: str) -> NoReturn:
    """Fails in CI, where nothing may be left out; elsewhere skips and says how to get it."""
    if in_ci():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
