"""Statements that every message runs, several times: made ready once, and run on the driver's own cursor.

    _OF = Prepared(select(t.customers).where(t.customers.c.id == bindparam("of")))
    row = _OF.first(conn, of=customer_id)          # a named tuple, or None

What is written is SQLAlchemy's Core, and the same statement gives the same as by `conn.execute`: it is compiled by the
connection's dialect, values go in and come out through its types' own converters, errors are SQLAlchemy's. What is left out is
what SQLAlchemy does anew at each run: looking up what it compiled, an execution context, a result with its metadata, rows
that know their columns. For one row found by its key that is nine tenths of the time.

A statement stands at module level and names what changes by `bindparam`; an INSERT or UPDATE takes its columns from the names
that it is given. A list of values goes in by `among`.

What is inserted by `later` goes in together with what else is, by one call for each table: when a statement looks at such a
table, or at the end. Many turns share a transaction, and most of what they write nobody reads in it. The same holds for rows that
are changed by their key (`Changes`): however often a turn changes its case, the row is written once.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import starmap
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Connection,
    Dialect,
    Float,
    Null,
    Table,
    UnaryExpression,
    any_,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, NoResultFound
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Boolean, TypeEngine

from bot.storage import tables as t
from bot.storage.json_text import dumps, loads
from bot.storage.one_trip import as_one

Convert = Callable[[Any], Any]
PENDING = "_stafett_pending"  # an attribute of the connection, while rows may wait; its `info` is ten times as far


class Prepared:
    """A statement of Core. Each of its methods runs it, in the connection's transaction.

    `beside`: it is about rows that were there before this transaction, and lets what waits to be inserted wait on (see `later`).
    `about`, of one that changes rows: the keys of those whom that concerns (a customer, a case, a delivery); without it
    whoever was read ahead is read again (see `bot.storage.ahead`).
    """

    __slots__ = ("_beside", "_forms", "statement")

    def __init__(self, statement: Any, *, beside: bool = False) -> None:
        self.statement = statement
        self._beside = beside
        self._forms: dict[tuple[str, ...], _Form] = {}

    def all(self, conn: Connection, /, *, about: Collection[str] = (), **values: Any) -> list[Any]:
        """The rows, as named tuples."""
        form = self.form(conn, values)
        cursor = _run(conn, form.sql, form.bound(values), form, beside=self._beside, about=about)
        try:
            return form.rows(cursor.fetchall())
        finally:
            cursor.close()

    def first(self, conn: Connection, /, *, about: Collection[str] = (), **values: Any) -> Any | None:
        rows = self.all(conn, about=about, **values)
        return rows[0] if rows else None

    def one(self, conn: Connection, /, *, about: Collection[str] = (), **values: Any) -> Any:
        """The first row. Raises NoResultFound."""
        rows = self.all(conn, about=about, **values)
        if not rows:
            msg = "No row was found when one was required"
            raise NoResultFound(msg)
        return rows[0]

    def scalar(self, conn: Connection, /, **values: Any) -> Any:
        """The first column of the first row; None where there is none."""
        row = self.first(conn, **values)
        return None if row is None else row[0]

    def run(self, conn: Connection, /, *, about: Collection[str] = (), **values: Any) -> int:
        """How many rows it changed."""
        form = self.form(conn, values)
        cursor = _run(conn, form.sql, form.bound(values), form, beside=self._beside, about=about)
        changed: int = cursor.rowcount
        cursor.close()
        return changed

    def later(self, conn: Connection, /, **values: Any) -> Waiting | None:
        """An INSERT that takes place before anybody looks; at once (None), where nothing may wait. It is never undone alone."""
        form = self.form(conn, values)
        pending: Pending | None = _pending(conn)
        if pending is not None:
            return pending.add(form, values)
        _run(conn, form.sql, form.bound(values), form).close()
        return None

    def waiting(self, conn: Connection) -> list[Waiting]:
        """What was inserted by `later` in this transaction and still waits."""
        pending: Pending | None = _pending(conn)
        return [one for form in self._forms.values() for one in pending.of(form)] if pending is not None else []

    def run_many(self, conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Once for each of these, which all have the same names; not at all for none."""
        if rows:
            form = self.form(conn, rows[0])
            _run(conn, form.sql, [form.bound(values) for values in rows], form, many=True, beside=self._beside).close()

    def form(self, conn: Connection, names: Collection[str]) -> _Form:
        dialect = conn.dialect
        key = (dialect.name, *names)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = _compiled(self.statement, dialect, tuple(names))
        return form


