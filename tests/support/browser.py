"""A headless Chromium for the browser tests: Debian's, or the one that Playwright fetched."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page, Route

QUIET = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
"""No request that the page did not make, and no GPU that is not there."""


def find_chromium() -> Path | None:
    """The browser's executable: the one that was named, the system's, Playwright's."""
    named = os.environ.get("STAFETT_TEST_CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    found = next((path for path in map(shutil.which, names) if path), None)
    return Path(found) if found else _playwrights_own()


def _playwrights_own() -> Path | None:
    """Looked up in the cache's folder: asking Playwright costs half a second and a process."""
    default = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "ms-playwright"
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", default))
    programs = ("chrome", "headless_shell", "chrome-headless-shell", "Chromium", "Google Chrome for Testing")
    found = (path for name in programs for path in sorted(cache.glob(f"chromium*/**/{name}"), reverse=True))
    return next((path for path in found if path.is_file() and os.access(path, os.X_OK)), None)


def driver_starts() -> bool:
    """Playwright brings a Node.js of its own, which a minimal Debian lacks a library for."""
    spec = importlib.util.find_spec("playwright")
    node = Path(spec.origin).parent / "driver" / "node" if spec and spec.origin else None
    return node is not None and subprocess.run([node, "--version"], check=False, capture_output=True).returncode == 0


@asynccontextmanager
async def launch(executable: Path) -> AsyncIterator[Browser]:
    from playwright.async_api import async_playwright  # 0.3 s that most test workers need not pay

    args = [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=args)
        try:
            yield browser
        finally:
            await browser.close()


async def slow_line(page: Page, pattern: str) -> asyncio.Event:
    """Requests that match `pattern` leave while the event is set, as it is at first, and wait while it is not.

    Asked for before the page is opened: a busy page may learn of a new route after its next request has left.
    """
    open_ = asyncio.Event()
    open_.set()

    async def hold(route: Route) -> None:
        await open_.wait()
        await route.continue_()

    await page.route(pattern, hold)
    return open_
