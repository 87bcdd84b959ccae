"""Statements that every message runs, several times: made ready once, and run on the driver's own cursor.

    _OF = Prepared(select(t.customers).where(t.customers.c.id == bindparam("of")))
    row = _OF.first(conn, of=customer_id)          # a named tuple, or None

What is written is SQLAlchemy's Core, and the same statement gives the same as by `conn.execute`: it is compiled by the
connection's dialect, values go in and come out through its types' own converters, errors are SQLAlchemy's. What is left out is
what SQLAlchemy does anew at each run: looking up what it compiled, an execution context, a result with its metadata, rows
that know their columns. For one row found by its key that is nine tenths of the time.

A statement stands at module level and names what changes by `bindparam`; an INSERT or UPDATE takes its columns from the names
that it is given. A list of values goes in by `among`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ARRAY, JSON, ColumnElement, Connection, Dialect, UnaryExpression, any_, bindparam, func, select
from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Boolean

Convert = Callable[[Any], Any]


class Prepared:
    """A statement of Core. Each of its methods runs it, in the connection's transaction."""

    __slots__ = ("_forms", "statement")

    def __init__(self, statement: Any) -> None:
        self.statement = statement
        self._forms: dict[tuple[str, ...], _Form] = {}

    def all(self, conn: Connection, /, **values: Any) -> list[Any]:
        """The rows, as named tuples."""
        form = self._form(conn, values)
        cursor = _run(conn, form.sql, form.bound(values))
        try:
            return form.rows(cursor.fetchall())
        finally:
            cursor.close()

    def first(self, conn: Connection, /, **values: Any) -> Any | None:
        rows = self.all(conn, **values)
        return rows[0] if rows else None

    def one(self, conn: Connection, /, **values: Any) -> Any:
        """The first row. Raises NoResultFound."""
        rows = self.all(conn, **values)
        if not rows:
            msg = "No row was found when one was required"
            raise NoResultFound(msg)
        return rows[0]

    def scalar(self, conn: Connection, /, **values: Any) -> Any:
        """The first column of the first row; None where there is none."""
        row = self.first(conn, **values)
        return None if row is None else row[0]

    def run(self, conn: Connection, /, **values: Any) -> int:
        """How many rows it changed."""
        form = self._form(conn, values)
        cursor = _run(conn, form.sql, form.bound(values))
        changed: int = cursor.rowcount
        cursor.close()
        return changed

    def run_many(self, conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Once for each of these, which all have the same names; not at all for none."""
        if rows:
            form = self._form(conn, rows[0])
            _run(conn, form.sql, [form.bound(values) for values in rows], many=True).close()

    def _form(self, conn: Connection, values: Mapping[str, Any]) -> _Form:
        dialect = conn.dialect
        key = (dialect.name, *values)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _compiled(self.statement, dialect, tuple(values))
        return form


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as one dialect says it, with these names given."""

    sql: str
    binds: tuple[tuple[str, Convert | None], ...]  # by place; a name may stand at several
    fixed: Mapping[str, Any]  # what stands in the statement itself
    row: Callable[[Iterable[Any]], Any]
    converts: tuple[tuple[int, Convert], ...]  # columns that come out otherwise than the driver gives them

    def bound(self, values: Mapping[str, Any]) -> list[Any]:
        if self.fixed:
            values = {**self.fixed, **values}
        return [values[name] if convert is None else convert(values[name]) for name, convert in self.binds]

    def rows(self, raw: Iterable[Sequence[Any]]) -> list[Any]:
        if not self.converts:
            return [self.row(one) for one in raw]
        made = []
        for one in raw:
            cells = list(one)
            for place, convert in self.converts:
                cells[place] = convert(cells[place])
            made.append(self.row(cells))
        return made


def _compiled(statement: Any, dialect: Dialect, names: tuple[str, ...]) -> _Form:
    keys = list(names) if statement.is_dml else None
    made: SQLCompiler = statement.compile(dialect=dialect, column_keys=keys)
    if "POSTCOMPILE" in made.string:
        msg = f"a list whose length may change goes in by `among`: {made.string}"
        raise TypeError(msg)
    places, own = tuple(made.positiontup or ()), made.construct_params(_check=False)
    defaults: dict[str, Any] = {one.key: one.default for one in (*made.insert_prefetch, *made.update_prefetch)}
    unnamed = {name for name, one in made.binds.items() if one.required} - set(names) - set(defaults)
    if unnamed or set(names) - set(made.binds):
        msg = f"it takes {sorted(made.binds)}, and not {sorted(names)}: {made.string}"
        raise TypeError(msg)
    fixed = {name: own[name] for name in places if name not in names}
    fixed |= {name: default.arg(None) if default.is_callable else default.arg for name, default in defaults.items()}
    types = {name: one.type for name, one in made.binds.items()}
    columns = list(statement.exported_columns.items()) if hasattr(statement, "exported_columns") else []
    ways = [column.type.dialect_impl(dialect).result_processor(dialect, None) for _, column in columns]
    return _Form(
        made.string,
        tuple(
            (name, types[name].dialect_impl(dialect).bind_processor(dialect) if name in types else None)
            for name in places
        ),
        fixed,
        _named([name for name, _ in columns]),
        tuple((place, convert) for place, convert in enumerate(ways) if convert is not None),
    )


def _named(columns: list[str]) -> Callable[[Iterable[Any]], Any]:
    """What makes a row. Plain text names no columns."""
    if not columns:
        return tuple
    kind: Any = namedtuple("Row", columns, rename=True)  # type: ignore[misc] # noqa: PYI024 - known only here
    made: Callable[[Iterable[Any]], Any] = kind._make
    return made


def _run(conn: Connection, sql: str, values: Any, *, many: bool = False) -> Any:
    """The cursor, for its rows."""
    if not conn.in_transaction():
        conn.begin()  # as `conn.execute` does
    raw: Any = conn.connection.dbapi_connection
    cursor = raw.cursor()
    try:
        (cursor.executemany if many else cursor.execute)(sql, values)
    except conn.dialect.loaded_dbapi.Error as error:
        cursor.close()
        raise _translated(conn, sql, error) from error
    except BaseException as end:
        if isinstance(end, OSError) or not isinstance(end, Exception):
            conn.invalidate(end)  # cut off in the middle: who had it next would be inside of this transaction
        raise
    return cursor


def command(conn: Connection, sql: str) -> None:
    """One that gives nothing back and is fixed: SAVEPOINT and its like."""
    _run(conn, sql, ()).close()


def is_alive(conn: Connection) -> bool:
    """Whether its transaction still stands: SQLite undoes all of it when the disk is full; a connection may be gone."""
    if conn.invalidated or not conn.in_transaction():
        return False
    raw: Any = conn.connection.dbapi_connection
    return bool(raw.in_transaction) if conn.dialect.name == "sqlite" else True


def _translated(conn: Connection, sql: str, error: Exception) -> BaseException:
    """The driver's error as SQLAlchemy's. A connection that is gone, or holds a plan of an older schema, is given up."""
    dialect = conn.dialect
    base: Any = dialect.loaded_dbapi.Error
    gone = dialect.is_disconnect(error, conn.connection.dbapi_connection, None)  # type: ignore[arg-type]
    gone = gone or type(error).__name__ == "InvalidCachedStatementError"
    if gone:
        conn.invalidate(error)
    return DBAPIError.instance(
        sql, None, error, base, hide_parameters=True, connection_invalidated=gone, dialect=dialect
    )


# ── a list of values ───────────────────────────────────────────────────────────────────────────────────────────────
class among(ColumnElement[bool]):  # noqa: N801 - reads as the function that it is
    """Whether the column is one of the values of a list that is given by this name."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.name = name

    def self_group(self, against: Any = None) -> among:  # noqa: ARG002 - it stands as it is: `… = 1` finds no index
        return self

    def _negate(self) -> UnaryExpression[bool]:
        return UnaryExpression(self, operator=operators.inv)


@compiles(among, "sqlite")
def _among_on_sqlite(element: among, compiler: SQLCompiler, **how: Any) -> str:
    given = func.json_each(bindparam(element.name, type_=JSON)).table_valued("value")
    return compiler.process(element.column.in_(select(given.c.value)), **how)


@compiles(among, "postgresql")
def _among_on_postgresql(element: among, compiler: SQLCompiler, **how: Any) -> str:
    given = bindparam(element.name, type_=ARRAY(element.column.type))
    return compiler.process(element.column == any_(given), **how)