class Changes:
    """Rows of a table, each found by its key, whose columns are set: the last value that a column is given stands."""

    __slots__ = ("statement",)

    def __init__(self, table: Table, key: str) -> None:
        self.statement = Prepared(update(table).where(table.c[key] == bindparam("of")))

    def later(self, conn: Connection, of: str, values: Mapping[str, Any]) -> None:
        """Takes place before anybody looks; at once, where nothing may wait. It is never undone alone."""
        pending: Pending | None = _pending(conn)
        if pending is not None:
            pending.change(self, of, values)
        else:
            self.statement.run(conn, of=of, **values)


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as one dialect says it, with these names given."""

    sql: str
    bound: Callable[[Mapping[str, Any]], tuple[Any, ...]]  # what goes in, by place, of the values by name
    rows: Callable[[Iterable[Sequence[Any]]], list[Any]]  # what comes out, of the driver's rows
    tables: frozenset[str]  # that it may look at or change
    changes: bool  # them
    inserts: bool


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
    ways = [_way_out(column.type, dialect) for _, column in columns]
    ways_in = [_way_in(types[name], dialect) if name in types else None for name in places]
    return _Form(
        made.string,
        _binding(places, ways_in, fixed),
        _naming([name for name, _ in columns], ways),
        frozenset(t.metadata.tables.keys() & set(_WORD.findall(made.string))),
        statement.is_dml,
        bool(getattr(statement, "is_insert", False)),
    )


def _binding(
    names: Sequence[str], ways: Sequence[Convert | None], fixed: Mapping[str, Any]
) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """What takes the values of these names, by place (a name may stand at several): the function that one would write by hand,
    `lambda given: (given["id"], to_text(given["at"]), …)`. What is `fixed` stands in the statement itself.
    """
    held: dict[str, Any] = {}
    cells = []
    for place, (name, way) in enumerate(zip(names, ways, strict=True)):
        if name in fixed:
            held[f"fixed{place}"] = fixed[name] if way is None else way(fixed[name])
            cells.append(f"fixed{place}")
        else:
            held[f"way{place}"] = way
            cells.append(f"given[{name!r}]" if way is None else f"way{place}(given[{name!r}])")
    made: Callable[[Mapping[str, Any]], tuple[Any, ...]] = _written(f"lambda given: ({_listed(cells)})", held)
    return made


def _naming(columns: Sequence[str], ways: Sequence[Convert | None]) -> Callable[[Iterable[Sequence[Any]]], list[Any]]:
    """What makes named tuples of the driver's rows. Plain text names no columns. To all ways out None is None."""
    if not columns:
        return lambda rows: list(map(tuple, rows))
    kind: Any = namedtuple("Row", columns, rename=True)  # type: ignore[misc] # noqa: PYI024 - known only here
    if not any(ways):
        return lambda rows: list(map(kind._make, rows))
    held: dict[str, Any] = {"kind": kind, "new": tuple.__new__}
    held |= {f"way{place}": way for place, way in enumerate(ways)}
    given = [f"c{place}" for place in range(len(ways))]
    cells = [
        cell if way is None else f"None if {cell} is None else way{place}({cell})"
        for place, (cell, way) in enumerate(zip(given, ways, strict=True))
    ]
    made = _written(f"lambda {_listed(given)}: new(kind, ({_listed(cells)}))", held)
    return lambda rows: list(starmap(made, rows))


def _listed(cells: Sequence[str]) -> str:
    return "".join(f"{cell}, " for cell in cells)


def _written(code: str, held: dict[str, Any]) -> Any:
    """As a namedtuple is made: of names that are ours, or columns' in quotes."""
    return eval(code, {"__builtins__": {}, **held})  # noqa: S307


