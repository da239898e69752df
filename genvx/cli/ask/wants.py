"""Options that say which devices a verb wants, where, and for how long."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import candidates
from genvx.cli.parse.declaring import Option

MinMemory = Annotated[
    str | None, Option("--min-memory", metavar="SIZE", help="Least memory of a GPU.")
]
Device = Annotated[
    list[str] | None,
    Option(
        "--device",
        metavar="ID",
        help="Number or UUID of a GPU; several: 0,3.",
        autocompletion=candidates.devices,
    ),
]
Spread = Annotated[bool, Option("--spread", help="Prefer the emptiest hosts and GPUs.")]
Over = Annotated[
    bool,
    Option(
        "-o",
        "--over-subscribe",
        help="Let shares of --gpu-memory add up to more than a GPU has, if the policy allows it.",
    ),
]
Pack = Annotated[bool, Option("--pack", help="Prefer the fullest hosts and GPUs.")]
OnlyHost = Annotated[
    list[str] | None,
    Option(
        "--only-host",
        metavar="NAME",
        help="Remote: only these hosts; * is any text.",
        autocompletion=candidates.hosts,
    ),
]
ExcludeHost = Annotated[
    list[str] | None,
    Option(
        "--exclude-host",
        metavar="NAME",
        help="Remote: not these hosts.",
        autocompletion=candidates.hosts,
    ),
]
Tag = Annotated[
    list[str] | None,
    Option("--tag", metavar="TAG", help="Remote: only hosts that have all these tags."),
]
Wait = Annotated[
    str | None,
    Option("--wait", metavar="[=TIME]", help="Wait in line, at most for TIME (default: no limit)."),
]
Time = Annotated[
    str | None,
    Option("--time", metavar="TIME", help="Time limit, such as 2h, with a warning before its end."),
]
NoLoad = Annotated[
    bool, Option("--no-load", help="Ignore .genvx.toml in this directory and above.")
]
Id = Annotated[
    str | None,
    Option(
        "--id",
        metavar="ENV",
        help="Id or name of an environment of yours to join.",
        autocompletion=candidates.environments,
    ),
]
Visible = Annotated[
    str | None,
    Option(
        "--visible-as",
        metavar="uuid|index",
        help="Form of CUDA_VISIBLE_DEVICES; index is for programs that need numbers.",
    ),
]
