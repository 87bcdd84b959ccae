"""What can go wrong between the product and a platform, as values that a test hands to a server.

A fault stands in a queue of its method and is used up by one call. `acts` says whether the platform did
what it was asked before things went wrong: that is the difference that the product cannot see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Params = dict[str, Any]
When = Callable[[Params], bool]


class FaultKind(StrEnum):
    STATUS = "status"  # the platform's own JSON error, with this HTTP status
    RAW = "raw"  # any bytes: a proxy's HTML page, nothing at all, half a JSON object
    RESET = "reset"  # the connection is torn down, without an answer
    SLOW = "slow"  # the right answer, late
    REFUSAL = "refusal"  # the platform's own definite no


@dataclass(frozen=True, slots=True)
class Fault:
    """One mishap. Build it with the class methods."""

    kind: FaultKind
    code: int = 200
    acts: bool = False
    retry_after: int | None = None
    body: bytes = b""
    type: str = "text/html"
    gate: asyncio.Event | None = None
    seconds: float = 0.0
    reason: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def status(cls, code: int, *, retry_after: int | None = None) -> Fault:
        """The platform's JSON error, nothing done: 429 with or without a time to wait (seconds), 500, 503."""
        return cls(FaultKind.STATUS, code, retry_after=retry_after)

    @classmethod
    def refusal(cls, reason: str, *, code: int = 400, **extra: Any) -> Fault:
        """A definite no: Telegram's description (`extra` becomes `parameters`), or Slack's `error` (HTTP 200)."""
        return cls(FaultKind.REFUSAL, code, reason=reason, extra=extra)

    @classmethod
    def html(cls, code: int = 502) -> Fault:
        """A proxy's page instead of an answer, nothing done."""
        return cls(FaultKind.RAW, code, body=_page(code))

    @classmethod
    def raw(cls, body: bytes = b"", *, code: int = 200, type: str = "application/json", acts: bool = True) -> Fault:  # noqa: A002
        """These bytes as the answer: empty, or JSON that breaks off. Done, unless told otherwise."""
        return cls(FaultKind.RAW, code, acts=acts, body=body, type=type)

    @classmethod
    def reset(cls) -> Fault:
        """The connection is torn down, nothing done."""
        return cls(FaultKind.RESET)

    @classmethod
    def accept_then_reset(cls) -> Fault:
        """Done; then the connection is torn down."""
        return cls(FaultKind.RESET, acts=True)

    @classmethod
    def accept_then_502(cls) -> Fault:
        """Done; then a proxy's page with 502."""
        return cls(FaultKind.RAW, 502, acts=True, body=_page(502))

    @classmethod
    def slow(cls, until: asyncio.Event | float, *, acts_first: bool = False) -> Fault:
        """The right answer, once the test sets the event (or after seconds); `acts_first`: done before the wait."""
        if isinstance(until, asyncio.Event):
            return cls(FaultKind.SLOW, acts=acts_first, gate=until)
        return cls(FaultKind.SLOW, acts=acts_first, seconds=until)

    async def wait(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        elif self.seconds:
            await asyncio.sleep(self.seconds)


@dataclass(slots=True)
class Call:
    """One request of the product's: what it asked, when, which fault it met, and what it was answered."""

    method: str
    params: Params
    at: datetime
    fault: Fault | None = None
    reply: Any = None


@dataclass(slots=True)
class Script:
    """The faults that still wait, a queue for each method; `*` fits every method."""

    waiting: list[tuple[str, Fault | None, When | None]] = field(default_factory=list)

    def add(self, method: str, faults: tuple[Fault | None, ...], when: When | None) -> None:
        self.waiting.extend((method, fault, when) for fault in faults)

    def take(self, method: str, params: Params) -> Fault | None:
        """The first that fits, taken out; a None in the queue lets one call pass."""
        for index, (name, fault, when) in enumerate(self.waiting):
            if name in (method, "*") and (when is None or when(params)):
                del self.waiting[index]
                return fault
        return None


def _page(code: int) -> bytes:
    return f"<html><head><title>{code}</title></head><body><center><h1>{code}</h1></center></body></html>".encode()