def _way_in(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    """The type's own; for JSON in a text what that does, without the ways there."""
    if isinstance(kind.dialect_impl(dialect), JSON) and dialect.name == "sqlite":
        return _to_json
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _way_out(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    if isinstance(kind.dialect_impl(dialect), JSON) and dialect.name == "sqlite":
        return _from_json
    if isinstance(kind, Float) and not kind.asdecimal:
        return None  # both drivers give a float; asyncpg's dialect would want to be told which kind of number
    return kind.dialect_impl(dialect).result_processor(dialect, None)


_EMPTY = {tuple: "[]", list: "[]", dict: "{}"}


def _to_json(value: Any) -> str | None:
    empty = _EMPTY.get(value.__class__)
    if empty is not None and not value:  # half of all JSON
        return empty
    return None if isinstance(value, Null) else dumps(None if value is JSON.NULL else value)


def _from_json(text: Any) -> Any:
    return loads(text) if isinstance(text, str) else text  # SQLite gives what is a number as one


_WORD = re.compile(r"\w+")


class Pending:
    """Rows that are to be inserted, by statement, in the order in which the statements first came; then those to be changed.

    It also tells what changes while it is there: `changed` are the tables in which statements changed rows at once, `anybodys`
    those of them where nobody said whose; `touched` the keys of whom changes were about, done or waiting. What was read ahead of
    these need not stand any more (see `bot.storage.ahead`).
    """

    __slots__ = ("_changes", "_rows", "_tables", "anybodys", "changed", "touched")

    def __init__(self) -> None:
        self._rows: dict[str, list[Waiting]] = {}
        self._changes: dict[Changes, dict[str, dict[str, Any]]] = {}
        self._tables: set[str] = set()
        self.changed: set[str] = set()
        self.anybodys: set[str] = set()
        self.touched: set[str] = set()

    def add(self, form: _Form, values: dict[str, Any]) -> Waiting:
        rows = self._rows.get(form.sql)
        if rows is None:
            rows = self._rows[form.sql] = []
            self._tables |= form.tables
        rows.append(made := Waiting(self, form, values, rows))
        return made

    def of(self, form: _Form) -> Sequence[Waiting]:
        return self._rows.get(form.sql, ())

    def change(self, changes: Changes, of: str, values: Mapping[str, Any]) -> None:
        rows = self._changes.get(changes)
        if rows is None:
            rows = self._changes[changes] = {}
            self._tables.add(changes.statement.statement.table.name)
        row = rows.get(of)
        if row is None:
            rows[of] = dict(values)
            self.touched.add(of)
        else:
            row.update(values)

    def holds(self, form: _Form, rows: list[Waiting]) -> bool:
        """Whether these have not been written yet."""
        return self._rows.get(form.sql) is rows

    def are_looked_at(self, tables: frozenset[str] | None) -> bool:
        """`None`: by who knows what."""
        return bool(self._tables) and (tables is None or not self._tables.isdisjoint(tables))

    def write(self, conn: Connection) -> None:
        parts = [(sql, [one.form.bound(one.values) for one in some]) for sql, some in self._rows.items()]
        changes = self._changes
        self.drop()
        for one, by_key in changes.items():
            alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for of, values in by_key.items():
                alike.setdefault(tuple(sorted(values)), []).append({**values, "of": of})
            for names, some_rows in alike.items():
                form = one.statement.form(conn, ("of", *names))
                parts.append((form.sql, [form.bound(row) for row in some_rows]))
        whole = as_one(parts) if conn.dialect.name == "postgresql" else None
        if whole is not None:
            _run(conn, *whole).close()
            return
        for sql, bound in parts:
            _run(conn, sql, bound, many=True).close()

    def changes(self, tables: AbstractSet[str], about: Collection[str] = (), *, adds: bool = False) -> None:
        """A statement changes rows of these at once, or `adds` to them: about these alone, or nobody knows about whom."""
        self.touched.update(about)
        if not about:
            self.anybodys |= tables
        if not (about and adds):
            self.changed |= tables

    def drop(self) -> None:
        for rows in self._rows.values():
            rows.clear()  # each of them knows them all: else a whole turn would wait for the garbage collector
        self._rows, self._changes, self._tables = {}, {}, set()


@dataclass(slots=True)
class Waiting:
    """A row that waits to be inserted."""

    _pending: Pending
    form: _Form
    values: dict[str, Any]
    _among: list[Waiting]

    def change(self, **values: Any) -> bool:
        """What an UPDATE of it would do. False: it waits no more."""
        if not self._pending.holds(self.form, self._among):
            return False
        if not values.keys() <= self.values.keys():
            msg = f"the row was added without {sorted(values.keys() - self.values.keys())}"
            raise KeyError(msg)
        self.values.update(values)
        return True


def is_changed(conn: Connection, table: Table) -> bool:
    """Whether a statement has changed rows of it at once, since rows may wait on this connection."""
    pending: Pending | None = _pending(conn)
    return pending is None or table.name in pending.changed


def _pending(conn: Connection) -> Pending | None:
    return conn.__dict__.get(PENDING)


def put_off(conn: Connection) -> Pending:
    """From now on, and until `put_in`, rows may wait on this connection."""
    found = conn.__dict__[PENDING] = Pending()
    return found


def put_in(conn: Connection, *, write: bool = True) -> None:
    """What waits goes in, or (the transaction is undone) nowhere; nothing waits any more."""
    pending: Pending | None = conn.__dict__.pop(PENDING, None)
    if pending is None:
        return
    if write and not conn.invalidated:
        pending.write(conn)
    else:
        pending.drop()


def look_first(conn: Connection, _cursor: Any, sql: str, *_: Any) -> None:
    """Before a statement that is not prepared (SQLAlchemy's `before_cursor_execute`)."""
    pending: Pending | None = _pending(conn)
    if pending is not None:
        if pending.are_looked_at(None):
            pending.write(conn)
        if not sql.startswith("SELECT"):
            pending.changes(t.metadata.tables.keys() & set(_WORD.findall(sql)))


def _run(
    conn: Connection,
    sql: str,
    values: Any,
    form: _Form | None = None,
    *,
    many: bool = False,
    beside: bool = False,
    about: Collection[str] = (),
) -> Any:
    """The cursor, for its rows. Without `form` it looks at nothing that may wait, and changes nothing that anybody has read."""
    if not conn.in_transaction():
        conn.begin()  # as `conn.execute` does
    if form is not None and (pending := _pending(conn)) is not None:
        if not beside and pending.are_looked_at(form.tables):
            pending.write(conn)
        if form.changes:
            pending.changes(form.tables, about, adds=form.inserts)
    raw: Any = conn.connection.dbapi_connection
    cursor = raw.cursor()
    try:
        (cursor.executemany if many else cursor.execute)(sql, values)
    except conn.dialect.loaded_dbapi.Error as error:
        cursor.close()
        raise translated(conn, sql, error) from error
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


def translated(conn: Connection, sql: str, error: Exception) -> BaseException:
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
