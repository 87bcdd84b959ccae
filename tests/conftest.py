"""What every test may ask for: a database of each kind, a browser; and what none may do: leave this machine."""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, Phase, settings

from tests.support import browser as browsers
from tests.support import needs, network, postgres

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

# In CI a counterexample is told as it was found: to make one of a state machine smaller takes longer than a test may.
PHASES = [one for one in Phase if not needs.in_ci() or one not in {Phase.shrink, Phase.explain}]

settings.register_profile(
    "stafett",
    deadline=None,  # a shared machine is not a stopwatch
    derandomize=needs.in_ci(),
    phases=PHASES,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("stafett")

NUMBER = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = getattr(item, "fixturenames", ())
        if "browser" in names:
            # One browser serves all tests of a worker, so they share its loop.
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
        if "postgres_url" in names:
            item.add_marker(pytest.mark.postgresql)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        network.forbid(patch)
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server's maintenance database: the one that was named, else a throw-away server's."""
    named = os.environ.get("STAFETT_TEST_POSTGRES_URL")
    if named:
        yield named
        return
    binaries = postgres.find_binaries()
    if binaries is None:
        needs.missing(needs.GET_POSTGRESQL)
    cluster = postgres.Cluster(binaries).create()
    try:
        yield cluster.start().url()
    finally:
        cluster.remove()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """An empty PostgreSQL database of the test's own."""
    name = f"stafett_test_{os.getpid()}_{next(NUMBER)}"
    url = postgres.create_database(postgres_server, name)
    yield url
    postgres.drop_database(postgres_server, name)


@pytest.fixture
def logs_of_its_own() -> Iterator[None]:
    """No other test's settings of the logs, which may say that nothing is told. What this one makes of them ends with it: they
    would go on into its captured streams, which are closed then.
    """
    structlog.reset_defaults()
    before = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = before


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'stafett.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind: the test runs once on each."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    executable = browsers.find_chromium()
    if executable is None:
        needs.missing(needs.GET_BROWSER)
    if not browsers.driver_starts():
        needs.missing(needs.GET_DRIVER)
    from playwright.async_api import expect

    expect.set_options(timeout=30_000)  # ms; as long as everything else is waited for on a machine with much to do
    async with browsers.launch(executable) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A blank page in a profile of its own."""
    context = await browser.new_context()
    yield await context.new_page()
    await context.close()
