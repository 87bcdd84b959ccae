"""The 52 faults that Stafett must survive. A test names those that it proves: `test_f16_f18_…`; `python -m tests.faults.catalogue`
lists them. What no test here can prove says why.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

FAULTS = {
    "f01": "killed after receiving, before the commit",
    "f02": "killed after the commit, before the acknowledgement",
    "f03": "killed after the acknowledgement, before it was handled",
    "f04": "killed inside a turn",
    "f05": "killed with an answer decided and not sent",
    "f06": "killed before the bytes of a send left",
    "f07": "killed after the platform took a send, before we noted that",
    "f08": "killed between Telegram's batch and its confirmation",
    "f09": "SIGTERM under load",
    "f10": "an update of Telegram's several times, also at two nodes",
    "f11": "Telegram numbers from anew after a quiet week",
    "f12": "Slack tells again while the first is running, or one post as two events",
    "f13": "out of order: an edit or a deletion before its message",
    "f14": "429 with a time to wait",
    "f15": "429 without a time, or with an absurd one",
    "f16": "5xx, HTML, nothing, half an answer",
    "f17": "refused connections",
    "f18": "the answer is lost, and the message was delivered",
    "f19": "the answer is lost, and the message was not delivered",
    "f20": "Telegram, or we, are away for a day",
    "f21": "away for longer than Slack tries",
    "f22": "Socket Mode: renewed, dropped, half open, switched off",
    "f23": "Slack: token revoked, events disabled",
    "f24": "a thread's root or a message is deleted, a sent answer edited",
    "f25": "an agent writes under a closed case",
    "f26": "the customer blocks the bot",
    "f27": "the chat is not there any more",
    "f28": "SQLite locked by another program; a second server",
    "f29": "the disk is full",
    "f30": "the power goes; a backup is restored",
    "f31": "the database is gone, corrupt, older or newer at the start",
    "f32": "PostgreSQL restarts, or ends our connections",
    "f33": "nobody knows whether a commit happened",
    "f34": "PostgreSQL fails over to a standby",
    "f35": "a node is frozen with a lease in its hand",
    "f36": "the connection that listens is lost",
    "f37": "the wall clock jumps",
    "f38": "something falls due while nobody is there",
    "f39": "bad input at every door",
    "f40": "a message whose turn always fails",
    "f41": "what we ask hangs, fails or answers rubbish",
    "f42": "a reader of the web socket that reads nothing",
    "f43": "one client id twice, from two tabs or with other words",
    "f44": "the widget was away while agents answered",
    "f45": "two first messages at once",
    "f46": "a merge against messages, and against the opposite merge",
    "f47": "two agents claim at once",
    "f48": "closed twice, reopened while closing",
    "f49": "a survey answered twice, late, by button and by text",
    "f50": "a broken desk is saved",
    "f51": "more escalations than Slack's channel takes",
    "f52": "two versions side by side",
}

NO_TEST: dict[str, str] = {}
"""A fault → why no test names it."""


def proofs(tests: Path) -> dict[str, list[str]]:
    """Fault → the tests that name it, as `path::name`."""
    found: dict[str, list[str]] = {fault: [] for fault in FAULTS}
    for path in sorted(tests.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = re.match(r"test((?:_f\d\d)+)_", node.name) if isinstance(node, FUNCTIONS) else None
            for fault in named[1].strip("_").split("_") if named else ():
                found.setdefault(fault, []).append(f"{path.relative_to(tests.parent)}::{node.name}")  # type: ignore[attr-defined]
    return found


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

if __name__ == "__main__":
    for fault, named in proofs(Path(__file__).parents[1]).items():
        print(f"{fault.upper()}  {FAULTS[fault]}")
        print("".join(f"     {one}\n" for one in named) or f"     no test: {NO_TEST[fault]}\n", end="")
