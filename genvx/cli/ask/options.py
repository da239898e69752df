"""Options that several verbs share, and the function that makes a group of verbs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from genvx.cli.commands import Group

HELP = {"help_option_names": ["-h", "--help"]}

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")]
Style = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="STYLE", help="Print tables as github, grid, html, latex or the like."
    ),
]
NoHeader = Annotated[bool, typer.Option("--no-header", help="Leave out the column names.")]
Timestamp = Annotated[bool, typer.Option("--timestamp", help="Show dates instead of ages.")]
NoSummary = Annotated[bool, typer.Option("--no-summary", help="Leave out the last line.")]
Fields = Annotated[
    str | None, typer.Option("--fields", metavar="A,B", help="Columns to show, in this order.")
]
OfName = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Only the environment NAME; * is any text."),
]
OfUser = Annotated[
    str | None, typer.Option("--user", metavar="USER", help="Only what belongs to this user.")
]
OfPid = Annotated[
    int | None, typer.Option("--pid", metavar="PID", min=1, help="Only what this process uses.")
]
Watch = Annotated[bool, typer.Option("-w", "--watch", help="Redraw until Ctrl-C.")]
Interval = Annotated[
    float,
    typer.Option(
        "--interval", metavar="SECONDS", help="Seconds between redraws.", min=0.2, max=3600
    ),
]
Gpus = Annotated[
    str | None,
    typer.Option(
        "-g", "--gpus", metavar="N", help="Number and kind of GPUs: 2, A100:2, A100,H100:80G..:2."
    ),
]
GpuMemory = Annotated[
    str | None,
    typer.Option(
        "--gpu-memory", metavar="SIZE", help="Share of each GPU, such as 40G (default: all of it)."
    ),
]
Name = Annotated[
    str, typer.Option("-n", "--name", metavar="NAME", help="Name for the environment.")
]
Command = Annotated[
    list[str] | None,
    typer.Argument(metavar="CMD...", help="Command to run, after --.", show_default=False),
]
OptionalCommand = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CMD...]", help="Command to run, after -- (default: a shell).", show_default=False
    ),
]


def group(text: str, kind: type[Group] = Group, **settings: Any) -> typer.Typer:
    """Make a group of verbs. kind: its class. settings: further arguments of typer.Typer."""
    # Without typer's rich output and tracebacks, and without --install-completion: errors are one
    # line each, printed by `app.invoke`.
    return typer.Typer(
        cls=kind,
        help=text,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP,
        **settings,
    )
