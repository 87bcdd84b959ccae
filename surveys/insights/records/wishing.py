"""Wishes: one item each, a vote for every customer who has it, and word to all of them when it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bot.errors import Conflict
from bot.events import WishTold
from bot.model import new_id
from bot.outreach.notice import Audience
from bot.outreach.telling import Notices
from bot.storage import audit
from bot.storage.tx import Tx
from bot.texts import titles
from surveys.insights import wishes
from surveys.insights.records import store
from surveys.insights.records.nouns import Area, Vote, Wish, WishState
from surveys.insights.records.store import Reader
from surveys.insights.records.telling import tell
from surveys.insights.records.words import message_of, text_of, title_of

ASKED = (WishState.OPEN, WishState.PLANNED)


def wished(
    tx: Tx, customer_id: str, case_id: str | None, text: str, locale: str, *, by: str, area: Area | None = None
) -> Wish:
    """A customer's wish. In the words of one that is there it is a vote for it; else it is a wish of its own.

    Somebody who says it twice votes once; their words are kept.
    """
    said = text_of(text)
    known = _worded(tx.conn)
    near = wishes.nearest(said, locale, known)
    if near is not None and near[1] >= wishes.SAME:
        found = store.wish(tx.conn, near[0])
    else:
        found = Wish(new_id(), titles.title_of(said), WishState.OPEN, by, tx.now, tx.now, area=area)
        store.put_wish(tx, found)
    if store.has_voted(tx.conn, found.id, customer_id):
        return store.wish(tx.conn, found.id)
    vote = Vote(new_id(), found.id, customer_id, case_id, said, locale, tx.now)
    store.add_vote(tx, vote)
    return _told(tx, found.id, vote)


def proposals(conn: Reader) -> list[tuple[Wish, Wish, float]]:
    """(this one, may be that one, how alike): for a person to say. The most alike first."""
    by_id = {one.id: one for one in store.wishes(conn, ASKED)}
    return [(by_id[later], by_id[earlier], alike) for later, earlier, alike in wishes.proposals(_worded(conn))]


def _worded(conn: Reader) -> list[wishes.Worded]:
    """The wishes that are asked for, in the words of those who have them; a title where nobody's words are left."""
    asked = store.wishes(conn, ASKED)
    said = store.texts(conn, [one.id for one in asked])
    return [wishes.Worded(one.id, tuple(said.get(one.id, ())) or ((one.title, "en"),)) for one in asked]


def add_wish(tx: Tx, title: str, by: str) -> Wish:
    """A wish that nobody told the bot: from a talk, a fair, a colleague."""
    made = Wish(new_id(), title_of(title), WishState.OPEN, by, tx.now, tx.now)
    store.put_wish(tx, made)
    audit.of_console(tx, by, "wish added", wish=made.id)
    return _told(tx, made.id)


def change_wish(
    tx: Tx, wish_id: str, by: str, *, title: str, area: Area | None, message: Mapping[str, str], planned: bool
) -> Wish:
    found = _asked(tx, wish_id)
    state = WishState.PLANNED if planned else WishState.OPEN
    changed = replace(
        found, title=title_of(title), area=area, message=message_of(message), state=state, updated_at=tx.now
    )
    store.put_wish(tx, changed)
    audit.of_console(tx, by, "wish changed", wish=wish_id)
    return _told(tx, wish_id)


def merge(tx: Tx, wish_id: str, into_id: str, by: str) -> Wish:
    """These two are one: the votes go over, and who voted for both counts once. Raises NotFound, Conflict."""
    found, into = _asked(tx, wish_id), _asked(tx, into_id)
    if found.id == into.id:
        raise Conflict("a wish can't be joined with itself")
    store.move_votes(tx, found.id, into.id)
    store.put_wish(tx, replace(found, state=WishState.MERGED, merged_into=into.id, updated_at=tx.now))
    store.put_wish(tx, replace(into, area=into.area or found.area, updated_at=tx.now))
    audit.of_console(tx, by, "wishes merged", wish=found.id, into=into.id)
    _told(tx, found.id)
    return _told(tx, into.id)


def part(tx: Tx, wish_id: str, vote_id: str, by: str) -> Wish:
    """This vote wishes for something else: it becomes a wish of its own."""
    found = _asked(tx, wish_id)
    vote = next((one for one in store.votes(tx.conn, wish_id) if one.id == vote_id), None)
    if vote is None:
        raise Conflict("that vote is not there any more")
    made = Wish(new_id(), titles.title_of(vote.text), WishState.OPEN, by, tx.now, tx.now, area=found.area)
    store.put_wish(tx, made)
    store.move_vote(tx, vote_id, made.id)
    audit.of_console(tx, by, "wish parted", wish=made.id)
    _told(tx, wish_id)
    return _told(tx, made.id)


def ship(tx: Tx, notices: Notices, wish_id: str, by: str) -> Wish:
    """It is there: who wished for it is told, once each.

    The notice is not called as the wish is, by a customer's words: they would stay in it, and in the notes that it leaves.
    """
    found = _asked(tx, wish_id)
    notice_id = tell(tx, notices, message=found.message, audience=Audience(wish=wish_id), by=by)
    shipped = replace(found, state=WishState.SHIPPED, shipped_at=tx.now, notice_id=notice_id, updated_at=tx.now)
    store.put_wish(tx, shipped)
    audit.of_console(tx, by, "wish shipped", wish=wish_id)
    return _told(tx, wish_id)


def decline(tx: Tx, wish_id: str, by: str) -> Wish:
    found = _asked(tx, wish_id)
    declined = replace(found, state=WishState.DECLINED, updated_at=tx.now)
    store.put_wish(tx, declined)
    audit.of_console(tx, by, "wish declined", wish=wish_id)
    return _told(tx, wish_id)


def _told(tx: Tx, wish_id: str, vote: Vote | None = None) -> Wish:
    """The wish as it is now, of which other systems hear: with the `vote` that was given, or as it was changed."""
    wish = store.wish(tx.conn, wish_id)
    whose = {"customer_id": vote.customer_id, "case_id": vote.case_id, "text": vote.text} if vote else {}
    area = wish.area.value if wish.area else None
    tx.emit(WishTold(wish.id, wish.state.value, area, wish.votes, **whose))
    return wish


def _asked(tx: Tx, wish_id: str) -> Wish:
    found = store.held_wish(tx, wish_id)
    if found.state not in ASKED:
        raise Conflict("this wish is settled")
    return found
