"""Named places where the process may die as if the power went, so that a test can show what survives.

Off, and one comparison, unless STAFETT_FAILPOINT names a place: `STAFETT_FAILPOINT=committed` dies there at once,
`committed:3` the third time; `claimed:1:stop` freezes there (SIGSTOP) until somebody sends SIGCONT. The places: `received`
(before the commit), `turning` (inside the turn's transaction), `committed` (before the platform hears of it), `claimed`
(before a send's first byte), `accepted` (the platform has it, we have not noted that), `polled` (Telegram's batch is read,
not stored), `stored` (stored, not confirmed to Telegram).
"""

from __future__ import annotations

import os
import signal

_armed: dict[str, int] = {}
_fate = signal.SIGKILL


def arm(wish: str) -> None:
    """Die at this place: `name`, `name:count` or `name:count:stop`; empty: nowhere."""
    global _fate  # noqa: PLW0603 - one process, one fate
    _armed.clear()
    name, count, fate, *_ = [*wish.split(":"), "", ""]
    _fate = signal.SIGSTOP if fate == "stop" else signal.SIGKILL
    if name:
        _armed[name] = int(count or 1)


def reach(name: str) -> None:
    """The process has come to this place."""
    if name in _armed:
        _armed[name] -= 1
        if _armed[name] <= 0:
            del _armed[name]
            os.kill(os.getpid(), _fate)


arm(os.environ.get("STAFETT_FAILPOINT", ""))
