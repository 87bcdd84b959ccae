"""The door in: record, then react, then acknowledge.

`receive` commits a happening and its whole turn in one transaction; only then does the channel acknowledge to its
platform. A turn that raises is rolled back to its SAVEPOINT, so that the message itself is never lost: it stays `new` and
is tried again, five times, then becomes a dead letter that somebody is told of, and the chat goes on.

Deduplication is by the platform's own id of the delivery, `(source, key)`, kept for KEEP. What comes too early (an edit
before its original, one photo of an album) is parked under `waits_for` and applied when that has come.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime, timedelta
from json.encoder import encode_basestring_ascii
from typing import Any

import structlog

from bot import failpoints, outbox, timers
from bot.events import ReachabilityChanged, TurnFailed
from bot.model import (
    Answered,
    Author,
    AuthorKind,
    Body,
    Chose,
    Customer,
    Deleted,
    Edited,
    FileRef,
    Happening,
    Identity,
    Inbound,
    Message,
    Occurred,
    Reachability,
    Receipt,
    RemoteFile,
    Sender,
    Wrote,
    new_id,
)
from bot.nouns import but
from bot.storage import customers, history, inbox_rows, letters
from bot.storage.ahead import Coming
from bot.storage.engine import Storage, lost_a_lock
from bot.storage.tx import Tx
from bot.turn import Pressed, Taker, Turn, take

log = structlog.get_logger()
EVENT = "event"  # where those come from that another system tells
KEEP = timedelta(days=7)  # Telegram repeats for 24 h, Slack for minutes
ALBUM_WAIT = timedelta(seconds=1)  # Telegram delivers an album's photos one by one
PARKED_AT_MOST = timedelta(seconds=8)  # loading a language's words takes up to five
TRIES = 5
Row = Any  # a row of the inbox
Caption = Mapping[str, str]  # of one photo of an album: its `ref`, `text`, and the last edit's `version`
_SORTED = json.JSONEncoder(sort_keys=True, default=str)
HAPPENINGS = {kind.__name__: kind for kind in (Wrote, Chose, Edited, Deleted, Reachability, Answered, Occurred)}


class Inbox:
    """`receive` for channels, `receive_answer` for connectors, `run` for what has to be tried again."""

    def __init__(self, storage: Storage, takers: Sequence[Taker], default_locale: str = "en") -> None:
        self._storage = storage
        self.takers = takers
        self.default_locale = default_locale
        self.duplicates = 0
        self.dropped = 0
        self._full: set[tuple[str, date]] = set()  # sources of which no more is kept on that day

    async def receive(self, inbound: Inbound) -> Receipt:
        """Commit, then return: the caller may acknowledge. The same `(source, key)` again is a duplicate."""
        failpoints.reach("received")
        receipt = await self._storage.write(lambda tx: self._receive(tx, inbound), quick=True, coming=coming(inbound))
        failpoints.reach("committed")
        self.duplicates += receipt.duplicate
        return receipt

    async def receive_many(self, batch: Sequence[Inbound]) -> list[Receipt]:
        """One after the other, each in a transaction of its own."""
        return [await self.receive(inbound) for inbound in batch]

    async def receive_answer(self, customer_id: str, key: str, answer: Answered) -> None:
        """A connector's answer comes back as a turn of its own."""
        await self._storage.write(lambda tx: self._receive_answer(tx, customer_id, key, answer), quick=True)

    async def drop(self, source: str, raw: bytes, error: str, key: str | None = None) -> None:
        """Malformed: count it, keep the raw copy for inspection and replay, go on. A source has so many kept a day."""
        self.dropped += 1
        today = (source, self._storage.clock().date())
        if today in self._full:
            return
        log.warning("dropped", source=source, error=error)
        if not await self._storage.write(lambda tx: letters.bury(tx, source, key, raw, error)):
            self._full = {one for one in self._full if one[1] == today[1]} | {today}

    async def run(self) -> datetime | None:
        """Try again what failed and is due; return when the next is."""
        while rows := await self._storage.read(lambda conn: inbox_rows.due(conn, self._storage.clock())):
            for row in rows:
                await self._again(row.source, row.key)
        for waits_for in await self._storage.read(lambda conn: inbox_rows.overdue(conn, self._storage.clock())):
            await self._release_all(waits_for)  # raises where the database takes nothing: what is overdue is no hurry
        return await self._storage.read(inbox_rows.next_due)

    async def _again(self, source: str, key: str) -> None:
        await self._storage.write(lambda tx: self._react_again(tx, source, key), quick=True)

    async def receive_event(self, customer_id: str, key: str, event: Occurred) -> None:
        """Something happened elsewhere; the same `key` twice is once. Nobody of that id: nothing."""
        await self._storage.write(lambda tx: self._receive_answer(tx, customer_id, key, event, EVENT), quick=True)

    def occurred(self, tx: Tx, customer_id: str, key: str, event: Occurred) -> None:
        """As `receive_event`, in somebody's own transaction."""
        self._receive_answer(tx, customer_id, key, event, EVENT)

    async def release(self, waits_for: str) -> None:
        """What these turns were parked for has happened: run them, each in a transaction of its own."""
        if not self._storage.is_open:
            return  # we have stopped; the next start wakes them
        try:
            await self._release_all(waits_for)
        except Exception as error:  # noqa: BLE001 - whatever it was, they are asked for again
            log.warning("parked turns wait on", waits_for=waits_for, error=str(error))  # `run` releases what is overdue

    async def _release_all(self, waits_for: str) -> None:
        for row in await self._storage.write(lambda tx: inbox_rows.parked(tx, waits_for), quick=True):
            await self._storage.write(lambda tx, one=row: self._release_one(tx, one), quick=True)  # type: ignore[misc]

    async def wake_parked(self, prefix: str) -> None:
        """After a start: what was parked for something that only the last process knew."""
        for waits_for in await self._storage.read(lambda conn: inbox_rows.parked_like(conn, prefix)):
            await self.release(waits_for)

    async def forget_old(self) -> None:
        await self._storage.write(lambda tx: inbox_rows.forget_before(tx, tx.now - KEEP))
        await self._storage.write(letters.forget_old)

    # ── inside a transaction ───────────────────────────────────────────────────────────────────────────────────────
    def _receive(self, tx: Tx, inbound: Inbound) -> Receipt:
        happening = inbound.happening
        if isinstance(happening, Wrote) and not happening.album and not inbound.also:
            return self._receive_words(tx, inbound, happening)
        seen = self._seen(tx, inbound)
        if seen is not None:
            return seen
        who, identity, _ = customers.resolve(tx, inbound.sender, self.default_locale)
        known = said_already(tx, who.id, inbound.happening)
        if known is not None:
            return known
        if happening.__class__ in {Wrote, Chose}:
            self._wrote_at(tx, who, identity, inbound.sender.address)
        self._insert(tx, inbound, who.id)
        if isinstance(happening, Wrote) and happening.album:
            self._park_album(tx, inbound, happening.album)
            return Receipt(who.id, None, None)
        message = self._apply(tx, inbound, replace(identity, customer_id=who.id))
        inbox_rows.mark(tx, inbound.source, inbound.key, message_id=message.id if message else None)
        if message is not None:
            self._react(tx, inbound.source, inbound.key)
            self._apply_parked(tx, inbound)
        elif inbox_rows.row(tx, inbound.source, inbound.key).state == "new":
            inbox_rows.done(tx, inbound.source, inbound.key)
        return Receipt(who.id, message.id if message else None, message.seq if message else None)

    def _receive_words(self, tx: Tx, inbound: Inbound, wrote: Wrote) -> Receipt:
        """What nearly all is: one message. All of it is known here, so nothing that was written is read again, and the row
        is written once; a turn that fails, or is parked, writes over it.
        """
        found = customers.known_as(tx, inbound.sender)
        if found is None:  # nobody is made for a delivery that was seen: they may have been erased since
            if (seen := self._seen(tx, inbound)) is not None:
                return seen
            found = customers.create(tx, inbound.sender, self.default_locale)
        if (known := said_already(tx, found[0].id, wrote)) is not None:
            return self._seen(tx, inbound) or known
        wrote = wrote if wrote.id else but(wrote, id=new_id())
        is_awaited = self._insert_new(tx, inbound, wrote, found[0].id)
        if is_awaited is None:
            if (seen := self._seen(tx, inbound)) is None:
                msg = f"the key {inbound.key} is taken, and nobody has it"
                raise LookupError(msg)
            return seen
        who, identity = customers.refreshed(tx, found, inbound.sender)
        where = self._wrote_at(tx, who, identity, inbound.sender.address)
        message = store_written(tx, where, wrote, who)
        self._react(tx, inbound.source, inbound.key, Turn(tx, who, where, wrote, message), inbound)
        if is_awaited:
            self._apply_parked(tx, inbound)
        return Receipt(who.id, message.id, message.seq)

    def _wrote_at(self, tx: Tx, who: Customer, identity: Identity, address: str) -> Identity:
        """They wrote there: answers go there, and whoever writes can be reached, whatever we heard before."""
        where = identity
        if not identity.reachable or identity.customer_id != who.id:
            where = replace(identity, customer_id=who.id, reachable=True)
        customers.wrote_at(tx, where, address)
        if not identity.reachable:
            customers.set_reachable(tx, identity.id, reachable=True)
            tx.emit(ReachabilityChanged(where, reachable=True))
        return where

    def _seen(self, tx: Tx, inbound: Inbound) -> Receipt | None:
        row = inbox_rows.find(tx, inbound.source, (inbound.key, *inbound.also))
        if row is None:
            return None
        message = history.message(tx.conn, row.message_id) if row.message_id else None
        conflict = row.body_hash is not None and row.body_hash != body_hash(inbound.happening)
        return Receipt(
            row.customer_id, row.message_id, message.seq if message else None, duplicate=True, conflict=conflict
        )

    def _insert(self, tx: Tx, inbound: Inbound, customer_id: str) -> None:
        row = {
            "source": inbound.source,
            "customer_id": customer_id,
            "body_hash": body_hash(inbound.happening),
        }
        inbox_rows.add(tx, **_row(inbound, customer_id), **_to_run_again(inbound), state="new")
        for key in dict.fromkeys(inbound.also):
            if key != inbound.key:
                inbox_rows.add(tx, **row, key=key, state="alias")

    def _insert_new(self, tx: Tx, inbound: Inbound, wrote: Wrote, customer_id: str) -> bool | None:
        """The row of a message, as done, so without what a turn would need to run again: see `_react`.

        Whether edits of it have come before it; None: it has been here already.
        """
        row = _row(inbound, customer_id)
        row |= {"message_id": wrote.id, "state": "done", "handled_at": tx.now}
        is_awaited: bool | None = tx.known.pop(("delivery", inbound.source, inbound.key), None)  # see bot.storage.ahead
        if is_awaited is None:
            return inbox_rows.add_new(tx, awaited_as(inbound), **row)
        inbox_rows.add_unseen(tx, **row)
        return is_awaited

    def _apply(self, tx: Tx, inbound: Inbound, identity: Identity) -> Message | None:
        """Write what happened into the history. None: there is nothing to react to."""
        happening = inbound.happening
        match happening:
            case Wrote():
                return store_written(tx, identity, happening)
            case Chose():
                return store_choice(tx, identity, happening)
            case Edited(ref=ref) | Deleted(ref=ref):
                self._amend(tx, inbound, identity, ref)
            case Reachability(reachable=reachable):
                customers.set_reachable(tx, identity.id, reachable=reachable)
                tx.emit(ReachabilityChanged(replace(identity, reachable=reachable), reachable))
            case Answered() | Occurred():
                pass
        return None

    def _amend(self, tx: Tx, inbound: Inbound, identity: Identity, ref: str) -> None:
        original = history.by_ref(tx.conn, identity.channel, ref)
        if original is None:
            self._park(tx, inbound, amends(identity.channel, ref))
        elif original.customer_id == identity.customer_id and original.author.kind is AuthorKind.CUSTOMER:
            if original.deleted_at is not None:
                inbox_rows.forget_raw(tx, inbound.source, inbound.key)  # an edit that comes late brings no word back
            elif isinstance(inbound.happening, Deleted):
                history.delete(tx, original)
            elif isinstance(inbound.happening, Edited):
                self._edit(tx, original, inbound.happening)

    def _edit(self, tx: Tx, original: Message, edited: Edited) -> None:
        """Unless a later version has come before it. Of an album it is one photo's words that are new; the others stand."""
        captions = original.meta.get("captions")
        if captions is not None:
            self._edit_caption(tx, original, captions, edited)
            return
        known = str(original.meta.get("version") or "")
        if edited.version and edited.version <= known:
            return
        if edited.version:
            history.set_meta(tx, original, version=edited.version)
        if original.body.text != edited.text:
            history.edit(tx, original, edited.text)

    def _edit_caption(self, tx: Tx, album: Message, captions: Sequence[Caption], edited: Edited) -> None:
        before = next((one for one in captions if one["ref"] == edited.ref), None)
        if before is None or (edited.version and edited.version <= before["version"]):
            return
        after = {"ref": edited.ref, "text": edited.text, "version": edited.version or before["version"]}
        now = [after if one is before else one for one in captions]
        history.set_meta(tx, album, captions=now)
        if album.body.text != (text := all_said(now)):
            history.edit(tx, album, text)

    def _park(self, tx: Tx, inbound: Inbound, waits_for: str) -> None:
        inbox_rows.mark(tx, inbound.source, inbound.key, state="parked", waits_for=waits_for)

    def _apply_parked(self, tx: Tx, inbound: Inbound) -> None:
        """Edits and deletions that had come before their message."""
        ref = getattr(inbound.happening, "ref", None)
        if not ref:
            return
        self._amend_by_parked(tx, inbound.sender.channel, ref)

    def _amend_by_parked(self, tx: Tx, channel: str, ref: str) -> None:
        for row in inbox_rows.parked(tx, amends(channel, ref)):
            happening, sender = from_json(row.happening)
            identity = customers.identity(tx.conn, sender.channel, sender.external_id)
            if identity is not None and isinstance(happening, Edited | Deleted):
                self._amend(tx, Inbound(row.source, row.key, sender, happening), identity, happening.ref)
            inbox_rows.done(tx, row.source, row.key)

    def _park_album(self, tx: Tx, inbound: Inbound, album: str) -> None:
        waits_for = f"album:{inbound.sender.channel}:{inbound.sender.address}:{album}"
        self._park(tx, inbound, waits_for)
        timers.set_timer(tx, "album", waits_for, tx.now + ALBUM_WAIT, data={"waits_for": waits_for})

    def album_complete(self, tx: Tx, timer: timers.Timer) -> None:
        """The album's photos have come: they become one message, in the order in which they were sent."""
        rows = inbox_rows.parked(tx, timer.data["waits_for"])
        if not rows:
            return
        parts = [from_json(row.happening) for row in rows]
        sender = parts[0][1]
        identity = customers.identity(tx.conn, sender.channel, sender.external_id)
        if identity is None:
            return
        tx.lock_customer(identity.customer_id)
        written = sorted((one for one, _ in parts if isinstance(one, Wrote)), key=place_of)
        captions = [{"ref": one.ref or "", "text": one.text, "version": ""} for one in written]
        whole = replace(
            written[0],
            text=all_said(captions),
            files=tuple(file for one in written for file in one.files),
            remote_files=tuple(file for one in written for file in one.remote_files),
            album=None,
            extra={**written[0].extra, "captions": captions},
        )
        message = store_written(tx, identity, whole)
        for one in written[1:]:
            if one.ref:
                history.remember_ref(tx, identity.channel, one.ref, message)
        for row in rows[1:]:
            inbox_rows.done(tx, row.source, row.key)
        first = rows[0]
        inbox_rows.mark(
            tx, first.source, first.key, message_id=message.id, happening=to_json(whole, sender), state="new"
        )
        self._react(tx, first.source, first.key)
        for one in written:
            if one.ref:
                self._amend_by_parked(tx, identity.channel, one.ref)

    def _receive_answer(
        self, tx: Tx, customer_id: str, key: str, answer: Answered | Occurred, source: str = "connector"
    ) -> None:
        tx.lock_customer(customer_id)
        who = customers.customer(tx.conn, customer_id)
        where = customers.reply_identity(tx.conn, who.id) if who else None
        if who is None or where is None:
            return
        tx.lock_customer(who.id)  # they may have been merged
        sender = Sender(where.channel, where.external_id, where.address)
        inbound = Inbound(source, key, sender, answer)
        if self._seen(tx, inbound) is None:
            self._insert(tx, inbound, who.id)
            self._react(tx, inbound.source, inbound.key)

    def _release(self, tx: Tx, customer_id: str, waits_for: str) -> None:
        """Run the turns that were parked for this, in the order in which they came."""
        for row in inbox_rows.parked(tx, waits_for, customer_id):
            self._release_one(tx, row)

    def _release_one(self, tx: Tx, row: Row) -> None:
        now = self._locked(tx, row.source, row.key)
        if now is not None and now.state == "parked" and now.waits_for == row.waits_for:
            inbox_rows.mark(tx, row.source, row.key, state="new", waits_for=None)
            self._react(tx, row.source, row.key)

    def _react_again(self, tx: Tx, source: str, key: str) -> None:
        row = self._locked(tx, source, key)
        if row is not None and row.state == "new":
            self._react(tx, source, key)

    def _locked(self, tx: Tx, source: str, key: str) -> Row | None:
        """The row as it is under its customer's lock: another node may have run its turn while we waited."""
        row = inbox_rows.find(tx, source, (key,))
        if row is None or not row.customer_id:
            return row
        tx.lock_customer(row.customer_id)
        return inbox_rows.find(tx, source, (key,))

    def _react(self, tx: Tx, source: str, key: str, turn: Turn | None = None, inbound: Inbound | None = None) -> None:
        """Run the turn in a SAVEPOINT: if it raises, the message stays and is tried again.

        `turn` and what it came by are given where the row has just been written, as done; else they are read from the row.
        """
        is_done = turn is not None
        savepoint = tx.savepoint()
        try:
            turn = turn or turn_of(tx, inbox_rows.row(tx, source, key))
            take(turn, self.takers)
            failpoints.reach("turning")
            savepoint.commit()
        except Exception as error:
            if not savepoint.is_active or lost_a_lock(error):
                raise  # the whole of it is run again
            savepoint.rollback()
            row = inbox_rows.row(tx, source, key)
            log.exception("turn failed", source=source, attempt=row.attempts + 1)
            if inbound is not None:
                inbox_rows.mark(tx, source, key, **_to_run_again(inbound))
                row = inbox_rows.row(tx, source, key)
            self._failed(tx, row, error)
            return
        if turn.park_for is not None:
            # A connector always answers. Words are loaded by a process, which may end first: others look after a while.
            overdue = tx.now + PARKED_AT_MOST if turn.park_for.startswith("words:") else None
            parked = {"state": "parked", "waits_for": turn.park_for, "due_at": overdue, "handled_at": None}
            inbox_rows.mark(tx, source, key, **parked, **(_to_run_again(inbound) if inbound is not None else {}))
            tx.wake("inbox")
        elif not is_done:
            inbox_rows.done(tx, source, key)
        self._let_go(tx, turn.happening, turn.customer.id)

    def _let_go(self, tx: Tx, happening: Happening, customer_id: str) -> None:
        """A connector's answer has been heard (or never will be): what the customer said meanwhile is next."""
        if isinstance(happening, Answered):
            self._release(tx, customer_id, f"call:{happening.token}")

    def _failed(self, tx: Tx, row: Row, error: Exception) -> None:
        attempts = row.attempts + 1
        dead = attempts >= TRIES
        inbox_rows.mark(
            tx,
            row.source,
            row.key,
            attempts=attempts,
            error=repr(error)[:500],
            state="dead" if dead else "new",
            handled_at=None,
            due_at=None if dead else tx.now + timedelta(seconds=2 ** (attempts - 1)),
        )
        if dead:
            tx.emit(TurnFailed(row.customer_id, row.message_id, repr(error)[:500]))
            self._let_go(tx, from_json(row.happening)[0], row.customer_id or "")
        else:
            tx.wake("inbox")


