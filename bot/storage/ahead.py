"""Reading ahead: what turns that share a commit will look at first is read for all of them together.

Who writes, where their conversation and their live case stand, whether the delivery has been here, whether anything waits for it:
two statements for a commit, instead of two or three for each turn. What is found is put where a turn looks first, into what its
transaction knows (`bot.storage.tx.Tx.known`).

It stands until somebody writes about the same customer. Turns of other customers don't; whatever else happens in the commit
before a turn begins is noticed (`bot.storage.prepared.Pending`), and the turn reads for itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from bot.nouns import noun
from bot.storage import customers, inbox_rows
from bot.storage.prepared import Pending
from bot.storage.tx import Tx

FEW = 2  # with fewer there is nothing to be gained
READ = frozenset({"identities", "customers", "conversations", "cases", "inbox"})


@noun(frozen=True, slots=True)
class Coming:
    """A delivery that a turn is about to take in. `awaited_as`: under this name waits what has come before it."""

    source: str
    key: str
    channel: str
    external_id: str
    awaited_as: str = ""


class Ahead:
    """What was read for the turns of one commit. The rows of PostgreSQL that it is of are locked."""

    __slots__ = ("_found", "_pending")

    def __init__(self, pending: Pending, found: Mapping[Coming, _Found]) -> None:
        self._pending = pending
        self._found = found

    def known(self, coming: Coming | None) -> dict[Any, Any]:
        """What the turn of this delivery, which begins now, may know: nothing where it may have changed since."""
        found = self._found.get(coming) if coming is not None else None
        if (
            found is None
            or not self._pending.anybodys.isdisjoint(READ)
            or not self._pending.touched.isdisjoint(found.of)
        ):
            return {}
        return found.known

    def of(self, coming: Coming) -> str | None:
        """The customer whose turn it is, if anything was read for it."""
        found = self._found.get(coming)
        return found.of[0] if found is not None else None


@noun(frozen=True, slots=True)
class _Found:
    """For one turn: what its transaction is to know, and the keys of the rows that this is of."""

    known: dict[Any, Any]
    of: tuple[str, str | None, str]  # customer, case and delivery


def read_ahead(tx: Tx, pending: Pending, coming: Iterable[Coming]) -> Ahead:
    return Ahead(pending, _read(tx, coming))


def _read(tx: Tx, coming: Iterable[Coming]) -> Mapping[Coming, _Found]:
    """Of senders who are known, one delivery each: nothing for the others."""
    first: dict[tuple[str, str], Coming] = {}
    for one in coming:
        first.setdefault((one.channel, one.external_id), one)
    locks = tx.conn.dialect.name == "postgresql"
    if len(first) < FEW and not locks:
        return {}
    by_channel, by_source = defaultdict[str, list[Coming]](list), defaultdict[str, list[Coming]](list)
    for one in first.values():
        by_channel[one.channel].append(one)
        by_source[one.source].append(one)
    rows: dict[str, Any] = {}
    for channel, some in by_channel.items():
        names = [one.external_id for one in some]
        free = tx.lock_free(channel, names) if locks else None
        for row in customers.who_are(tx.conn, channel, names):
            if free is None or row.customer_id in free:
                rows.setdefault(row.customer_id, row)  # one of each customer, who may write in two places at once
    names = [one.awaited_as for one in first.values() if one.awaited_as]
    seen, awaited = set[tuple[str, str]](), set[str]()
    for source, some in by_source.items():
        keys, parked = inbox_rows.known(tx, source, [one.key for one in some], names)
        seen |= {(source, key) for key in keys}
        awaited |= parked
    found: dict[Coming, _Found] = {}
    for row in rows.values():
        one = first[row.channel, row.external_id]
        if row.merged_into is None and (one.source, one.key) not in seen:
            known: dict[Any, Any] = {
                ("sender", one.channel, one.external_id): row,
                ("delivery", one.source, one.key): one.awaited_as in awaited,
            }
            found[one] = _Found(known, (row.customer_id, row.live_id, one.key))
    return found
