"""genvx sandbox: start and stop a simulated fleet on this machine, to try things out."""

from __future__ import annotations

import os
from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.parse.declaring import Group, Option
from genvx.errors import InvalidInput
from genvx.shown.console import say

sandbox = Group("A simulated fleet on this machine, to try things out.")

Directory = Annotated[str | None, Option("--dir", metavar="DIR", help="Directory for its files.")]
Hosts = Annotated[
    str,
    Option("--gpus", metavar="N,N", help="Simulated GPUs of each host, as in 1,2xH100-80GB."),
]
Server = Annotated[
    str | None,
    Option("--server", metavar="KIND", help="SSH server of the hosts: openssh or embedded."),
]


@sandbox.command()
def up(
    gpus: Hosts = "1,2",
    directory: Directory = None,
    server: Server = None,
    json: options.Json = False,
) -> None:
    """Start loopback SSH hosts with simulated GPUs.

    Example: genvx sandbox up --gpus 1,2
    """
    from genvx.cli.views import sandbox as view
    from genvx.sandbox import sandbox as rooms

    made = rooms.up(_directory(directory), gpus.split(","), server=server)
    if made.note:
        for line in f"genvx: {made.note}".splitlines():
            say(line)
    if json:
        view.document(made, [True] * len(made.hosts))
        return
    view.show_started(
        made, "genvx sandbox down" + (f" --dir {made.directory}" if directory else "")
    )


@sandbox.command()
def status(directory: Directory = None, json: options.Json = False) -> None:
    """Show whether a sandbox is up, and its hosts."""
    from genvx.cli.views import sandbox as view
    from genvx.sandbox import record

    found = record.find(_directory(directory))
    running = () if found is None else record.running(found)
    if json:
        view.document(found, running)
    elif found is None:
        print("no sandbox is up; start one with: genvx sandbox up")
    else:
        view.show(found, running)


@sandbox.command()
def down(directory: Directory = None) -> None:
    """End the sandbox: its hosts, their processes, and its files."""
    from genvx.sandbox import sandbox as rooms

    if not rooms.down(_directory(directory)):
        raise InvalidInput(f"no sandbox is up in {_directory(directory)}")
    print("Ended the sandbox and deleted its files")


def _directory(chosen: str | None) -> str:
    from genvx.sandbox import sandbox as rooms

    return os.path.abspath(chosen or rooms.default_directory(os.environ))
