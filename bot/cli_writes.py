"""What commands write: by themselves where no server runs, through the running server where one does.

A table name → plain function `(tx, body) -> answer`, both JSON. The server offers the same table at its local door
(`bot/api/local.py`), so that a write is the same change whichever way it took.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.errors import NotFound, StafettError
from bot.storage import belongings, trouble
from bot.storage.erasure import erase
from bot.storage.tx import Tx

Json = Mapping[str, Any]


def erase_customer(tx: Tx, body: Json) -> Json:
    """`{"customer": id or "channel:external id"}` → what went, and what is left elsewhere."""
    found = belongings.find_named(tx.conn, str(body["customer"]))
    if found is None:
        raise NotFound(f"there is no customer {body['customer']}")
    gone = erase(tx, found.id, by="command line")
    return {"customer": gone.customer, "rows": dict(gone.rows), "left": list(gone.left)}


def retry(tx: Tx, body: Json) -> Json:
    return {"done": trouble.retry(tx, str(body["id"]))}


def drop(tx: Tx, body: Json) -> Json:
    return {"done": trouble.drop(tx, str(body["id"]))}


def invite(tx: Tx, body: Json) -> Json:
    """`{"agent": id}` → the one-time link to `/desk`."""
    from handoff.web import sign_in

    token = sign_in.invite(tx, str(body["agent"]))
    return {"link": f"{tx.wiring.public_url}/desk/join?token={token}"}


def import_responses(tx: Tx, body: Json) -> Json:
    """`{"csv": text}` → how many answers there were, and how many of them were new. All or nothing."""
    from surveys import responses, store

    rows, refusals = responses.parse(str(body["csv"]).encode(), tx.now)
    if refusals:
        raise StafettError(f"line {refusals[0].line}: {refusals[0].why}")
    return {"rows": len(rows), "new": store.add_imported(tx.conn, rows)}


WRITES: Mapping[str, Callable[[Tx, Json], Json]] = {
    "erase": erase_customer,
    "retry": retry,
    "drop": drop,
    "invite": invite,
    "import": import_responses,
}
