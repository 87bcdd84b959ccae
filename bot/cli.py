"""The commands of Stafett: a table. Their bodies are in `cli_*.py`, and are imported when they run."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from bot.cli_ground import Commands

WIDTH = {"max_content_width": 120} if sys.stdout.isatty() else {"terminal_width": 10_000}
"""Of the help, in characters: on a terminal it is wrapped, elsewhere no line is, and none is cut short."""

app = typer.Typer(
    name="stafett",
    cls=Commands,
    pretty_exceptions_enable=False,
    context_settings=WIDTH,
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
)


def group(name: str, about: str) -> typer.Typer:
    made = typer.Typer(name=name, help=about, rich_markup_mode=None, no_args_is_help=True, add_completion=False)
    app.add_typer(made)
    return made


responses = group("responses", "Survey answers as CSV.")
db = group("db", "The database.")
slack = group("slack", "The Slack app.")
agent = group("agent", "Who answers at /desk.")
kb = group("kb", "The articles: what they answer, and what they don't.")

DeskFolder = Annotated[
    Path | None,
    typer.Argument(metavar="[DIR]", help="The desk folder; else STAFETT_DESK, else the built-in demo desk."),
]
Customer = Annotated[str, typer.Argument(metavar="CUSTOMER", help="A customer's id, or channel:external-id.")]


class Format(str, Enum):  # noqa: UP042 - Typer shows and compares these as texts
    table = "table"
    json = "json"
    csv = "csv"


@app.callback()
def stafett(
    _debug: Annotated[bool, typer.Option("--debug", help="With an error, show where it came from.")] = False,
) -> None:
    """An omnichannel support chatbot that hands over to people."""


@app.command()
def serve(
    desk: Annotated[Path | None, typer.Option(metavar="DIR", help="The desk folder.")] = None,
    host: Annotated[str | None, typer.Option(metavar="H", help="Where to listen.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(metavar="N", help="On which port.", min=1, max=65535, show_default="8080")
    ] = None,
) -> None:
    """Run everything: web, Telegram, Slack, workers, timers. Ctrl-C stops it; nothing is lost."""
    from bot.cli_serve import serve as body

    body(desk, host, port)


@app.command()
def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is new or empty.")]) -> None:
    """Write a commented starter desk."""
    from bot.cli_desk import init as body

    body(folder)


@app.command()
def check(
    folder: DeskFolder = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a desk's files, for editors.")
    ] = False,
    reference: Annotated[
        bool, typer.Option("--reference", help="Print every key of a desk's files with its meaning, as Markdown.")
    ] = False,
) -> None:
    """Validate a desk: each fault as file:line:column: message; exit 1 when there is one."""
    from bot import cli_desk

    if schema:
        cli_desk.schema()
    elif reference:
        cli_desk.reference()
    else:
        cli_desk.check(folder)


@app.command("test")
def run_tests(folder: DeskFolder = None) -> None:
    """Run the desk's conversation tests; exit 1 when one fails."""
    from bot.cli_desk import test as body

    body(folder)


@app.command()
def chat(
    folder: DeskFolder = None,
    locale: Annotated[str | None, typer.Option(metavar="LOCALE", help="The customer's language: nl.")] = None,
) -> None:
    """Talk to the bot in the terminal; nothing is stored."""
    from bot.cli_desk import chat as body

    body(folder, locale)


@app.command()
def replay(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The changed desk folder.")],
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Cases that opened on this day or later (ISO 8601).")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Cases that opened before this day.")] = None,
    topic: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this topic; may be repeated.")] = None,
    sample: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many, drawn at random.")] = 1000,
    seed: Annotated[int, typer.Option(metavar="N", help="Which ones are drawn.")] = 1,
    at_most: Annotated[
        float | None,
        typer.Option(metavar="SHARE", min=0, max=1, help="Exit 1 when a greater share of them differs: 0.05."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All of it, as JSON.")] = False,
) -> None:
    """Run stored conversations against a changed desk, and list which answers would differ. Nothing is sent."""
    from bot.cli_replay import replay as body

    body(folder, since, until, topic or (), sample, seed, at_most, as_json=as_json)


@app.command()
def report(
    since: Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day, or a time (ISO 8601).")] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="DAY", help="Last day, which counts in, or a time.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="channel, team, agent, flow, step, topic, locale, reason; day, week, month, weekday, hour; with commas.",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Only what has this value: channel=web; may be repeated."),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How it is drawn.")] = Format.table,
) -> None:
    """The figures: scores, times, rates, amounts, why people were fetched, counts, and the latest answers."""
    from bot.cli_data import report as body

    body(since, until, by, where or (), form.value)


