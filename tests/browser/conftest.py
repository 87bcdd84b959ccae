"""The stand-in server of the widget's tests. The browser itself is a fixture of all tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.browser.stub_server import StubServer


@pytest_asyncio.fixture(loop_scope="session")
async def stub() -> AsyncIterator[StubServer]:
    async with StubServer() as server:
        yield server
