"""What a command costs to start: verbs with --json and help, beside `genvx devices`."""

from __future__ import annotations

from functools import partial

from benchmarks.form import sized
from benchmarks.measure import measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.world import world

_DEVICES = "devices"
# On this machine, with no environment and no run. doctor also asks podman and docker.
_VERBS = sized(
    (
        *(_DEVICES, "devices --json", "envs --json", "status --json", "queue --json"),
        *("policy --json", "smi --json", "runs --json", "runs list --json", "usage --json"),
        *("remotes --json", "sweeps list --json", "explain -g 1 --json", "doctor --json"),
        *("version --json", "config --json", "notify list --json"),
    ),
    (_DEVICES, "usage --json"),
)
_HELP = sized(
    (
        *("--help", "remote --help", "devices --help", "run --help", "runs --help"),
        *("sweep --help", "remote run --help", "remote ssh-proxy --help"),
    ),
    ("run --help",),
)
# What the shell has in COMP_WORDS when the Tab key is pressed.
_TAB = sized(
    ("genvx r", "genvx release ", "genvx remote -H ", "genvx watch ", "genvx run --"),
    ("genvx release ",),
)


def run(rounds: int) -> Table:
    """Medians of CPU time."""
    with world() as place:
        hostfile = place.hostfile(64)
        contenders = {}
        for words in (*_VERBS, *_HELP):
            contenders[f"genvx {words}"] = partial(
                measured, ["genvx", *words.split()], env=place.environ
            )
        for line in _TAB:
            asked = {
                "_GENVX_COMPLETE": "complete_bash",
                "COMP_WORDS": line,
                "COMP_CWORD": str(line.count(" ")),
                "GENVX_HOSTFILE": hostfile,
            }
            contenders[f"{line}<Tab>"] = partial(
                measured, ["genvx"], env={**place.environ, **asked}
            )
        # smi has no environment to show, and says so.
        series = side_by_side(
            contenders, rounds, lambda name, sample: sample.code == (2 if " smi" in name else 0)
        )
    base = series[f"genvx {_DEVICES}"].cpu
    rows = [
        [
            f"`{name}`",
            f"{found.wall * 1000:.0f}",
            f"{found.cpu * 1000:.0f}",
            f"{found.cpu / base:.2f}",
        ]
        for name, found in sorted(series.items(), key=lambda item: item[1].cpu)
    ]

    def worst(names: tuple[str, ...]) -> float:
        return max(series[f"genvx {each}"].cpu for each in names) / base

    slowest = max(found.cpu for name, found in series.items() if name.endswith("<Tab>"))
    return Table(
        ("command", "wall, ms", "CPU, ms", "CPU / devices"),
        rows,
        [
            verdict("Start", "--json at worst, CPU over `genvx devices`", worst(_VERBS), 1.6),
            verdict("Start", "help at worst, CPU over `genvx devices`", worst(_HELP), 1.6),
            verdict("Start", "CPU of the Tab key at worst", slowest * 1000, 100, " ms"),
        ],
    )
