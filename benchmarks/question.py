"""P1b: what one question costs a host, over an interpreter that does nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import partial

from benchmarks.measure import Sample, measured, side_by_side
from benchmarks.packing import interpreters
from benchmarks.report import Table, verdict
from genvx.core.wire.call import Call
from genvx.fleet.delivery.bootstrap import agent_command, agent_parcel
from genvx.fleet.hosts.hostspec import HostSpec

_TOKEN = "a" * 32


def run(rounds: int) -> Table:
    """Ratios of CPU, for each version of Python that is at hand."""
    rows, worst = [], 0.0
    for version, python in interpreters().items():
        directory = tempfile.mkdtemp(prefix="genvx-bench-", dir="/var/tmp")
        environ = {
            "PATH": "/usr/bin:/bin",
            "HOME": directory,
            "GENVX_STATE_DIR": f"{directory}/state",
            "GENVX_SIMULATE": "2xA100-80GB",
        }
        os.mkdir(f"{directory}/state", 0o700)
        command = ["/bin/sh", "-c", agent_command(HostSpec("x", "x", python=python), _TOKEN)]
        call = Call("snapshot", _TOKEN).to_bytes()
        measured(command, stdin=call + agent_parcel(), env=environ)
        series = side_by_side(
            {
                "the agent's question": partial(measured, command, stdin=call, env=environ),
                "python3 -c pass": partial(measured, [python, "-c", "pass"], env=environ),
                "python3 -I -S -c pass": partial(
                    measured, [python, "-I", "-S", "-c", "pass"], env=environ
                ),
            },
            rounds,
            _answered,
        )
        shutil.rmtree(directory)
        agent = series["the agent's question"].cpu
        ratio = agent / series["python3 -c pass"].cpu
        worst = max(worst, ratio)
        rows.append([version, f"{ratio:.1f}", f"{agent / series['python3 -I -S -c pass'].cpu:.1f}"])
    return Table(
        ("Python", "over python3 -c pass", "over python3 -I -S -c pass"),
        rows,
        [verdict("P1b", "the agent's question over a bare interpreter's CPU, at worst", worst, 5)],
    )


def _answered(name: str, sample: Sample) -> bool:
    wanted = b"GENVX-REPLY" if name.startswith("the agent") else b""
    return sample.code == 0 and wanted in sample.output
