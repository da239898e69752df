"""The fleet layer alone, without its agent: runs `true` on the hosts of a hostfile. A contender."""

from __future__ import annotations

import sys

from genvx.fleet.fleet import Fleet, connect_fleet
from genvx.fleet.hosts.hostfile import load
from genvx.ssh.deadline import Deadline


def main() -> None:
    def run(host: object) -> int:
        with Deadline(60.0) as deadline:
            channel = host.terminal_channel(deadline)  # type: ignore[attr-defined]
            channel.exec_command("true")
            code: int = channel.recv_exit_status()
            host.close()  # type: ignore[attr-defined]
            return code

    with connect_fleet(load(sys.argv[1]), timeout=60.0) as fleet:
        codes = Fleet(fleet.hosts, timeout=60.0).ask(run).values()
    sys.exit(any(codes.values()))


if __name__ == "__main__":
    main()
