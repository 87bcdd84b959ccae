"""`/api/v1`: Stafett for other programs. `create_api(rooms, token)` is the ASGI app that `bot/server.py` mounts there.

    problems.py    every error as RFC 9457 problem+json
    door.py        the bearer token, the body's limits, strict JSON: before FastAPI sees anything
    shapes.py      what may be sent, and what is answered (the OpenAPI page is made of these)
    rooms.py       what the API asks of handoff and surveys, which it must not import
    once.py        Idempotency-Key
    store.py       its own queries
    feed.py        what happens, as server-sent events
    customers.py cases.py figures.py    the calls

Decisions
- FastAPI costs a second to import: it is imported only where a token turns the API on (2026-11).
- Everything here needs the token, the OpenAPI page too: who has none gets 401 for any path, and learns nothing.
- Schemas are closed, in bodies and in queries: a field or filter with a typing error is told, never passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from bot.api.rooms import Rooms


def create_api(rooms: Rooms, token: str) -> ASGIApp:
    """The API as an ASGI app, to be mounted at `/api/v1`. Imports FastAPI."""
    from bot.api.build import build

    return build(rooms, token)
