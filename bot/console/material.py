"""What the content's pages start from: the draft's files, its check, and the languages of the desk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from bot.console.draft import Checked, Draft, hash_of
from bot.console.page import Visit
from bot.errors import DeskFault


@dataclass(frozen=True, slots=True)
class Material:
    """`files`: path → text, byte for byte, those that can be read. `locales`: the draft's, or those in force."""

    draft: Draft
    checked: Checked
    files: Mapping[str, str]
    locales: tuple[str, ...]

    def seen(self, path: str) -> str:
        """What `Drafting.save` asks for: which text a change was made from."""
        return hash_of(self.files.get(path)) or ""


async def material(visit: Visit, *kinds: str) -> Material:
    """The draft with the files of these folders; desk.yaml comes along."""
    draft = await visit.drafting.now()
    checked = await visit.drafting.check(draft)
    files = await asyncio.to_thread(_files, draft, kinds)
    return Material(draft, checked, files, (checked.desk or visit.rooms.rules).locales)


def _files(draft: Draft, kinds: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in ("desk.yaml", *(path for kind in kinds for path in draft.paths(kind))):
        try:
            text = draft.text(path)
        except DeskFault:  # the check names it
            continue
        if text is not None:
            found[path] = text
    return found
