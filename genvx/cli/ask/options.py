"""Options that several verbs share, spelled once; and how a group of verbs is made."""

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
Timestamp = Annotated[bool, typer.Option("--timestamp", help="Show since when, not for how long.")]
NoSummary = Annotated[bool, typer.Option("--no-summary", help="Leave out the last line.")]
Fields = Annotated[
    str | None, typer.Option("--fields", metavar="A,B", help="Only these columns, in this order.")
]
OfName = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Only of this environment; * is any text."),
]
OfUser = Annotated[str | None, typer.Option("--user", metavar="USER", help="Only of this user.")]
OfPid = Annotated[
    int | None, typer.Option("--pid", metavar="PID", min=1, help="Only with this process.")
]
Watch = Annotated[bool, typer.Option("-w", "--watch", help="Redraw until Ctrl-C.")]
Interval = Annotated[
    float,
    typer.Option("--interval", metavar="SECONDS", help="Between redraws.", min=0.2, max=3600),
]
Gpus = Annotated[
    str | None,
    typer.Option(
        "-g", "--gpus", metavar="N", help="How many GPUs, and which: 2, A100:2, A100,H100:80G..:2."
    ),
]
GpuMemory = Annotated[
    str | None,
    typer.Option(
        "--gpu-memory", metavar="SIZE", help="Take this much of each GPU, like 40G; not all."
    ),
]
Name = Annotated[
    str, typer.Option("-n", "--name", metavar="NAME", help="A name for the environment.")
]
Command = Annotated[
    list[str] | None,
    typer.Argument(metavar="CMD...", help="What to run, after --.", show_default=False),
]
OptionalCommand = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[CMD...]", help="What to run instead of a shell, after --.", show_default=False
    ),
]


def group(text: str, kind: type[Group] = Group, **settings: Any) -> typer.Typer:
    """A group of verbs, as plain as all of them. kind: its class. settings: more of typer's."""
    return typer.Typer(
        cls=kind,
        help=text,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=HELP,
        **settings,
    )
