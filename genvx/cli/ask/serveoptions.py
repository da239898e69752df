"""Options of genvx serve, besides those of a request and of a run."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import runoptions
from genvx.cli.parse.declaring import Option

Port = Annotated[
    int | None,
    Option(
        "--port",
        metavar="PORT",
        min=1,
        max=65535,
        help="Port on which the command listens on its host (default: any that is free).",
    ),
]
Ready = Annotated[
    str | None,
    Option(
        "--ready",
        metavar="PATH",
        help="It is ready when a GET of this path succeeds (default: when it takes connections).",
    ),
]
Local = Annotated[
    int | None,
    Option(
        "--local-port",
        metavar="PORT",
        min=1,
        max=65535,
        help="Remote: port of this machine for the tunnel (default: the same).",
    ),
]
Detached = Annotated[
    bool,
    Option(
        "-d",
        "--detach",
        help="Remote: print the id of the run once it answers, and open no tunnel.",
    ),
]
Retries = Annotated[int, runoptions.retries()]
RunTag = Annotated[list[str] | None, runoptions.run_tag("serve")]
