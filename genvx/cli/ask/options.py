"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import candidates
from genvx.cli.parse.declaring import Argument, Option

Json = Annotated[bool, Option("--json", help="Print JSON for programs.")]
Csv = Annotated[bool, Option("--csv", help="Print comma-separated values.")]
Style = Annotated[
    str | None,
    Option("--as", metavar="STYLE", help="Print tables as github, grid, html, latex or the like."),
]
NoHeader = Annotated[bool, Option("--no-header", help="Leave out the column names.")]
Timestamp = Annotated[bool, Option("--timestamp", help="Show dates instead of ages.")]
NoSummary = Annotated[bool, Option("--no-summary", help="Leave out the last line.")]
Fields = Annotated[
    str | None, Option("--fields", metavar="A,B", help="Columns to show, in this order.")
]
OfName = Annotated[
    str | None,
    Option("--name", metavar="NAME", help="Only the environment NAME; * is any text."),
]
OfUser = Annotated[
    str | None, Option("--user", metavar="USER", help="Only what belongs to this user.")
]
OfPid = Annotated[
    int | None, Option("--pid", metavar="PID", min=1, help="Only what this process uses.")
]
Watch = Annotated[bool, Option("-w", "--watch", help="Redraw until Ctrl-C.")]
Interval = Annotated[
    float,
    Option("--interval", metavar="SECONDS", help="Seconds between redraws.", min=0.2, max=3600),
]
Gpus = Annotated[
    str | None,
    Option(
        "-g", "--gpus", metavar="N", help="Number and kind of GPUs: 2, A100:2, A100,H100:80G..:2."
    ),
]
GpuMemory = Annotated[
    str | None,
    Option(
        "--gpu-memory", metavar="SIZE", help="Share of each GPU, such as 40G (default: all of it)."
    ),
]
Name = Annotated[str, Option("-n", "--name", metavar="NAME", help="Name for the environment.")]
Command = Annotated[
    list[str] | None,
    Argument(metavar="CMD...", help="Command to run, after --.", show_default=False),
]
OptionalCommand = Annotated[
    list[str] | None,
    Argument(
        metavar="[CMD...]", help="Command to run, after -- (default: a shell).", show_default=False
    ),
]
OwnEnvironment = Annotated[
    str | None,
    Option(
        "--id",
        metavar="ENV",
        help="Environment id or name (default: this shell's).",
        autocompletion=candidates.environments,
    ),
]