def coming(inbound: Inbound) -> Coming | None:
    """What is read ahead of it: nothing for what is no plain message."""
    wrote, sender = inbound.happening, inbound.sender
    if not isinstance(wrote, Wrote) or wrote.album or inbound.also or wrote.id:
        return None
    return Coming(inbound.source, inbound.key, sender.channel, sender.external_id, awaited_as(inbound))


def awaited_as(inbound: Inbound) -> str:
    """Under this name waits what has come before it."""
    ref = getattr(inbound.happening, "ref", "")
    return amends(inbound.sender.channel, ref) if ref else ""


def amends(channel: str, ref: str) -> str:
    """What an edit or a deletion waits for whose message has not come yet."""
    return f"{channel}:{ref}"


def _row(inbound: Inbound, customer_id: str) -> dict[str, Any]:
    """What is known of a delivery before anything is made of it."""
    return {
        "source": inbound.source,
        "key": inbound.key,
        "customer_id": customer_id,
        "body_hash": body_hash(inbound.happening),
        "raw": inbound.raw or None,
    }


def _to_run_again(inbound: Inbound) -> dict[str, Any]:
    """What else is kept of it until its turn is done."""
    return {"happening": to_json(inbound.happening, inbound.sender)}


def place_of(wrote: Wrote) -> tuple[int, str]:
    """Where a message stands among those of one place: platforms count them up. Without a name, as it came."""
    return (len(wrote.ref), wrote.ref) if wrote.ref else (0, "")


