"""P1: `true` on many hosts at once, beside pdsh, clush and parallel-ssh."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.form import sized
from benchmarks.measure import Sample, Series, measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.world import ROOT, World, world

SIZES = sized((1, 8, 64, 256), (2,))
GENVX = "genvx's fleet layer"

# The cheapest that OpenSSH's client can be told to be, and as wide as genvx is by default.
_CHEAP = (
    "-o KexAlgorithms=curve25519-sha256 -o Ciphers=aes128-gcm@openssh.com "
    "-o IdentitiesOnly=yes -o GSSAPIAuthentication=no -o UpdateHostKeys=no "
    "-o PreferredAuthentications=publickey -o SendEnv=-*"
)
_PARALLEL_SSH = """
import os
import sys
from pssh.clients import ParallelSSHClient
hosts = open(sys.argv[1]).read().split()
key = os.path.expanduser("~/.ssh/id_ed25519")
client = ParallelSSHClient(hosts, pkey=key, allow_agent=False, pool_size=128)
outputs = client.run_command("true")
client.join(outputs)
sys.exit(any(output.exit_code for output in outputs))
"""


def _contenders(place: World, size: int) -> dict[str, Callable[[], Sample]]:
    hostfile = place.hostfile(size)
    environ = place.environ
    cheap = {**environ, "PDSH_SSH_ARGS_APPEND": _CHEAP}
    listed = ",".join(place.hosts(size))
    ours = {**environ, "PYTHONPATH": str(ROOT)}  # for this program, not for genvx
    return {
        GENVX: partial(
            measured, [place.peer_python, "-m", "benchmarks.everywhere", hostfile], env=ours
        ),
        "pdsh": partial(measured, ["pdsh", "-R", "ssh", "-S", "-w", listed, "true"], env=environ),
        "pdsh, cheapest": partial(
            measured, ["pdsh", "-R", "ssh", "-S", "-f", "128", "-w", listed, "true"], env=cheap
        ),
        "clush": partial(measured, ["clush", "-S", "-w", listed, "true"], env=environ),
        "clush, cheapest": partial(
            measured, ["clush", "-S", "-f", "128", "-o", _CHEAP, "-w", listed, "true"], env=environ
        ),
        "parallel-ssh": partial(
            measured, [place.peer_python, "-c", _PARALLEL_SSH, hostfile], env=environ
        ),
    }


def run(rounds: int) -> Table:
    """Medians for each size."""
    rows: list[list[str]] = []
    last: dict[str, Series] = {}
    with world() as place:
        for size in SIZES:
            last = side_by_side(_contenders(place, size), rounds)
            our_wall = last[GENVX].wall
            for name, series in last.items():
                rows.append(
                    [
                        str(size),
                        name,
                        f"{series.wall:.2f}",
                        f"{series.wall / our_wall:.2f}",
                        f"{series.cpu * 1000 / size:.1f}",
                        f"{series.peak / 1024:.0f}",
                    ]
                )
    cheapest = min(
        last[name].wall for name in ("pdsh, cheapest", "clush, cheapest", "parallel-ssh")
    )
    default = min(last[name].wall for name in ("pdsh", "clush"))
    ours = last[GENVX]
    columns = (
        "hosts",
        "contender",
        "wall, s",
        "wall / genvx",
        "client CPU, ms a host",
        "peak, MiB",
    )
    return Table(
        columns,
        rows,
        [
            verdict("P1", "client CPU a host on 256 hosts", ours.cpu * 1000 / SIZES[-1], 6, " ms"),
            verdict("P1", "wall over the best peer at its cheapest", ours.wall / cheapest, 0.9),
            verdict(
                "P1", "wall over the best of pdsh and clush at defaults", ours.wall / default, 0.25
            ),
        ],
    )
