"""The fleet layer alone, without its agent: runs `true` on the hosts of a hostfile. A contender."""

from __future__ import annotations

import sys

from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.fleet.sshhost import SSHHost
from genvx.ssh.deadline import Deadline


def run(host: SSHHost) -> int:
    """Run `true` on a host; return its exit code."""
    with Deadline(60.0) as deadline:
        _, channel = host.connections.channel(deadline, lambda new: new.exec_command("true"))
        code = channel.recv_exit_status()
        host.close()
        return code


def main() -> None:
    with connect_fleet(load(sys.argv[1]), timeout=60.0) as fleet:
        codes = fleet.ask(run).values()
    sys.exit(any(codes.values()))


if __name__ == "__main__":
    main()
