"""Notices: telling all affected customers at once, and what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, BaseModel, Field, model_validator

from bot.api.customers import cut
from bot.api.once import write
from bot.api.problems import Unprocessable
from bot.api.rooms import Rooms
from bot.api.shapes import Closed, Id, Moment, Nothing, Page, ShortText, SlotName, SlotValue, Words
from bot.api.store import Reader
from bot.errors import NotFound
from bot.outreach import store
from bot.outreach.notice import (
    LONGEST_TEXT,
    MOST_NAMED,
    Audience,
    Kind,
    Notice,
    NoticeFault,
    Reason,
    State,
)
from bot.storage.tx import Tx
from bot.texts import canonical
from bot.texts.titles import LONGEST_TITLE

Locale = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35), AfterValidator(canonical)]
"""As customers have it: `no` is read as `nb`, `iw` as `he`."""
NoticeText = Words[Annotated[str, Field(max_length=LONGEST_TEXT)]]


class AudienceShape(Closed):
    """Who is affected; all that is given must hold. `topic`, `flow`, `team` and `since` (when it was opened) speak of one
    and the same case; `slots` of the customer; `customers` are ids. `everyone` has to be said.
    """

    topic: ShortText | None = None
    flow: Id | None = None
    team: Id | None = None
    since: Moment | None = None
    channel: Literal["telegram", "slack", "web"] | None = None
    locale: Locale | None = None
    slots: Annotated[dict[SlotName, SlotValue], Field(max_length=20)] = Field(default_factory=dict)
    customers: Annotated[list[Id], Field(max_length=MOST_NAMED)] = Field(default_factory=list)
    everyone: bool = False


class NoticeAsked(Closed):
    """`text` in the desk's first language, or `texts` by language (Markdown). `flow` stands as a button under it.

    It is told at once (from `starts_at` on, until `ends_at`), unless `draft` leaves it for a person to approve. An
    *incident* reaches everybody affected who has not asked to be left alone; a *campaign* only who agreed to it.
    """

    text: NoticeText | None = None
    texts: Annotated[dict[Locale, NoticeText], Field(max_length=50)] = Field(default_factory=dict)
    audience: AudienceShape
    title: Words[Annotated[str, Field(max_length=LONGEST_TITLE)]] | None = None
    kind: Kind = Kind.INCIDENT
    flow: Id | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    draft: bool = False

    @model_validator(mode="after")
    def _has_words(self) -> NoticeAsked:
        if (self.text is None) == (not self.texts):
            msg = "give text, or texts by language"
            raise ValueError(msg)
        return self


class NoticeShape(BaseModel):
    """`skipped` counts, by reason, those who were left alone."""

    id: str
    kind: Kind
    state: State
    title: str
    texts: dict[str, str]
    audience: dict[str, Any]
    flow: str | None
    drafted_by: str
    drafted_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    starts_at: datetime | None
    ends_at: datetime | None
    waiting: int
    told: int
    skipped: dict[Reason, int]


class NoticeList(BaseModel):
    items: list[NoticeShape]
    next: str | None


BY = "api"


def router(rooms: Rooms) -> APIRouter:
    made = APIRouter(tags=["notices"])
    storage, notices = rooms.storage, rooms.notices

    @made.post("/notices", status_code=202, response_model=NoticeShape)
    async def tell_affected(asked: NoticeAsked, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """Tell all affected customers, once each, never in quiet hours and never over a person who talks with them."""

        def unit(tx: Tx) -> NoticeShape:
            try:
                kept = notices.draft(tx, _notice(asked, notices.desk().locales[0], tx.now), BY)
            except NoticeFault as fault:
                raise Unprocessable(f"body.{fault.at}", fault.told) from fault
            return _shape(tx.conn, kept if asked.draft else notices.approve(tx, kept.id, BY))

        return await write(storage, request, 202, unit)

    @made.get("/notices")
    async def list_notices(page: Annotated[Page, Query()]) -> NoticeList:
        """All notices, the latest first."""

        def query(conn: Reader) -> tuple[list[NoticeShape], bool]:
            found, more = cut(store.listing(conn, before=page.after, limit=page.limit + 1), page.limit)
            return [_shape(conn, one) for one in found], more

        found, more = await storage.read(query)
        return NoticeList(items=found, next=found[-1].id if more else None)

    @made.get("/notices/{notice_id}")
    async def get_notice(notice_id: str, _: Annotated[Nothing, Query()]) -> NoticeShape:
        """One notice, and how far it has got."""

        def query(conn: Reader) -> NoticeShape:
            found = store.notice(conn, notice_id)
            if found is None:
                raise NotFound("there is no such notice")
            return _shape(conn, found)

        return await storage.read(query)

    @made.post("/notices/{notice_id}/approve", response_model=NoticeShape)
    async def approve_notice(notice_id: str, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """A draft is told from now on."""
        return await write(storage, request, 200, lambda tx: _shape(tx.conn, notices.approve(tx, notice_id, BY)))

    @made.post("/notices/{notice_id}/cancel", response_model=NoticeShape)
    async def cancel_notice(notice_id: str, _: Annotated[Nothing, Query()], request: Request) -> Response:
        """Who has not been told by now is not told any more."""
        return await write(storage, request, 200, lambda tx: _shape(tx.conn, notices.cancel(tx, notice_id, BY)))

    return made


def _notice(asked: NoticeAsked, locale: str, now: datetime) -> Notice:
    texts = dict(asked.texts) or {locale: asked.text or ""}
    words = next(iter(texts.values())).strip().splitlines()
    return Notice(
        id="",
        kind=asked.kind,
        state=State.DRAFT,
        title=asked.title or (words[0][:LONGEST_TITLE] if words else ""),
        texts=texts,
        audience=Audience(**asked.audience.model_dump()),
        drafted_by=BY,
        drafted_at=now,
        flow=asked.flow,
        starts_at=asked.starts_at,
        ends_at=asked.ends_at,
    )


def _shape(conn: Reader, notice: Notice) -> NoticeShape:
    came = store.progress(conn, [notice.id])[notice.id]
    fields = {name: getattr(notice, name) for name in NoticeShape.model_fields if hasattr(notice, name)}
    counted = {"waiting": came.waiting, "told": came.told, "skipped": dict(came.skipped)}
    return NoticeShape(**{**fields, **counted, "audience": store.to_json(notice.audience)})