def all_said(captions: Sequence[Caption]) -> str:
    """An album's text: what stands below its photos."""
    return "\n".join(one["text"] for one in captions if one["text"])


# ── what a happening leaves in the history ─────────────────────────────────────────────────────────────────────────
def store_written(tx: Tx, identity: Identity, wrote: Wrote, who: Customer | None = None) -> Message:
    files = (*wrote.files, *(expect_file(tx, identity, file) for file in wrote.remote_files))
    who = who or customers.customer(tx.conn, identity.customer_id)
    message = history.append(
        tx,
        identity.customer_id,
        Body(text=wrote.text, files=files),
        author=Author(AuthorKind.CUSTOMER, who.name if who else identity.name, identity.id),
        channel=identity.channel,
        message_id=wrote.id,
        meta=dict(wrote.extra),
    )
    if wrote.ref:
        history.remember_ref(tx, identity.channel, wrote.ref, message)
    return message


def said_already(tx: Tx, customer_id: str, happening: Happening) -> Receipt | None:
    """The receipt of an id that stands in this history already, though its delivery's key is new or forgotten.

    A client chooses its ids: one that names somebody else's words is a conflict, never a second message.
    """
    chosen = happening.id if isinstance(happening, Wrote | Chose) else None
    known = history.of_customer(tx.conn, customer_id, chosen) if chosen else None
    if known is None:
        return None
    text = happening.text if isinstance(happening, Wrote) else known.body.text
    same = known.author.kind is AuthorKind.CUSTOMER and known.body.text == text
    return Receipt(customer_id, known.id, known.seq, duplicate=True, conflict=not same)


