"""genvx sandbox: start and stop a simulated fleet on this machine, to try things out."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from genvx.cli.ask import options
from genvx.cli.commands import Verb
from genvx.cli.show.tables import SCHEMA, Output, print_json
from genvx.errors import InvalidInput
from genvx.shown.console import say

sandbox = options.group("A simulated fleet on this machine, to try things out.")

Directory = Annotated[
    str | None, typer.Option("--dir", metavar="DIR", help="Directory for its files.")
]
Hosts = Annotated[
    str,
    typer.Option("--gpus", metavar="N,N", help="Simulated GPUs of each host, as in 1,2xH100-80GB."),
]
Server = Annotated[
    str | None,
    typer.Option("--server", metavar="KIND", help="SSH server of the hosts: openssh or embedded."),
]


@sandbox.command(cls=Verb)
def up(
    gpus: Hosts = "1,2",
    directory: Directory = None,
    server: Server = None,
    json: options.Json = False,
) -> None:
    """Start loopback SSH hosts with simulated GPUs.

    Example: genvx sandbox up --gpus 1,2
    """
    from genvx.sandbox import sandbox as rooms

    made = rooms.up(_directory(directory), gpus.split(","), server=server)
    if made.note:
        for line in f"genvx: {made.note}".splitlines():
            say(line)
    if json:
        print_json(_document(made, [True] * len(made.hosts)))
        return
    widest = max(len(host.name) for host in made.hosts)
    for host in made.hosts:
        print(f"{host.name:<{widest}}  {host.simulate} (simulated)  127.0.0.1:{host.port}")
    most = max(int(host.simulate.partition("x")[0]) for host in made.hosts)
    print(
        f"""
Now try:

  export GENVX_HOSTFILE={made.hostfile}
  genvx remote devices
  genvx remote activate --gpus {min(most, 2)}
  ssh -F {made.ssh_config} {made.hosts[-1].name}

and when you are done:

  genvx sandbox down"""
        + (f" --dir {made.directory}" if directory else "")
    )


@sandbox.command(cls=Verb)
def status(directory: Directory = None, json: options.Json = False) -> None:
    """Show whether a sandbox is up, and its hosts."""
    from genvx.sandbox import sandbox as rooms

    found = rooms.find(_directory(directory))
    if json:
        print_json(
            {"schema": SCHEMA, "verb": "sandbox", "directory": None, "hosts": []}
            if found is None
            else _document(found, rooms.running(found))
        )
        return
    if found is None:
        print("no sandbox is up; start one with: genvx sandbox up")
        return
    Output().table(
        ("HOST", "ADDRESS", "GPUS", "RUNNING"),
        [
            [
                host.name,
                f"127.0.0.1:{host.port}",
                f"{host.simulate} (simulated)",
                "yes" if alive else "no",
            ]
            for host, alive in zip(found.hosts, rooms.running(found), strict=True)
        ],
        f"hostfile {found.hostfile}",
    )


@sandbox.command(cls=Verb)
def down(directory: Directory = None) -> None:
    """End the sandbox: its hosts, their processes, and its files."""
    from genvx.sandbox import sandbox as rooms

    if not rooms.down(_directory(directory)):
        raise InvalidInput(f"no sandbox is up in {_directory(directory)}")
    print("Ended the sandbox and deleted its files")


def _directory(chosen: str | None) -> str:
    from genvx.sandbox import sandbox as rooms

    return os.path.abspath(chosen or rooms.default_directory(os.environ))


def _document(found: object, alive: object) -> dict[str, object]:
    from genvx.sandbox.sandbox import Sandbox

    assert isinstance(found, Sandbox)
    assert isinstance(alive, list | tuple)
    return {
        "schema": SCHEMA,
        "verb": "sandbox",
        "directory": found.directory,
        "server": found.server,
        "hostfile": found.hostfile,
        "ssh_config": found.ssh_config,
        "hosts": [
            {
                "host": host.name,
                "address": "127.0.0.1",
                "port": host.port,
                "simulate": host.simulate,
                "state_dir": host.state,
                "pid": server.pid,
                "running": running,
            }
            for host, server, running in zip(found.hosts, found.servers, alive, strict=True)
        ],
    }
