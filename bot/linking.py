"""One customer, several channels: how a second one is linked, by the customer alone.

    channel A: /link ──► a code (and a deep link), good for ten minutes and once
    channel B: the link is opened, or /link CODE typed ──► six digits are shown there
    channel A: the digits are typed back ──► both are one customer; both are told, and can /unlink for 24 hours

Both ends must be in the same hands: who finds a leaked code is shown digits that they cannot type on A, and who is made to
open a link types nothing. Never by name, e-mail or phone. Limits (ASVS 6.6.3): five wrong digits end a code, five wrong
codes an hour end an identity's trying; behind those, eight letters of 32 are enough, and can be typed.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta

from bot.model import SYSTEM, Body, Identity
from bot.outbox import say as send
from bot.storage import customers, links, merging
from bot.texts import say
from bot.turn import Turn

LIFETIME = timedelta(minutes=10)
TRIES = 5
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # none that look alike
LENGTH = 8
CHANNEL_NAMES = {"telegram": "Telegram", "slack": "Slack", "web": "web"}
SECRETS = {"link_how", "link_how_code", "link_show_digits"}  # texts with a code or digits in them


class Linking:
    """The first of the takers: it hears `/link`, `/unlink`, `/start <code>`, and digits while a code waits for them."""

    def __init__(self, deep_links: Callable[[str, str], Sequence[str]]) -> None:
        self._deep_links = deep_links

    def take(self, turn: Turn) -> bool:
        if turn.message is None or turn.pressed is not None:
            return False
        if turn.command == "link" or (turn.command == "start" and looks_like_code(turn.argument)):
            if turn.argument:
                self._open(turn, turn.argument)
            else:
                self._offer(turn)
            return True
        if turn.command == "unlink":
            self._undo(turn)
            return True
        return self._digits(turn)

    def _offer(self, turn: Turn) -> None:
        code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        links.offer(turn.tx, code, turn.identity.id, turn.customer.id, turn.tx.now + LIFETIME)
        addresses = "\n".join(self._deep_links(code, turn.identity.channel))
        key = "link_how" if addresses else "link_how_code"
        self._tell(turn, turn.identity, key, code=code, link=addresses, minutes=int(LIFETIME.total_seconds() // 60))

    def _open(self, turn: Turn, code: str) -> None:
        code = code.strip().upper()
        failed = links.failures_since(turn.tx, turn.identity.id, turn.tx.now - timedelta(hours=1))
        link = links.offered(turn.tx, code) if failed < TRIES else None
        asker = customers.identity_by_id(turn.tx.conn, link.identity_id) if link else None
        digits = f"{secrets.randbelow(1_000_000):06d}"
        if link is not None and asker is not None and asker.customer_id == turn.customer.id:
            self._tell(turn, turn.identity, "link_same")
        elif link is None or asker is None or not links.open_for(turn.tx, link, turn.identity.id, digits):
            links.note_failure(turn.tx, turn.identity.id)
            self._tell(turn, turn.identity, "link_expired")
        else:
            self._tell(turn, turn.identity, "link_show_digits", digits=digits)
            self._tell(turn, asker, "link_ask_digits", channel=channel_name(turn.identity))

    def _digits(self, turn: Turn) -> bool:
        typed = turn.text.strip().replace(" ", "")
        if not (len(typed) == 6 and typed.isascii() and typed.isdigit()):
            return False
        link = links.opened(turn.tx, turn.identity.id)
        if link is None or link.digits is None or link.opened_by is None:
            return False
        opener = customers.identity_by_id(turn.tx.conn, link.opened_by)
        if opener is None or not hmac.compare_digest(typed.encode(), link.digits.encode()):
            left = TRIES - link.tries - 1
            links.mark(turn.tx, link, tries=link.tries + 1, state="opened" if left > 0 else "dead")
            self._tell(turn, turn.identity, "link_wrong" if left > 0 else "link_expired", left=left)
            return True
        links.mark(turn.tx, link, state="used", digits=None)
        self._join(turn, opener)
        return True

    def _join(self, turn: Turn, opener: Identity) -> None:
        """Both become one. Who has the web keeps their numbering: a widget counts on it."""
        tx, asker = turn.tx, turn.identity
        mine, theirs = turn.customer.id, opener.customer_id
        if mine != theirs:
            winner, loser = (mine, theirs) if keeps_numbering(turn, mine, theirs) else (theirs, mine)
            merging.merge(tx, winner, loser, "linked")
        for here, there in ((asker, opener), (opener, asker)):
            moved = customers.identity_by_id(tx.conn, here.id) or here
            self._tell(turn, moved, "link_done", channel=channel_name(there))
            self._tell(turn, moved, "link_undo_how")
        now_at = customers.identity_by_id(tx.conn, asker.id)
        if now_at is not None:
            customers.wrote_at(tx, now_at, asker.address)

    def _undo(self, turn: Turn) -> None:
        merge_id = merging.last_merge(turn.tx, turn.customer.id)
        if merge_id is None:
            self._tell(turn, turn.identity, "link_nothing_to_undo")
            return
        told = customers.identities(turn.tx.conn, turn.customer.id)
        merging.unmerge(turn.tx, merge_id)
        for one in told:
            fresh = customers.identity_by_id(turn.tx.conn, one.id)
            if fresh is not None:
                self._tell(turn, fresh, "link_undone")

    def _tell(self, turn: Turn, where: Identity, key: str, **values: object) -> None:
        who = customers.customer(turn.tx.conn, where.customer_id)
        locale = who.locale if who else turn.customer.locale
        own = getattr(turn.tx.wiring.desk(), "texts", None)
        text = say(key, locale, own, **values)
        once = {"once": True} if key in SECRETS else None  # rather asked for again than standing there twice
        send(turn.tx, where.customer_id, Body(text=text), author=SYSTEM, to=where, meta=once)


def looks_like_code(text: str) -> bool:
    text = text.strip().upper()
    return len(text) == LENGTH and all(char in ALPHABET for char in text)


def channel_name(identity: Identity) -> str:
    return CHANNEL_NAMES.get(identity.channel, identity.channel)


def keeps_numbering(turn: Turn, mine: str, theirs: str) -> bool:
    """Whether the asker's timeline is the one that goes on: the one with the web; between equals, the older."""

    def has_web(customer_id: str) -> bool:
        return any(one.channel == "web" for one in customers.identities(turn.tx.conn, customer_id))

    if has_web(mine) != has_web(theirs):
        return has_web(mine)
    return mine <= theirs  # ids are UUIDv7: the smaller is the older
