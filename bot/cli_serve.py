"""The commands that run something: serve, bench; and the Slack app's manifest."""

from __future__ import annotations

from pathlib import Path

import typer

from bot.cli_ground import fail, settings
from bot.errors import SettingsFault

DATA = (Path("data"), Path("../shared/data"))


def serve(desk: Path | None, host: str | None, port: int | None) -> None:
    import_quickly()
    from bot import logs, server

    chosen = settings(desk=desk, host=host, port=port).checked()
    logs.configure(chosen)
    server.run(chosen)


def import_quickly() -> None:
    """Structlog imports rich, where that is installed, to draw tracebacks that we don't draw: a tenth of the whole start."""
    import importlib
    import sys

    if "structlog" not in sys.modules and "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # "not there", for this one import
        importlib.import_module("structlog")
        del sys.modules["rich"]


def _scenarios(arguments: list[str]) -> int:
    """What measures the running product needs stand-ins for the platforms, which lie in a checkout beside the program."""
    import subprocess
    import sys

    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / "tests" / "bench" / "__main__.py").is_file():
        raise SettingsFault("this benchmark runs from a checkout of Stafett's source: git clone it, and run it there")
    return subprocess.call([sys.executable, "-m", "tests.bench", *arguments], cwd=checkout)  # noqa: S603 - our own words


def slack_manifest() -> None:
    """Socket Mode where an app token is set or the public URL is no https; else HTTP."""
    import json

    from channels.slack.manifest import manifest

    chosen = settings()
    socket_mode = chosen.slack_app_token is not None or not chosen.url.startswith("https://")
    print(json.dumps(manifest(chosen.url, socket_mode=socket_mode), indent=2))


def bench(what: str, folder: Path | None, *, quick: bool = False, cases: int | None = None) -> None:
    """`folder`: of kb the question sets, of flows a desk, of reports where the made-up past is kept."""
    if what == "flows":
        from bot.cli_ground import desk
        from bot.flows import bench as flows

        print(flows.run_bench(desk(folder)))
        return
    if what != "kb":
        sizes = {"cases": cases, "data": folder.absolute() if folder else None}
        told = [f"--{name}={value}" for name, value in sizes.items() if value is not None]
        raise typer.Exit(_scenarios([*([what] if what else []), *(["--quick"] if quick else []), *told]))
    from bot.answers.bench import BANKING, CLINC, run_bench

    sets = folder or next((one for one in DATA if one.is_dir()), DATA[0])
    if not any((sets / name).is_file() for name in (BANKING, CLINC)):
        raise fail(f"{sets} holds no question set ({BANKING}, {CLINC}); name their folder: stafett bench kb --data DIR")
    print(run_bench(sets))
