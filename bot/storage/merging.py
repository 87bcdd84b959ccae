"""Two customers turn out to be one: their histories become one timeline, and can be parted again.

The winner keeps their numbering; the loser's messages are *copied* behind it, with new `seq`s and their own times, so that
nobody who watches the winner's timeline sees a gap or a jump. The loser's rows stay as they were, which is what makes the
undoing exact. A pointer, `merged_into`, leads from the loser to the winner.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, case, func, insert, or_, select, update

from bot.errors import Conflict, NotFound
from bot.events import CustomersMerged, TimelineGrew
from bot.model import HELD, LIVE, AuthorKind, CaseStatus, Customer, Identity, new_id
from bot.storage import customers, history
from bot.storage import tables as t
from bot.storage.outbox_rows import unsent
from bot.storage.tx import Tx

UNDO_WITHIN = timedelta(hours=24)
FOLLOWS = (  # whose rows simply change hands; `messages` are copied instead, `outbox`, `message_refs`: see below
    t.cases,
    t.case_events,
    t.relays,
    t.inbox,
    t.timers,
    t.files,
    t.survey_invitations,
    t.survey_responses,
    t.survey_alerts,
    t.outside_feedback,
    t.link_codes,
    t.recordings,
    t.promises,
    t.errands,
    t.case_hints,
    t.figure_facts,
    t.case_labels,
    t.problem_cases,
    t.wish_votes,
    t.departures,
    t.quality_cases,
    t.quality_reviews,
)

BY_ID = (  # whose rows are noted one by one at a merge, so that its undoing gives back just these
    t.cases,
    t.files,
    t.timers,
    t.survey_invitations,
    t.survey_responses,
    t.survey_alerts,
    t.outside_feedback,
    t.case_labels,
    t.wish_votes,
    t.departures,
    t.quality_reviews,
)


def merge(tx: Tx, winner_id: str, loser_id: str, evidence: str) -> str:
    """Make the loser's history the winner's. Locks both in the order of their ids. Returns the merge's id."""
    winner, loser = _locked(tx, winner_id, loser_id)
    if winner.id == loser.id:
        msg = "these two are one customer already"
        raise Conflict(msg)
    talks = _living_talks(tx, winner.id, loser.id)
    # First the rooms: handoff makes one live case of two, before the rows move.
    tx.emit(CustomersMerged(winner.id, loser.id))
    talk, answered_at = _go_on_talking(tx, winner.id, loser.id, talks), _wrote_last_at(tx, winner.id, loser.id)
    merge_id = _note_merge(tx, winner, loser, evidence, talk)
    _copy_messages(tx, winner.id, loser.id)
    _under_new_epoch(tx, loser.id, loser.id, winner.id)
    for table in FOLLOWS:
        tx.conn.execute(update(table).where(table.c.customer_id == loser.id).values(customer_id=winner.id))
    tx.conn.execute(update(t.outbox).where(*_unsent(loser.id)).values(customer_id=winner.id))
    for table in (t.outbox, t.message_refs):
        tx.conn.execute(update(table).where(*_said(table, loser.id, loser.id)).values(customer_id=winner.id))
    tx.conn.execute(update(t.identities).where(t.identities.c.customer_id == loser.id).values(customer_id=winner.id))
    values: dict[str, Any] = {"attributes": {**loser.attributes, **winner.attributes}}
    opted_out = select(t.customers.c.opted_out).where(t.customers.c.id == loser.id)
    if tx.conn.execute(opted_out).scalar():
        values["opted_out"] = True
    if not winner.name and loser.name:
        values["name"] = loser.name
    tx.conn.execute(update(t.customers).where(t.customers.c.id == winner.id).values(**values))
    tx.conn.execute(update(t.customers).where(t.customers.c.id == loser.id).values(merged_into=winner.id))
    tx.forget()
    if answered_at is not None:
        customers.wrote_at(tx, replace(answered_at[0], customer_id=winner.id), answered_at[1])
    return merge_id


def _wrote_last_at(tx: Tx, winner_id: str, loser_id: str) -> tuple[Identity, str] | None:
    """Where the loser is answered, identity and address, if they wrote after the winner; None: answers go on where they go."""
    m = t.messages.c
    wrote = select(m.customer_id, func.max(m.at)).where(
        m.customer_id.in_([winner_id, loser_id]), m.deleted_at.is_(None)
    )
    by_them = wrote.where(m.author_kind == AuthorKind.CUSTOMER).group_by(m.customer_id)
    last = {row[0]: row[1] for row in tx.conn.execute(by_them)}
    if loser_id not in last or (winner_id in last and last[winner_id] >= last[loser_id]):
        return None
    talk = customers.conversation(tx.conn, loser_id)
    where = customers.identity_by_id(tx.conn, talk.reply_identity_id or "")
    return None if where is None or not where.reachable else (where, talk.reply_address or where.address)


