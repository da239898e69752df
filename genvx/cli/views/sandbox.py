"""genvx sandbox: its hosts, as a table and as JSON, and what to try with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.cli.schema.document import print_document
from genvx.cli.show.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.sandbox.record import Sandbox


def show_started(made: Sandbox, down: str) -> None:
    """Print the hosts of a sandbox that was started. down: what ends it."""
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

  {down}"""
    )


def show(found: Sandbox, running: Sequence[bool]) -> None:
    """Print the table of the hosts. running: whether the server of each runs."""
    rows = [
        [
            host.name,
            f"127.0.0.1:{host.port}",
            f"{host.simulate} (simulated)",
            "yes" if alive else "no",
        ]
        for host, alive in zip(found.hosts, running, strict=True)
    ]
    Output().table(("HOST", "ADDRESS", "GPUS", "RUNNING"), rows, f"hostfile {found.hostfile}")


def document(found: Sandbox | None, running: Sequence[bool]) -> None:
    """Print the document; found: None if no sandbox is up."""
    if found is None:
        print_document("sandbox", directory=None, hosts=[])
        return
    hosts = [
        {
            "host": host.name,
            "address": "127.0.0.1",
            "port": host.port,
            "simulate": host.simulate,
            "state_dir": host.state,
            "pid": server.pid,
            "running": alive,
        }
        for host, server, alive in zip(found.hosts, found.servers, running, strict=True)
    ]
    print_document(
        "sandbox",
        directory=found.directory,
        server=found.server,
        hostfile=found.hostfile,
        ssh_config=found.ssh_config,
        hosts=hosts,
    )
