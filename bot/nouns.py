"""Nouns: dataclasses that nobody changes, and that cost little to make.

    @noun(frozen=True, slots=True)
    class Author: ...

    but(author, name="Ann")        # another, which is the same but for its name: `dataclasses.replace` in a third of the time,
                                   # for whatever has two fields or more

A frozen dataclass of the standard library sets each of its fields by a call that goes around its own guard. A message makes
dozens of them, with some four hundred fields: a twentieth of what it costs in all. So a type checker is shown the frozen
dataclass, and refuses whoever would change one; what runs has slots, and is equal and hashed by its fields just the same, but
does not watch over itself. For what every message makes: whatever is made once (a desk, a flow) stays a plain
`@dataclass(frozen=True, slots=True)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["but", "noun"]

if TYPE_CHECKING:
    from dataclasses import dataclass as noun
    from dataclasses import replace as but
else:
    from dataclasses import dataclass, fields
    from functools import cache
    from operator import attrgetter

    def noun(*, frozen: bool, slots: bool) -> Any:
        return dataclass(slots=slots, unsafe_hash=frozen)

    def but(one: Any, /, **values: Any) -> Any:
        of = type(one)
        read, places = _held(of)
        held = list(read(one))
        for name, value in values.items():
            held[places[name]] = value
        return of(*held)

    @cache
    def _held(of: type) -> tuple[attrgetter[Any], dict[str, int]]:
        """What reads all fields at once, and the place of each among them."""
        names = [one.name for one in fields(of)]
        return attrgetter(*names), {name: place for place, name in enumerate(names)}
