"""Who may do what in the console. Pure.

The holder of the password is an admin. An admin invites others by a one-time link, each with a role; an agent whose role in
desk.yaml is `admin` comes in through their session at `/desk`, and holds all roles, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """Each may do all that the ones before it may."""

    VIEWER = 1  # sees everything
    EDITOR = 2  # changes drafts
    PUBLISHER = 3  # puts drafts in force, and takes them back
    ADMIN = 4  # says who may do what

    @classmethod
    def named(cls, name: str) -> Role | None:
        return cls.__members__.get(name.upper())

    @property
    def word(self) -> str:
        """As it is stored and shown: "publisher"."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in. `id` is "password", "desk:<agent id>", or a row of console_people."""

    id: str
    name: str
    role: Role

    def may(self, role: Role) -> bool:
        return self.role >= role

    @property
    def who(self) -> str:
        """As the audit names them."""
        return f"console:{self.id.replace(':', '.')}:{self.name}"


def shown_who(who: str) -> str:
    """Who an audit line names, for people: "console:password:Ann" is Ann."""
    return who.split(":", 2)[2] if who.startswith("console:") and who.count(":") >= 2 else who
