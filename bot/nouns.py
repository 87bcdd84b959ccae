"""Nouns: dataclasses that nobody changes, and that cost little to make.

    @noun(frozen=True, slots=True)
    class Author: ...

A frozen dataclass of the standard library sets each of its fields by a call that goes around its own guard. A message makes
dozens of them, with some four hundred fields: a twentieth of what it costs in all. So a type checker is shown the frozen
dataclass, and refuses whoever would change one; what runs has slots, and is equal and hashed by its fields just the same, but
does not watch over itself. For what every message makes: whatever is made once (a desk, a flow) stays a plain
`@dataclass(frozen=True, slots=True)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["noun"]

if TYPE_CHECKING:
    from dataclasses import dataclass as noun
else:
    from dataclasses import dataclass

    def noun(*, frozen: bool, slots: bool):  # noqa: ANN201 - a checker sees the other one
        return dataclass(slots=slots, unsafe_hash=frozen)
