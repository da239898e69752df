"""S5: what a Python environment costs that is there already, and how often one is made when many
runs ask for it at once.
"""

from __future__ import annotations

import subprocess
import zipfile
from functools import partial
from pathlib import Path

from benchmarks.form import sized
from benchmarks.measure import Sample, measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.runs import Genvx
from benchmarks.world import world

_AT_ONCE = sized(20, 1)
_MOST_MORE = 0.3


def _plant(code: Path) -> None:
    """Make a project that needs a package, and a wheel of that."""
    (code / "wheels").mkdir(parents=True)
    (code / "requirements.txt").write_text("tiny\n")
    about = "tiny-1.0.dist-info"
    files = {
        "tiny.py": "",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": "",
    }
    with zipfile.ZipFile(code / "wheels" / "tiny-1.0-py3-none-any.whl", "w") as packed:
        for name, text in files.items():
            packed.writestr(name, text)


def run(rounds: int) -> Table:
    """Medians of the wall time of a start, without an environment and with one that is there."""
    with world() as place:
        ours, code = Genvx(place), place.directory / "code"
        _plant(code)

        def start(*words: str) -> list[str]:
            asked = ("run", "-d", "-w", "--project", str(code), *words)
            return ours.command(*asked, "--", "python3", "-c", "pass")

        made = start("--wheels", str(code / "wheels"))
        many = [
            subprocess.Popen(
                made, env=ours.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            for _ in range(_AT_ONCE)
        ]
        logs = [each.communicate()[0] for each in many]
        if any(each.returncode for each in many):
            raise SystemExit(f"a run failed: {logs}")
        installed = sum(b"Successfully installed" in log for log in logs)

        def contender(words: list[str]) -> Sample:
            return measured(words, env=ours.environ)

        contenders = {
            "--python none": partial(contender, start("--python", "none")),
            "an environment that is there": partial(contender, made),
        }
        series = side_by_side(contenders, rounds)
    rows = [[name, f"{found.wall:.2f}", f"{found.cpu:.2f}"] for name, found in series.items()]
    more = series["an environment that is there"].wall - series["--python none"].wall
    return Table(
        ("genvx remote run -d -w --project", "wall, s", "CPU here, s"),
        rows,
        [
            verdict("S5", f"{_AT_ONCE} runs at once: installations", installed, 1),
            verdict("S5", "more than with none", more, _MOST_MORE, " s"),
        ],
    )