def store_choice(tx: Tx, identity: Identity, chose: Chose) -> Message | None:
    """A pressed button becomes the customer's message. A button that isn't theirs, or isn't there, is nothing."""
    pressed = find_pressed(tx, identity.customer_id, chose)
    if pressed is None:
        return None
    who = customers.customer(tx.conn, identity.customer_id)
    return history.append(
        tx,
        identity.customer_id,
        Body(text=pressed.label),
        author=Author(AuthorKind.CUSTOMER, who.name if who else identity.name, identity.id),
        channel=identity.channel,
        message_id=chose.id,
        meta={"pressed": {"message": pressed.on.id, "value": pressed.value}},
    )


def find_pressed(tx: Tx, customer_id: str, chose: Chose) -> Pressed | None:
    on = history.message(tx.conn, chose.message_id)
    if on is None or on.customer_id != customer_id:
        return None
    choices = on.body.choices
    if chose.index is not None and 0 <= chose.index < len(choices):
        choice = choices[chose.index]
    else:
        found = [choice for choice in choices if choice.value == chose.value]
        if not found:
            return None
        choice = found[0]
    return Pressed(on, choice.value, choice.label)


def expect_file(tx: Tx, identity: Identity, remote: RemoteFile) -> FileRef:
    """A file that lies with the platform: its place is made now, its bytes are fetched after the commit."""
    file = FileRef(new_id(), remote.name, remote.type, remote.size or 0)
    inbox_rows.expect_file(tx, file, identity.customer_id, identity.channel, remote.ref)
    outbox.enqueue(
        tx,
        via=identity.channel,
        lane=f"fetch:{file.id}",
        kind="fetch",
        payload={"file_id": file.id, "ref": remote.ref, "address": identity.address},
        customer_id=identity.customer_id,
    )
    return file