def _living_talks(tx: Tx, *customer_ids: str) -> dict[str, dict[str, Any]]:
    """Where the bot stands with each of them: live case → its state."""
    talks = {}
    for customer_id in customer_ids:
        state = customers.conversation(tx.conn, customer_id).bot_state
        if state.get("case") in _live_cases(tx, customer_id):
            talks[str(state["case"])] = dict(state)
    return talks


def _go_on_talking(tx: Tx, winner_id: str, loser_id: str, talks: dict[str, dict[str, Any]]) -> str | None:
    """What was told to the bot is not asked again: of two talks the one goes on that is in the middle of a flow.

    Returns the case that it began in. None goes on where an agent holds the case, as when they take it.
    """
    if _live_cases(tx, winner_id, HELD) or _live_cases(tx, loser_id, HELD):
        customers.set_bot_state(tx, winner_id, {})
        return None
    survivor = next(iter(_live_cases(tx, winner_id) or _live_cases(tx, loser_id)), None)
    if survivor is None or not talks:
        return None
    ordered = sorted(talks.values(), key=lambda one: (not one.get("flow", {}).get("frames"), one["case"] != survivor))
    customers.set_bot_state(tx, winner_id, {**ordered[0], "case": survivor})
    return str(ordered[0]["case"])


def _live_cases(tx: Tx, customer_id: str, among: Collection[CaseStatus] = LIVE) -> list[str]:
    c = t.cases
    query = select(c.c.id).where(c.c.customer_id == customer_id, c.c.status.in_([*among]))
    return [str(one) for (one,) in tx.conn.execute(query)]


def _locked(tx: Tx, winner_id: str, loser_id: str) -> tuple[Customer, Customer]:
    """Both customers, as they are once their turns are locked. Raises NotFound."""
    wanted = {winner_id, loser_id}
    while True:
        for customer_id in sorted(wanted):
            tx.lock_customer(customer_id)
        winner, loser = customers.customer(tx.conn, winner_id), customers.customer(tx.conn, loser_id)
        if winner is None or loser is None:
            msg = "one of these customers is not there any more"
            raise NotFound(msg)
        now = {winner.id, loser.id}
        if now <= wanted:
            return winner, loser
        wanted |= now  # one of them was merged into a third one meanwhile


def _under_new_epoch(tx: Tx, holder_id: str, before_id: str, after_id: str) -> None:
    """What has not left yet of the holder's was held against one customer's epoch, and is against another's from now on."""
    o = t.outbox
    before, after = (customers.conversation(tx.conn, one).epoch for one in (before_id, after_id))
    stale = (*_unsent(holder_id), o.c.epoch.is_not(None))
    tx.conn.execute(update(o).where(*stale).values(epoch=case((o.c.epoch == before, after), else_=-1)))


def _unsent(customer_id: str) -> tuple[ColumnElement[bool], ...]:
    """What may still leave to them. Nothing in the outbox is ever forgotten, and an index by customer each message would pay
    for: so their sends are found by what else has one. What has left and says nothing (a file that was fetched, a card) stays
    with whom it was of; who exports or erases the one customer finds both.
    """
    return t.outbox.c.customer_id == customer_id, unsent(t.outbox.c.state)


def _said(table: Table, holder_id: str, customer_id: str) -> tuple[ColumnElement[bool], ...]:
    """The rows that go with this customer's messages, where `holder_id` has them.

    Not with what an undone merge has left hidden in their history: that is somebody else's, perhaps the holder's own.
    """
    m, c = t.messages.c, t.customers.c
    joined = m.copied_from.in_(select(c.id).where(c.merged_into == customer_id))
    theirs = or_(m.deleted_at.is_(None), m.copied_from.is_(None), joined)
    said = select(m.id).where(m.customer_id == customer_id, theirs)
    return table.c.customer_id == holder_id, table.c.message_id.in_(said)


