"""Who may import whom, and which SDK may be imported where: the rules, and the checker that reads them with `ast`.

Imports inside functions, under TYPE_CHECKING and by `import_module("…")` count like any other: a direction that is
broken later at run time is broken all the same.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

MAY_IMPORT = {
    "bot": {"bot"},
    "channels": {"bot", "channels"},
    "handoff": {"bot", "channels", "handoff"},
    "surveys": {"bot", "channels", "surveys"},
}
"""One direction: bot ← channels ← handoff | surveys; those two meet in `bot/events.py`, never each other."""

Place = Callable[[PurePosixPath], bool]


def looks_down(path: PurePosixPath) -> bool:
    """The composition root and the command line know everyone."""
    return path in {PurePosixPath("bot/app.py"), PurePosixPath("bot/__main__.py")} or is_command_line(path)


def is_command_line(path: PurePosixPath) -> bool:
    return path.parts[0] == "bot" and path.parts[1].startswith("cli")


def below(*folders: str) -> Place:
    return lambda path: bool(set(folders) & set(path.parts[:-1]))


def is_storage(path: PurePosixPath) -> bool:
    return below("storage")(path) or path.name == "store.py"


def is_web(path: PurePosixPath) -> bool:
    """The web's own folders, the server, and the file in which a platform's adapter takes its webhook."""
    webhook = below("telegram", "slack")(path) and path.stem.startswith("webhook")
    return below("web", "api", "console")(path) or path == PurePosixPath("bot/server.py") or webhook


FENCES: dict[str, tuple[Place, str]] = {
    "aiogram": (below("telegram"), "telegram/"),
    "slack_bolt": (below("slack"), "slack/"),
    "slack_sdk": (below("slack"), "slack/"),
    "sqlalchemy": (is_storage, "storage/ or a store.py"),
    "alembic": (is_storage, "storage/ or a store.py"),
    "aiosqlite": (below("storage"), "storage/"),
    "asyncpg": (below("storage"), "storage/"),
    "starlette": (is_web, "web/, api/, console/, bot/server.py or a platform's webhook file"),
    "fastapi": (is_web, "web/, api/, console/, bot/server.py or a platform's webhook file"),
    "uvicorn": (is_web, "web/, api/, console/, bot/server.py or a platform's webhook file"),
    "typer": (is_command_line, "bot/cli*.py"),
    "rich": (is_command_line, "bot/cli*.py"),
}


def faults(path: PurePosixPath, source: str) -> list[str]:
    """Each import of the module at `path` (as seen from the checkout) that breaks a rule, as `file:line: what`."""
    found = []
    package = path.parts[0]
    for line, module in imported(path, ast.parse(source)):
        root = module.split(".")[0]
        if root in MAY_IMPORT and root not in MAY_IMPORT[package] and not looks_down(path):
            found.append(f"{path}:{line}: {package} must not import {module}")
        if root in FENCES and not FENCES[root][0](path):
            found.append(f"{path}:{line}: {module} belongs below {FENCES[root][1]}")
        if root == "tests":
            found.append(f"{path}:{line}: the product must not import its tests")
    if path.name == "__init__.py" and path.parent == PurePosixPath("bot"):
        found += [f"{path}:{line}: bot/__init__.py imports nothing" for line, _ in imported(path, ast.parse(source))]
    return found


def imported(path: PurePosixPath, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, absolute name of the module), wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, name) for name in _from_names(path, node) if name != "__future__")
        elif isinstance(node, ast.Call) and _names_import(node.func) and node.args:
            target = node.args[0]
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                yield node.lineno, target.value


def _from_names(path: PurePosixPath, node: ast.ImportFrom) -> list[str]:
    if not node.level:
        return [node.module or ""]
    package = path.parts[: len(path.parts) - node.level]
    if node.module:
        return [".".join((*package, node.module))]
    return [".".join((*package, alias.name)) for alias in node.names]


def _names_import(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in {"import_module", "__import__"}