def turn_of(tx: Tx, row: Row) -> Turn:
    """The turn that an inbox row stands for, read afresh: the same at the first try and at the fifth."""
    happening, sender = from_json(row.happening)
    identity = customers.identity(tx.conn, sender.channel, sender.external_id)
    who = customers.customer(tx.conn, identity.customer_id) if identity else None
    if identity is None or who is None:
        msg = f"inbox row {row.source}:{row.key} has no customer"
        raise LookupError(msg)
    message = history.message(tx.conn, row.message_id) if row.message_id else None
    pressed = find_pressed(tx, who.id, happening) if isinstance(happening, Chose) else None
    return Turn(tx, who, identity, happening, message, pressed)


def body_hash(happening: Happening) -> str:
    """What must be equal for two deliveries of one id to be the same message."""
    if isinstance(happening, Wrote) and not happening.files:  # what nearly all is: as below, without making an encoder
        return hashlib.sha256(f"[{encode_basestring_ascii(happening.text)}, []]".encode()).hexdigest()
    if isinstance(happening, Wrote):
        content: Any = [happening.text, [file.id for file in happening.files]]
    elif isinstance(happening, Chose):
        content = [happening.message_id, happening.value, happening.index]
    else:
        content = asdict(happening)
    return hashlib.sha256(_SORTED.encode(content).encode()).hexdigest()


def to_json(happening: Happening, sender: Sender) -> dict[str, Any]:
    return {"kind": type(happening).__name__, "is": happening, "sender": sender}


def from_json(raw: dict[str, Any]) -> tuple[Happening, Sender]:
    fields = dict(raw["is"])
    for name, kind in (("files", FileRef), ("remote_files", RemoteFile)):
        if name in fields:
            fields[name] = tuple(kind(**one) for one in fields[name])
    return HAPPENINGS[raw["kind"]](**fields), Sender(**raw["sender"])