def _note_merge(tx: Tx, winner: Customer, loser: Customer, evidence: str, talk: str | None) -> str:
    winner_id, loser_id = winner.id, loser.id
    moved: dict[str, list[Any]] = {"identities": [one.id for one in customers.identities(tx.conn, loser_id)]}
    for table in BY_ID:
        theirs = select(table.c.id).where(table.c.customer_id == loser_id)
        moved[table.name] = [str(one) for (one,) in tx.conn.execute(theirs)]
    of_no_message = (t.inbox.c.customer_id == loser_id, t.inbox.c.message_id.is_(None))
    moved["inbox"] = [
        list(one) for one in tx.conn.execute(select(t.inbox.c.source, t.inbox.c.key).where(*of_no_message))
    ]
    moved["outbox"] = list(tx.conn.execute(select(t.outbox.c.id).where(*_unsent(loser_id))).scalars())
    moved["attributes"] = [name for name in loser.attributes if name not in winner.attributes]
    moved["name"] = [] if winner.name else ["taken"]  # the loser's row tells it; this one is in the winner's export
    moved["talk"] = [talk] if talk is not None else []
    before = customers.conversation(tx.conn, winner_id)
    moved["answered_at"] = [before.reply_identity_id, before.reply_address]
    merge_id = new_id()
    row = {"id": merge_id, "winner_id": winner_id, "loser_id": loser_id, "identities": moved}
    tx.conn.execute(insert(t.merges).values(**row, evidence=evidence, at=tx.now))
    return merge_id


def _copy_messages(tx: Tx, winner_id: str, loser_id: str) -> None:
    m = t.messages
    theirs = select(m).where(m.c.customer_id == loser_id, m.c.deleted_at.is_(None))
    rows = tx.conn.execute(theirs.order_by(m.c.at, m.c.seq.is_(None), m.c.seq, m.c.id))
    for row in rows.mappings().all():
        seq = None if row["seq"] is None else history.next_seq(tx, winner_id, row["at"])
        copied = {**row, "customer_id": winner_id, "seq": seq, "copied_from": loser_id}
        place = (m.c.customer_id == winner_id, m.c.id == row["id"])
        if not tx.conn.execute(update(m).where(*place).values(**copied)).rowcount:  # it was here before, and left
            tx.conn.execute(insert(m).values(**copied))
        if seq is not None:
            tx.emit(TimelineGrew(winner_id, seq))


def last_merge(tx: Tx, customer_id: str, evidence: str = "linked") -> str | None:
    """The newest merge of this customer by that evidence that can still be undone."""
    m = t.merges
    mine = (or_(m.c.winner_id == customer_id, m.c.loser_id == customer_id), m.c.evidence == evidence)
    query = select(m.c.id).where(*mine, m.c.undone_at.is_(None), m.c.at >= tx.now - UNDO_WITHIN)
    query = query.order_by(m.c.at.desc(), m.c.id.desc())
    return tx.conn.execute(query).scalar()


def unmerge(tx: Tx, merge_id: str) -> tuple[str, str]:
    """Part them again: (winner's id, loser's id). What was said since stays with the winner.

    Raises NotFound, and Conflict where the winner was joined with somebody else since.
    """
    m = t.merges
    standing = select(m).where(m.c.id == merge_id, m.c.undone_at.is_(None))
    row = tx.conn.execute(standing).first()
    for customer_id in sorted((row.winner_id, row.loser_id)) if row is not None else ():
        tx.lock_customer(customer_id)
    row = tx.conn.execute(standing).first()  # as it is under the locks: somebody else may have undone it meanwhile
    if row is None:
        msg = "there is no such merge to undo"
        raise NotFound(msg)
    now = customers.customer(tx.conn, row.winner_id)
    if now is None or now.id != row.winner_id:
        msg = "this customer was joined with another one since; undo that first"
        raise Conflict(msg)
    tx.emit(CustomersMerged(row.winner_id, row.loser_id, undone=True))
    tx.conn.execute(update(t.customers).where(t.customers.c.id == row.loser_id).values(merged_into=None))
    _give_back(tx, row.identities, row.winner_id, row.loser_id)
    _forget_the_others(tx, row.identities, row.winner_id, row.loser_id)
    _part_talks(tx, row.identities, row.winner_id, row.loser_id)
    _give_sends_back(tx, row)
    _under_new_epoch(tx, row.loser_id, row.winner_id, row.loser_id)
    _take_out_copies(tx, row.winner_id, row.loser_id)
    tx.forget()
    _reply_elsewhere(tx, row.winner_id, row.identities)
    tx.conn.execute(update(m).where(m.c.id == merge_id).values(undone_at=tx.now))
    return row.winner_id, row.loser_id


