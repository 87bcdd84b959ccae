"""Customers, what was said with them, and forgetting them."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request, Response

from bot.api.once import write
from bot.api.rooms import Rooms
from bot.api.shapes import (
    Accepted,
    AuthorShape,
    Customers,
    CustomerShape,
    ErasedShape,
    Event,
    FileShape,
    IdentityShape,
    MessagePage,
    Messages,
    MessageShape,
    Nothing,
    Page,
    Said,
)
from bot.api.store import Reader
from bot.errors import NotFound
from bot.inbox import EVENT
from bot.model import BOT, Body, Customer, Message, Occurred, new_id
from bot.outbox import say
from bot.storage import customers, history, inbox_rows
from bot.storage.belongings import family
from bot.storage.erasure import erase
from bot.storage.tx import Tx

T = TypeVar("T")


def router(rooms: Rooms) -> APIRouter:
    made = APIRouter(tags=["customers"])
    storage = rooms.storage

    @made.get("/customers")
    async def list_customers(page: Annotated[Page, Query()]) -> Customers:
        """All customers, oldest first."""

        def query(conn: Reader) -> list[CustomerShape]:
            return [shape(conn, one) for one in customers.page(conn, page.after, page.limit + 1)]

        found, more = cut(await storage.read(query), page.limit)
        return Customers(items=found, next=found[-1].id if more else None)

    @made.get("/customers/{customer_id}")
    async def get_customer(customer_id: str, _: Annotated[Nothing, Query()]) -> CustomerShape:
        """One customer. An id from before a merge finds the customer that they are now."""
        return await storage.read(lambda conn: shape(conn, known(conn, customer_id)))

    @made.get("/customers/{customer_id}/messages")
    async def list_messages(customer_id: str, page: Annotated[MessagePage, Query()]) -> Messages:
        """What was said, on all channels, in order of `seq`. Notes are not among it."""

        def query(conn: Reader) -> list[Message]:
            return history.messages(conn, known(conn, customer_id).id, after=page.after, limit=page.limit + 1)

        found, more = cut(await storage.read(query), page.limit)
        return Messages(items=[message_shape(one) for one in found], next=str(found[-1].seq) if more else None)

    @made.post("/customers/{customer_id}/messages", status_code=201, response_model=MessageShape)
    async def say_to_customer(
        customer_id: str, said: Said, _: Annotated[Nothing, Query()], request: Request
    ) -> Response:
        """Say something to a customer, on the channel where they were last. Plain text."""

        def unit(tx: Tx) -> MessageShape:
            who = known(tx.conn, customer_id)
            tx.lock_customer(who.id)
            case_id = rooms.cases.live(tx.conn, who.id)
            meta = {"by": "api"}
            said_now = say(tx, who.id, Body(said.text), author=BOT, case_id=case_id, meta=meta, bulk=True)
            return message_shape(said_now)

        return await write(storage, request, 201, unit)

    @made.post("/customers/{customer_id}/events", status_code=202, response_model=Accepted)
    async def tell_event(customer_id: str, event: Event, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """Something happened in another system: a flow that waits for it goes on, one that begins with it begins."""

        def unit(tx: Tx) -> Accepted:
            tx.lock_customer(known(tx.conn, customer_id).id)
            who = known(tx.conn, customer_id)  # they may have been merged meanwhile
            event_id = event.id or new_id()
            rooms.occurred(tx, who.id, key_of(tx, who.id, event_id), Occurred(event.name, event.values))
            return Accepted(id=event_id, customer=who.id)

        return await write(storage, request, 202, unit)

    @made.delete("/customers/{customer_id}", response_model=ErasedShape)
    async def erase_customer(customer_id: str, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """Forget a customer: rows, files, timeline, raw copies. Leaves one audit line. What can't be reached is told."""

        def unit(tx: Tx) -> ErasedShape:
            gone = erase(tx, customer_id, by="api")
            return ErasedShape(customer=gone.customer, rows=dict(gone.rows), left=list(gone.left))

        answer = await write(storage, request, 200, unit)
        await storage.truncate_log()
        return answer

    return made


def known(conn: Reader, customer_id: str) -> Customer:
    """Raises NotFound."""
    found = customers.customer(conn, customer_id)
    if found is None:
        raise NotFound("there is no such customer")
    return found


def key_of(tx: Tx, customer_id: str, event_id: str) -> str:
    """Under which an event is told once; that of before a merge, where it was told to one of those who are this customer now."""
    names = [f"{one}:{event_id}" for one in family(tx.conn, customer_id)]
    told = inbox_rows.find(tx, EVENT, names)
    return names[0] if told is None else told.key


def cut(found: list[T], limit: int) -> tuple[list[T], bool]:
    """One page of what was read one too far, and whether there is more."""
    return found[:limit], len(found) > limit


def shape(conn: Reader, who: Customer) -> CustomerShape:
    return CustomerShape(
        id=who.id,
        name=who.name,
        locale=who.locale,
        created_at=who.created_at,
        attributes=dict(who.attributes),
        identities=[
            IdentityShape(
                channel=one.channel,
                external_id=one.external_id,
                evidence=one.evidence,
                name=one.name,
                reachable=one.reachable,
            )
            for one in customers.identities(conn, who.id)
        ],
    )


def message_shape(message: Message) -> MessageShape:
    author, body = message.author, message.body
    return MessageShape(
        seq=message.seq,
        id=message.id,
        author=AuthorShape(kind=author.kind, name=author.name, id=author.id),
        channel=message.channel,
        text=body.text,
        files=[FileShape(id=one.id, name=one.name, type=one.type, size=one.size) for one in body.files],
        at=message.at,
        customer=message.customer_id,
        case=message.case_id,
        edited_at=message.edited_at,
        deleted_at=message.deleted_at,
    )
