"""Sandbox is a simulated fleet that is up, and its record in the directory of its files."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass

from genvx.errors import StateError
from genvx.sandbox import files, processes
from genvx.sandbox.host import SandboxHost
from genvx.sandbox.processes import Process


@dataclass(frozen=True)
class Sandbox:
    """Sandbox is a simulated fleet that is up. `servers` are in the order of `hosts`.

    note: lines for people about its start; empty if there is nothing to say.
    """

    directory: str
    server: str
    hosts: tuple[SandboxHost, ...]
    servers: tuple[Process, ...]
    note: str = ""

    @property
    def hostfile(self) -> str:
        """The path of its hostfile."""
        return os.path.join(self.directory, "hostfile")

    @property
    def ssh_config(self) -> str:
        """The path of its ssh_config."""
        return os.path.join(self.directory, "ssh_config")


def record(sandbox: Sandbox) -> None:
    """Write down what `find` reads."""
    document = {
        "server": sandbox.server,
        "hosts": [asdict(host) for host in sandbox.hosts],
        "servers": [asdict(server) for server in sandbox.servers],
    }
    files.write(os.path.join(sandbox.directory, "sandbox.json"), json.dumps(document))


def find(directory: str) -> Sandbox | None:
    """Read the sandbox of a directory; return None if there is none.

    Raises:
        StateError: the directory belongs to somebody else, or is not a sandbox.
    """
    directory = os.path.abspath(directory)
    try:
        # lstat, and our uid: `down` deletes the directory, and in /var/tmp anybody may have made it
        # or a link with its name.
        status = os.lstat(directory)
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise StateError(f"{directory} is not a directory of yours; choose another with --dir")
    try:
        with open(os.path.join(directory, "sandbox.json"), encoding="ascii") as file:
            document = json.load(file)
        hosts = tuple(SandboxHost(**host) for host in document["hosts"])
        servers = tuple(Process(**server) for server in document["servers"])
        return Sandbox(directory, str(document["server"]), hosts, servers)
    except FileNotFoundError:
        raise StateError(
            f"{directory} has no sandbox.json: it is an incomplete sandbox, or none; look at it, "
            "and delete it"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise StateError(f"{directory}/sandbox.json cannot be read; delete the directory") from None


def running(sandbox: Sandbox) -> tuple[bool, ...]:
    """Return whether the server of each host runs, in the order of the hosts."""
    return tuple(processes.alive(server) for server in sandbox.servers)
