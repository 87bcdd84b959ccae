"""Who is watching which conversation, on this node: widgets, and agents' live views.

A watcher is woken after a commit and then reads the database; what passes through here are hints and fleeting things
(typing), never the messages themselves. So a lost hint costs latency, not a message.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

EVERYBODY = "*"
Watcher = Callable[[str, Mapping[str, Any]], None]
"""Called with the customer's id and a hint: {"kind": "timeline" | "case" | "typing" | "read" | "look", …}."""


class Hub:
    """`relay` passes each hint on to the other nodes, where there are any (bot/storage/notices.py)."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[Watcher]] = defaultdict(set)
        self.relay: Watcher | None = None

    @contextmanager
    def watching(self, customer_id: str, watcher: Watcher) -> Iterator[None]:
        self.add(customer_id, watcher)
        try:
            yield
        finally:
            self.remove(customer_id, watcher)

    def add(self, customer_id: str, watcher: Watcher) -> None:
        self._watchers[customer_id].add(watcher)

    def remove(self, customer_id: str, watcher: Watcher) -> None:
        watchers = self._watchers.get(customer_id)
        if watchers is not None:
            watchers.discard(watcher)
            if not watchers:
                del self._watchers[customer_id]

    def hint(self, customer_id: str, kind: str, **more: Any) -> None:
        if not self._watchers and self.relay is None:
            return  # as where nobody uses the widget: each message hints three times
        hint = {"kind": kind, **more}
        self.heard(customer_id, hint)
        if self.relay is not None:
            self.relay(customer_id, hint)

    def heard(self, customer_id: str, hint: Mapping[str, Any]) -> None:
        """A hint from here or from another node."""
        for topic in (customer_id, EVERYBODY):
            for watcher in tuple(self._watchers.get(topic, ())):
                watcher(customer_id, hint)

    def look(self) -> None:
        """Hints may have been lost: everybody looks."""
        for topic, watchers in tuple(self._watchers.items()):
            for watcher in tuple(watchers):
                watcher(topic, {"kind": "look"})

    def count(self) -> int:
        return sum(len(watchers) for topic, watchers in self._watchers.items() if topic != EVERYBODY)