@responses.command("import")
def responses_import(file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False)]) -> None:
    """Take in answers, all or nothing; each refused row is told with its line."""
    from bot.cli_data import import_responses as body

    body(file)


@responses.command("export")
def responses_export(file: Annotated[Path, typer.Argument(metavar="FILE", help="- for the terminal.")]) -> None:
    """Write all answers."""
    from bot.cli_data import export_responses as body

    body(file)


@app.command()
def export(customer: Customer) -> None:
    """Everything held on one customer, as JSON."""
    from bot.cli_data import export_customer as body

    body(customer)


@app.command()
def erase(customer: Customer) -> None:
    """Forget one customer. There is no way back; a line in the audit says that it was done."""
    from bot.cli_data import erase_customer as body

    body(customer)


@app.command()
def doctor() -> None:
    """Check settings, tokens, scopes, webhook, database, clock and desk; say what to do about each fault."""
    from bot.cli_doctor import doctor as body

    body()


@app.command()
def audit(
    retry: Annotated[str | None, typer.Option(metavar="ID", help="Try this one again.")] = None,
    drop: Annotated[str | None, typer.Option(metavar="ID", help="Give this one up.")] = None,
) -> None:
    """What is stuck, uncertain, failed or dead; and what to do with one of it."""
    from bot.cli_data import audit as body

    body(retry, drop)


@db.command("upgrade")
def db_upgrade() -> None:
    """Migrate the database, or make it (serve does so by itself on SQLite)."""
    from bot.cli_data import upgrade as body

    body()


@db.command("backup")
def db_backup(file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that is not there yet.")]) -> None:
    """Copy the SQLite database while it is in use."""
    from bot.cli_data import backup as body

    body(file)


@slack.command("manifest")
def slack_manifest() -> None:
    """The Slack app's manifest, to paste at api.slack.com/apps."""
    from bot.cli_serve import slack_manifest as body

    body()


@agent.command("invite")
def agent_invite(agent_id: Annotated[str, typer.Argument(metavar="ID", help="An agent's id in desk.yaml.")]) -> None:
    """A one-time link to sign in at /desk."""
    from bot.cli_data import invite as body

    body(agent_id)


@kb.command("calibrate")
def kb_calibrate(
    folder: DeskFolder = None,
    questions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Labelled questions; else DIR/knowledge/questions.csv.")
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Learn from 'did this help?' and from agents' topics, too.")
    ] = False,
    precision: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Answers at once that are right.")
    ] = 0.9,
    off_topic: Annotated[
        float, typer.Option(metavar="SHARE", min=0, max=1, help="Answered of what no article answers, at most.")
    ] = 0.15,
    write: Annotated[
        bool, typer.Option("--write", help="Write them into desk.yaml; nothing else in it changes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All figures, as JSON.")] = False,
) -> None:
    """Set the thresholds of answering from labelled questions, and tell what they hold on others."""
    from bot.cli_kb import calibrate as body

    body(folder, questions, precision, off_topic, recorded=recorded, write=write, as_json=as_json)


@kb.command("unanswered")
def kb_unanswered(
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Asked on this day or later (ISO 8601).")] = None,
    locale: Annotated[str | None, typer.Option(metavar="LOCALE", help="Only in this language: nl.")] = None,
    most: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="All of them, as JSON.")] = False,
) -> None:
    """What customers asked and no article answered: the work list of whoever writes articles."""
    from bot.cli_kb import unanswered as body

    body(since, locale, most, as_json=as_json)


@app.command()
def bench(
    what: Annotated[
        str,
        typer.Argument(
            metavar="[pipeline|nodes|history|widget|burst|backlog|reports|machine|kb|flows]",
            help="One of them; else all that need no data. reports: over a million cases, for minutes; machine: what one node "
            "holds, by whole cases of the demo desk; kb: the search of "
            "articles; flows: conversation tests.",
        ),
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            help="kb: the public question sets; flows: a desk folder; reports: where to keep the past.",
        ),
    ] = None,
    cases: Annotated[int | None, typer.Option(metavar="N", min=1, help="reports: over so many cases.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes, fewer rounds.")] = False,
) -> None:
    """The README's benchmarks, on this machine; exit 1 when a bound is missed."""
    from bot.cli_serve import bench as body

    body(what, folder, quick=quick, cases=cases)
