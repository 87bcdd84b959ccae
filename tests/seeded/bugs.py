"""The bugs, each as one exact replacement, and the tests that have to notice it.

A bug is one that somebody could really make: what a support desk loses by it stands in its name. `old` occurs exactly
once in its file; `tests/unit/test_seeded.py` holds that, so a bug does not quietly stop being one when code moves.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """`caught_by`: what is run against it, as pytest names them; any failure there is the bug being noticed."""

    name: str
    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]


BUGS: tuple[Bug, ...] = (
    # ── the door in ────────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        "a delivery that comes twice counts twice",
        "bot/inbox.py",
        "        seen = self._seen(tx, inbound)\n",
        "        inbound = replace(inbound, key=new_id(), also=())\n        seen = None\n",
        ("tests/unit/test_inbox.py",),
    ),
    Bug(
        "a client's own id is not looked up in the history",
        "bot/inbox.py",
        "    known = history.of_customer(tx.conn, customer_id, chosen) if chosen else None\n",
        "    known = None\n",
        ("tests/unit/test_inbox.py", "tests/unit/test_web_socket.py", "tests/unit/test_web_frames.py"),
    ),
    Bug(
        "what was read for a turn is believed, though a neighbour in its commit has changed it",
        "bot/storage/ahead.py",
        "            or not self._pending.anybodys.isdisjoint(READ)\n",
        "",
        ("tests/unit/test_ahead.py",),
    ),
    Bug(
        "what was read for a turn is believed, though a neighbour in its commit has changed this very customer's",
        "bot/storage/ahead.py",
        "            or not self._pending.touched.isdisjoint(found.of)\n",
        "",
        ("tests/unit/test_ahead.py",),
    ),
    Bug(
        "a turn that shares a transaction takes a customer whom another node holds",
        "bot/storage/ahead.py",
        "            if free is None or row.customer_id in free:\n",
        "            if row is not None:\n",
        ("tests/unit/test_ahead.py",),
    ),
    Bug(
        "a webhook is acknowledged before its message is stored",
        "channels/telegram/webhook.py",
        "            await self._take(body)\n",
        "            import asyncio\n\n            self._later = asyncio.ensure_future(self._take(body))\n",
        ("tests/journeys/test_telegram_webhook.py",),
    ),
    Bug(
        "polling confirms a batch that it could not store",
        "channels/telegram/polling.py",
        '            await self._intake.take_all(found["result"])\n',
        '            self._confirm([update.get("update_id") for update in found["result"]])\n'
        '            await self._intake.take_all(found["result"])\n',
        ("tests/journeys/test_telegram_chat.py", "tests/faults/test_killed.py"),
    ),
    Bug(
        "Slack's second event about the same post is another message",
        "channels/slack/inbound.py",
        "happening, also=also)\n",
        "happening)\n",
        ("tests/unit/test_slack_inbound.py", "tests/journeys/test_slack_channel.py"),
    ),
    Bug(
        "a turn that fails takes the message with it",
        "bot/inbox.py",
        "            self._failed(tx, row, error)\n            return\n",
        "            raise\n",
        ("tests/unit/test_inbox.py",),
    ),
    Bug(
        "what waits for its album is never put together",
        "bot/inbox.py",
        '        timers.set_timer(tx, "album", waits_for, tx.now + ALBUM_WAIT, data={"waits_for": waits_for})\n',
        "",
        ("tests/unit/test_inbox.py", "tests/journeys/test_telegram_chat.py"),
    ),
    Bug(
        "the number in a timeline is a sequence, not a counter of the customer's",
        "bot/storage/history.py",
        "    return seq, at\n",
        "    import itertools\n\n"
        "    seq = next(next_seq.__dict__.setdefault('numbers', itertools.count(1)))\n"
        "    return seq, at\n",
        ("tests/unit/test_storage.py", "tests/unit/test_inbox.py"),
    ),
    Bug(
        "two turns of one customer run at once",
        "bot/storage/tx.py",
        '        if self.conn.dialect.name != "postgresql":\n            return False\n',
        "        return False\n",
        ("tests/unit/test_many_nodes.py", "tests/unit/test_storage.py", "tests/unit/test_merging.py"),
    ),
    # ── the door out ───────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        "a send whose outcome nobody knows is sent again at once",
        "channels/delivery/outcomes.py",
        'self._set(tx, delivery, state="uncertain", due_at=tx.now + RESOLVE_AFTER, error=error, attempts=0)',
        'self._set(tx, delivery, state="retry", due_at=tx.now, error=error)',
        ("tests/unit/test_delivery.py", "tests/journeys/test_telegram_chat.py"),
    ),
    Bug(
        "whoever lost a row's lease may write about it still",
        "bot/storage/outbox_rows.py",
        't.outbox.c.lease_owner == bindparam("by"))\n)\n_HELD_AND',
        'bindparam("by", type_=t.outbox.c.lease_owner.type).is_not(None))\n)\n_HELD_AND',
        ("tests/unit/test_delivery.py", "tests/unit/test_many_nodes.py"),
    ),
    Bug(
        "a row is not marked as being sent before the first byte leaves",
        "bot/storage/outbox_rows.py",
        '"into": "sending"',
        '"into": "ready"',
        ("tests/unit/test_delivery.py", "tests/faults/test_killed.py"),
    ),
    Bug(
        "what the bot had queued leaves though a human has taken over",
        "channels/delivery/claims.py",
        "and row.held_epoch != row.epoch:",
        "and row.epoch < 0:",
        ("tests/unit/test_delivery.py",),
    ),
    Bug(
        "a message is sent before the one that was said before it",
        "bot/storage/outbox_rows.py",
        "b.c.lane == o.c.lane, b.c.n < o.c.n,",
        "b.c.lane == o.c.lane, b.c.n > o.c.n,",
        ("tests/unit/test_delivery.py",),
    ),
    Bug(
        "what was on its way when its sender died is sent again unasked",
        "bot/storage/outbox_rows.py",
        'values({**freed, "state": "uncertain", "attempts": 0})',
        'values({**freed, "state": "ready", "attempts": 0})',
        ("tests/unit/test_delivery.py", "tests/faults/test_killed.py"),
    ),
    Bug(
        "a timer that another node has rung is rung again",
        "bot/storage/timer_rows.py",
        "    return _TAKE.run(tx.conn, of=timer.id, then=timer.due_at) > 0\n",
        "    return _TAKE.run(tx.conn, of=timer.id, then=timer.due_at) >= 0\n",
        ("tests/unit/test_timers.py", "tests/unit/test_many_nodes.py"),
    ),
    # ── people ─────────────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        "two agents hold one case",
        "handoff/cases.py",
        "        raise taken_by(tx, case)\n    return give(",
        "        pass\n    return give(",
        ("tests/unit/test_handoff_cases.py", "tests/contracts/test_desks.py"),
    ),
    Bug(
        "the bot answers while people hold the case",
        "handoff/taker.py",
        "    if case is None or not case.with_people:\n        return False\n",
        "    return False\n",
        ("tests/unit/test_handoff_cases.py", "tests/journeys/test_slack_desk.py"),
    ),
    Bug(
        "who was away is not told what became of a message",
        "bot/storage/history.py",
        "    both = union_all(select(said.subquery()), select(later.subquery()))\n",
        "    both = union_all(select(said.subquery()), select(later.where(line.c.seq < 0).subquery()))\n",
        ("tests/unit/test_storage.py", "tests/unit/test_web_socket.py"),
    ),
    Bug(
        "the words of before an edit are told as those of after it",
        "bot/storage/history.py",
        "    text = func.coalesce(line.c.text, m.c.text)\n",
        "    text = m.c.text\n",
        ("tests/unit/test_storage.py",),
    ),
    Bug(
        "a note is numbered like what customers read",
        "bot/storage/history.py",
        "    seq, at = (None, tx.now) if note else _next_place(tx, customer_id, tx.now)\n",
        "    seq, at = _next_place(tx, customer_id, tx.now)\n",
        ("tests/unit/test_storage.py", "tests/unit/test_handoff_cases.py"),
    ),
    Bug(
        "a post with the note mark goes to the customer",
        "handoff/slack/posts.py",
        "    if said.is_note:\n        return Fate(False)\n",
        "",
        ("tests/unit/test_slack_desk.py", "tests/journeys/test_slack_desk.py"),
    ),
    Bug(
        "a post that names a colleague goes to the customer",
        "handoff/slack/posts.py",
        '    if said.mentions:\n        return Fate(False, "not_relayed_mention")\n',
        "",
        ("tests/unit/test_slack_desk.py", "tests/journeys/test_slack_desk.py"),
    ),
    Bug(
        "words that were taken back leave when the undo window ends",
        "handoff/relays.py",
        '    if relay is None or relay.state != "waiting":\n        return\n',
        "    if relay is None:\n        return\n",
        ("tests/unit/test_handoff_cases.py", "tests/unit/test_handoff_machine.py", "tests/journeys/test_slack_desk.py"),
    ),
    Bug(
        "a case ends without a solution and without a reason",
        "handoff/cases.py",
        '    if outcome == "no_solution" and not (reason or "").strip():\n',
        "    if False:\n",
        ("tests/unit/test_handoff_cases.py",),
    ),
    # ── the one question, the numbers ──────────────────────────────────────────────────────────────────────────────
    Bug(
        "a case that was resolved twice is asked about twice",
        "surveys/invitations.py",
        '        if known is not None and (known.asked_at is not None or known.state == "answered"):\n            return\n',
        "",
        ("tests/unit/test_surveys_invitations.py",),
    ),
    Bug(
        "an answer that comes after the end counts",
        "surveys/answers.py",
        "if asked.expires_at is not None and tx.now > asked.expires_at:",
        "if False:",
        ("tests/unit/test_surveys_invitations.py",),
    ),
    Bug(
        "a score of three answers is shown as if it said something",
        "surveys/figures/shape.py",
        "SHOWN_FROM = 5\n",
        "SHOWN_FROM = 1\n",
        ("tests/unit/test_figures.py",),
    ),
    Bug(
        "the NPS interval forgets its made-up answers",
        "surveys/statistics.py",
        "    size = n + 3\n",
        "    size = n\n",
        ("tests/unit/test_statistics.py",),
    ),
    Bug(
        "a comment that begins like a formula runs in the spreadsheet",
        "surveys/responses.py",
        'FORMULA_STARTS = ("=", "+", "-", "@", ',
        'FORMULA_STARTS = ("=", "+", "-", ',
        ("tests/unit/test_surveys_responses.py",),
    ),
    # ── strangers ──────────────────────────────────────────────────────────────────────────────────────────────────
    Bug(
        "a request from Slack that is days old is taken",
        "channels/slack/signature.py",
        " or abs(now - int(timestamp)) > WINDOW:",
        ":",
        ("tests/unit/test_slack_signature.py",),
    ),
    Bug(
        "anybody may call the Telegram webhook",
        "channels/telegram/webhook.py",
        "        return len(given) == 1 and hmac.compare_digest(given[0], self._secret)\n",
        "        return True\n",
        ("tests/journeys/test_telegram_webhook.py",),
    ),
)
