"""P1c: questions and commands while a process keeps connections, beside those that make their own.

Also what that process takes: memory with so many hosts, and CPU time while nobody asks.
"""

from __future__ import annotations

import os
import subprocess
import time
from functools import partial
from pathlib import Path

from benchmarks.measure import Sample, measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.world import World, world

SIZES = (1, 8)
_REST = 10.0


def run(rounds: int) -> Table:
    """Medians for each size."""
    rows, verdicts = [], []
    with world() as place:
        (place.directory / "runtime").mkdir(mode=0o700)
        cold = {**place.environ, "XDG_RUNTIME_DIR": str(place.directory / "runtime")}
        warm = {**cold, "GENVX_KEEP": "10m"}
        for size in SIZES:
            hosts = ["--hostfile", place.hostfile(size), "-t", "60", "devices"]
            keeper = _start(warm, [*hosts[:2], "devices"])

            def right(name: str, sample: Sample, size: int = size) -> bool:
                return sample.code == 0 and f"on {size} hosts".encode() in sample.output

            # The others have -t, for machines that are busy.
            question = ["genvx", "remote", *hosts[:2], "devices"]
            series = side_by_side(
                {
                    "genvx remote devices, warm": partial(measured, question, env=warm),
                    "genvx remote devices": partial(
                        measured, ["genvx", "remote", *hosts], env=cold
                    ),
                    "genv remote devices": partial(measured, ["genv", "remote", *hosts], env=cold),
                },
                rounds,
                right,
            )
            theirs = series["genv remote devices"].wall
            for name, found in series.items():
                rows.append(
                    [
                        str(size),
                        name,
                        f"{found.wall:.3f}",
                        f"{found.wall / theirs:.3f}",
                        f"{found.cpu * 1000:.0f}",
                    ]
                )
            wall = series["genvx remote devices, warm"].wall
            if size > 1:
                verdicts.append(
                    verdict("P1c", f"wall over Genv's on {size} hosts", wall / theirs, 0.05)
                )
            pss, rss = _memory(keeper)
            limit = 40 + 0.3 * size
            verdicts.append(
                verdict(
                    f"memory of the keeper with {size} hosts, {rss:.0f} MiB with what it "
                    "shares with other programs",
                    "its share",
                    pss,
                    limit,
                    " MiB",
                )
            )
            verdicts.append(
                verdict("CPU", f"of the keeper in {_REST:g} s of rest", _rest(keeper), 0.0, " ms")
            )
            subprocess.run(["genvx", "keep", "stop"], env=warm, check=True, capture_output=True)
        rows += _command(place, warm, cold, rounds, verdicts)
    return Table(("hosts", "command", "wall, s", "ratio", "client CPU, ms"), rows, verdicts)


def _start(environ: dict[str, str], words: list[str]) -> int:
    """Have a keeper, as a person at a terminal gets one; return its pid."""
    line = " ".join(["genvx", "remote", *words])
    subprocess.run(
        ["script", "-qec", line, "/dev/null"], env=environ, check=True, capture_output=True
    )
    while True:
        said = subprocess.run(
            ["genvx", "keep", "status"], env=environ, check=True, capture_output=True, text=True
        ).stdout
        if said.startswith("process "):
            return int(said.split()[1].rstrip(":"))
        time.sleep(0.1)


def _memory(pid: int) -> tuple[float, float]:
    """The share of a process in what it has mapped, and all of that, in MiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kib = {line.split(":")[0]: line.split()[1] for line in lines[1:]}
    return int(kib["Pss"]) / 1024, int(kib["Rss"]) / 1024


def _rest(pid: int) -> float:
    """The CPU time that a process takes while nobody asks it, in milliseconds."""

    def used() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    time.sleep(2)  # what the last question has left to do
    before = used()
    time.sleep(_REST)
    return (used() - before) * 1000 / os.sysconf("SC_CLK_TCK")


def _command(
    place: World,
    warm: dict[str, str],
    cold: dict[str, str],
    rounds: int,
    verdicts: list[str],
) -> list[list[str]]:
    """A command on one GPU, beside one on a connection that OpenSSH keeps."""
    hostfile = place.hostfile(1)
    (host,) = place.hosts(1)
    _start(warm, ["--hostfile", hostfile, "devices"])
    path = place.directory / "control"
    ssh = ["ssh", "-o", f"ControlPath={path}", "-o", "ControlMaster=auto"]
    command = ["genvx", "remote", "--hostfile", hostfile, "run", "-g", "1", "--", "true"]
    # The master keeps the output of the command that starts it open.
    subprocess.run(
        [*ssh, "-o", "ControlPersist=10m", host, "true"],
        env=cold,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    series = side_by_side(
        {
            "genvx remote run -g 1 -- true, warm": partial(measured, command, env=warm),
            "genvx remote run -g 1 -- true": partial(measured, command, env=cold),
            "ssh -o ControlMaster, true": partial(measured, [*ssh, host, "true"], env=cold),
        },
        rounds,
    )
    subprocess.run([*ssh, "-O", "exit", host], env=cold, check=False, capture_output=True)
    subprocess.run(["genvx", "keep", "stop"], env=warm, check=True, capture_output=True)
    theirs = series["ssh -o ControlMaster, true"].wall
    ratio = series["genvx remote run -g 1 -- true, warm"].wall / theirs
    verdicts.append(verdict("P1c", "remote run over ssh with ControlMaster", ratio, 1.2))
    return [
        ["1", name, f"{found.wall:.3f}", f"{found.wall / theirs:.2f}", f"{found.cpu * 1000:.0f}"]
        for name, found in series.items()
    ]