def _give_back(tx: Tx, moved: dict[str, list[Any]], winner_id: str, loser_id: str) -> None:
    """What came with the merge changes hands again, and only that."""
    for table in (t.identities, *BY_ID):
        theirs = table.c.id.in_(moved.get(table.name, []))
        tx.conn.execute(update(table).where(theirs).values(customer_id=loser_id))
    of_their_cases = (t.case_events, t.relays, t.survey_invitations, t.timers, t.recordings, t.promises)
    for table in (*of_their_cases, t.errands, t.case_hints, t.problem_cases, t.quality_cases):
        of_case = (table.c.customer_id == winner_id, table.c.case_id.in_(moved["cases"]))
        tx.conn.execute(update(table).where(*of_case).values(customer_id=loser_id))
    facts = t.figure_facts
    for table in (t.cases, t.survey_responses, t.survey_invitations):
        made_of = (facts.c.customer_id == winner_id, facts.c.id.in_(moved.get(table.name, [])))
        tx.conn.execute(update(facts).where(*made_of).values(customer_id=loser_id))
    i = t.inbox.c
    came = update(t.inbox).where(i.source == bindparam("by"), i.key == bindparam("named"), i.customer_id == winner_id)
    if moved.get("inbox"):  # edits, and other deliveries that are no message
        named = [{"by": source, "named": key} for source, key in moved["inbox"]]
        tx.conn.execute(came.values(customer_id=loser_id), named)
    for table in (t.inbox, t.message_refs):
        tx.conn.execute(update(table).where(*_said(table, winner_id, loser_id)).values(customer_id=loser_id))


def _forget_the_others(tx: Tx, moved: dict[str, list[Any]], winner_id: str, loser_id: str) -> None:
    """What is known of the winner only because the loser had told it; what was told since is theirs."""
    winner, loser = customers.customer(tx.conn, winner_id), customers.customer(tx.conn, loser_id)
    if winner is None or loser is None:
        return
    came = {name: loser.attributes[name] for name in moved.get("attributes", []) if name in loser.attributes}
    own = {name: value for name, value in winner.attributes.items() if name not in came or value != came[name]}
    named = "" if moved.get("name") and winner.name == loser.name else winner.name
    c = t.customers.c
    tx.conn.execute(update(t.customers).where(c.id == winner_id).values(attributes=own, name=named))


def _part_talks(tx: Tx, moved: dict[str, list[Any]], winner_id: str, loser_id: str) -> None:
    """The bot goes on where it is in the case, not where it was at the merge: what has been done since is not done twice.

    What the winner had told it went on in the loser's case, perhaps: that is not for the loser.
    """
    state = dict(customers.conversation(tx.conn, winner_id).bot_state)
    is_theirs = all(case_id in moved["cases"] for case_id in (state.get("case"), *moved.get("talk", [])))
    customers.set_bot_state(tx, loser_id, state if is_theirs else {})
    if is_theirs:
        customers.set_bot_state(tx, winner_id, {})


def _give_sends_back(tx: Tx, merge: Any) -> None:
    """Sends of what was said, those that waited at the merge, and those about its cases that were put in since."""
    o, moved = t.outbox.c, merge.identities
    before = select(o.n).where(o.created_at < merge.at).order_by(o.n.desc()).limit(1)
    since = o.n > (tx.conn.execute(before).scalar() or 0)  # read from its end to the first that is older
    theirs = (
        _said(t.outbox, merge.winner_id, merge.loser_id),
        (o.id.in_(moved.get("outbox", [])),),
        (since, o.customer_id == merge.winner_id, o.case_id.in_(moved["cases"])),
    )
    for which in theirs:
        tx.conn.execute(update(t.outbox).where(*which).values(customer_id=merge.loser_id))


def _take_out_copies(tx: Tx, winner_id: str, loser_id: str) -> None:
    m = t.messages
    copies = (m.c.customer_id == winner_id, m.c.copied_from == loser_id, m.c.deleted_at.is_(None))
    for row in tx.conn.execute(select(m).where(*copies).order_by(m.c.seq)).all():
        history.hide(tx, history.to_message(row))


def _reply_elsewhere(tx: Tx, winner_id: str, moved: dict[str, list[Any]]) -> None:
    """If the winner was last answered at an identity that has left, answer where they were before the merge, if it is still
    theirs; else at one that is.
    """
    known = {one.id: one for one in customers.identities(tx.conn, winner_id)}
    if not known or customers.conversation(tx.conn, winner_id).reply_identity_id in known:
        return
    before, address = moved.get("answered_at") or (None, None)
    where = known.get(before or "") or [*known.values()][-1]
    customers.wrote_at(tx, where, address if where.id == before and address else where.address)
