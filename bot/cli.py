"""The commands of Stafett."""

from __future__ import annotations

import typer

app = typer.Typer(name="stafett", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def stafett() -> None:
    """An omnichannel support chatbot that hands over to people."""
