"""Each test has an empty database of its own, of each kind."""

from __future__ import annotations

import errno
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("again", [1, 2])
async def test_a_database_is_empty_and_writable(database_url: str, again: int) -> None:
    """The second run would fail if the first one's table were still there."""
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("create table kept (n integer)"))
        await connection.execute(text("insert into kept values (:n)"), {"n": again})
        assert (await connection.execute(text("select n from kept"))).scalar_one() == again
    await engine.dispose()


def test_a_server_ends_with_the_process_that_started_it(postgres_server: str) -> None:
    """Even killed with -9: a run that was cut short leaves no server and no files behind."""
    program = (
        "import os, signal\nfrom tests.support import postgres\n"
        "cluster = postgres.Cluster(postgres.find_binaries()).create().start()\n"
        "print(cluster.root, cluster.port, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    root, port = done.stdout.split()
    while Path(root).exists():  # the sweeper's last act takes it away; pytest's timeout is the limit
        time.sleep(0.02)  # another process: there is nothing to await
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) == errno.ECONNREFUSED
