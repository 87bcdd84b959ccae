"""Bringing a database to the schema of this program, and refusing one from a newer program.

Two versions of the program may run side by side on PostgreSQL while nodes are replaced one by one: a migration adds, and
names the oldest program that still works on what it made (`schema_versions`). What it no longer needs is dropped by a later
release's migration (0021 did both at once: nothing had been released). A program refuses a newer schema that does not name it.

Alembic is imported only when there is something to do: a start on a current database pays nothing for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, create_engine, event, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from bot.errors import DatabaseFault
from bot.storage import tables as t
from bot.storage.engine import checked_url, lock_file, unreachable
from bot.storage.writer import PAGE

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0022"
"""The newest migration; a test holds it against the folder."""

OLDEST_PROGRAMS = {
    "0002": "0001",
    "0003": "0001",
    "0004": "0001",
    "0005": "0001",
    "0006": "0001",
    "0007": "0001",
    "0008": "0001",
    "0009": "0001",
    "0010": "0001",
    "0011": "0001",
    "0012": "0001",
    "0013": "0001",
    "0014": "0001",
    "0015": "0001",
    "0016": "0001",
    "0017": "0001",
    "0018": "0001",
    "0019": "0001",
    "0020": "0001",
    "0021": "0021",
    "0022": "0021",
}
"""Schema → the oldest program that works on it, as its migration says: nodes are replaced one by one."""

MIGRATIONS = Path(__file__).parent / "migrations"


def current(conn: Connection) -> str | None:
    """The revision of this database; None for an empty one."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    revision: str | None = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def check(conn: Connection) -> None:
    """Raise DatabaseFault unless this database has just our schema."""
    found = current(conn)
    if found is None:
        msg = "the database is empty; run: stafett db upgrade"
        raise DatabaseFault(msg)
    if found != HEAD and not serves(conn, found):
        raise DatabaseFault(mismatch(found))


def serves(conn: Connection, newer: str) -> bool:
    """Whether a newer schema says of itself that this program still works on it."""
    if newer in known() or not inspect(conn).has_table(t.schema_versions.name):
        return False
    s = t.schema_versions
    oldest: str | None = conn.execute(select(s.c.oldest_program).where(s.c.revision == newer)).scalar()
    return oldest is not None and oldest <= HEAD


def mismatch(found: str) -> str:
    if found in known():
        return f"the database has schema {found}, this program needs {HEAD}; run: stafett db upgrade"
    return f"the database has schema {found}, which a newer stafett made; run that one, or restore a backup"


def known() -> set[str]:
    return {path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


async def upgrade(url: str, *, locked: bool = False) -> bool:
    """Migrate to HEAD; True if there was something to do. On SQLite takes the lock unless the caller holds it."""
    parsed = checked_url(url)
    if parsed.get_backend_name() == "sqlite":
        lock = None if locked else lock_file(Path(parsed.database or ""))
        try:
            return _upgrade_sqlite(Path(parsed.database or ""))
        finally:
            if lock is not None:
                lock.close()
    engine = create_async_engine(parsed)
    try:
        async with engine.begin() as conn:
            return await conn.run_sync(_upgrade)
    except (OSError, SQLAlchemyError) as error:
        raise DatabaseFault(unreachable(parsed.render_as_string(hide_password=True), error)) from error
    finally:
        await engine.dispose()


def _upgrade_sqlite(path: Path) -> bool:
    if not path.parent.is_dir():
        msg = f"{path}: there is no folder {path.parent}; make it, or choose another place by STAFETT_DATABASE_URL"
        raise DatabaseFault(msg)
    engine = create_engine(URL.create("sqlite+pysqlite", database=str(path)))
    event.listen(engine, "connect", lambda raw, _record: raw.execute(f"PRAGMA page_size={PAGE}").close())
    try:
        with engine.begin() as conn:
            conn.exec_driver_sql("BEGIN")  # the driver does not, for tables: so a migration is whole, or never was
            return _upgrade(conn)
    except SQLAlchemyError as error:
        raise DatabaseFault(unreachable(str(path), error)) from error
    finally:
        engine.dispose()


def _upgrade(conn: Connection) -> bool:
    found = current(conn)
    if found == HEAD or (found is not None and serves(conn, found)):
        return False
    if found is not None and found not in known():
        raise DatabaseFault(mismatch(found))
    if found is None and inspect(conn).get_table_names():
        msg = "the database holds tables that are not ours; name another one by STAFETT_DATABASE_URL"
        raise DatabaseFault(msg)
    if found is None:
        _create(conn)
    else:
        migrate(conn)
    return True


def _create(conn: Connection) -> None:
    """An empty database gets the declared schema at once: a newcomer's first start need not import Alembic.

    A test holds it against the migrations, which make the same, rows included.
    """
    t.metadata.create_all(conn)
    conn.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    conn.execute(text("INSERT INTO alembic_version VALUES (:head)"), {"head": HEAD})
    said = [{"revision": revision, "oldest_program": oldest} for revision, oldest in OLDEST_PROGRAMS.items()]
    conn.execute(insert(t.schema_versions), said)


def migrate(conn: Connection) -> None:
    """From wherever the database stands to HEAD, by the migrations."""
    from alembic import command

    command.upgrade(config(conn), HEAD)


def config(conn: Connection) -> Config:
    from alembic.config import Config

    made: Any = Config()
    made.set_main_option("script_location", str(MIGRATIONS))
    made.attributes["connection"] = conn
    found: Config = made
    return found
