"""Each test has an empty database of its own, of each kind."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


@pytest.mark.parametrize("again", [1, 2])
async def test_a_database_is_empty_and_writable(database_url: str, again: int) -> None:
    """The second run would fail if the first one's table were still there."""
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("create table kept (n integer)"))
        await connection.execute(text("insert into kept values (:n)"), {"n": again})
        assert (await connection.execute(text("select n from kept"))).scalar_one() == again
    await engine.dispose()
