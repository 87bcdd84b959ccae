"""Everything that Stafett raises on purpose.

StafettError                  one clear line for a person: what is wrong, where, what to do
├── SettingsFault             a setting is missing, malformed, or two contradict each other
├── DatabaseFault             the database can't be opened, is locked, newer than we are, or full
├── DeskFault                 the desk folder can't be loaded
├── NotAllowed                who asks may not do this
├── NotFound                  there is no such customer, case, message …
├── Conflict                  somebody else was first, or the lifecycle's table has no such step
└── SendFault                 what became of a send (see channels/port.py)
    ├── NotSent               certainly not delivered; may be tried again, `retry_after` seconds from now
    │   └── RateLimited       … because the platform says that this chat or channel gets too much
    ├── Refused               certainly not delivered, and never will be; `unreachable` if the customer left
    │   └── FileRefused       … but the words that went with the file can go by themselves
    └── Uncertain             it may have been delivered: the resolver decides, never a blind resend
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class StafettError(Exception):
    """One clear line for a person."""


class SettingsFault(StafettError):
    pass


class DatabaseFault(StafettError):
    pass


class DeskFault(StafettError):
    pass


class NotAllowed(StafettError):
    pass


class NotFound(StafettError):
    pass


class Conflict(StafettError):
    pass


class SendFault(StafettError):
    pass


class NotSent(SendFault):
    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class RateLimited(NotSent):
    pass


class Refused(SendFault):
    def __init__(self, reason: str, *, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class FileRefused(Refused):
    """`words` are the payload of a send of kind `text`, `file` that of what is refused: the file alone."""

    def __init__(self, reason: str, words: Mapping[str, Any], file: Mapping[str, Any]) -> None:
        super().__init__(reason)
        self.words = words
        self.file = file


class Uncertain(SendFault):
    pass
