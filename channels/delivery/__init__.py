"""Drains the outbox: order per lane, back-off, rate limits, and the sends whose outcome nobody knows.

    ready ──claim──► sending ──► sent
      ▲                │ ├─────► retry (due later) ──► sending …
      │                │ ├─────► failed
      │                │ └─────► uncertain ──resolver──► sent | retry | failed
      └ (baton moved: expired)

`sending` is committed before the first byte leaves. A row that is found `sending` after a crash is `uncertain`, never
`ready`: it may have arrived. One send at a time per lane; a lane whose head waits (429) holds only itself up.

Where one process writes (SQLite), the claim is the last thing done in the very commit that gave it reason: a turn that said
something, a send that came to its end. So what is said leaves after one commit and is marked by one more, and both share theirs
with all that happens at the moment; the loop itself looks only when something is due later. As long as nobody waits, nobody is
looked for: what the commit itself has added is `sending` before it is inserted, and the end of a send asks for a look only where
another one may leave because of it. Where nodes share a database, each looks when it is woken, in a transaction of its own:
locks on what all share are not kept for the length of a turn.

A claimed row is held under a lease. Where nodes share a database the lease is short, and the node that lives renews it
every few seconds; one that was frozen or cut off for longer drops what it was sending when it wakes, and may write nothing
about it (fencing): by then another node has asked the resolver. Times of leases are the database's.

| module | what |
| --- | --- |
| `loop` | sends what was claimed, asks about what is uncertain |
| `claims` | which rows may leave now: fair to all lanes, within the limits, under the baton |
| `paces` | how much the platforms take: limits per chat, channel, workspace, bot |
| `leases` | what this process holds, and until when it may believe so |
| `outcomes` | what is written about a send, by what came of it |
"""

from __future__ import annotations

from channels.delivery.loop import DeliveryLoop

__all__ = ["DeliveryLoop"]
