"""R5: runs that outlive the connection, beside Guild AI: start one, list, watch, stop.

`ssh HOST true` in the same rounds is the floor: what a login and an empty command cost, which no
command can go below that makes its own connection.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.form import sized
from benchmarks.guild import Guild
from benchmarks.measure import Sample, measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.world import World, world

HOST = "127.1.0.1"
# So many runs are over when they are listed.
_OVER = sized(10, 1)


class Genvx:
    """genvx's command line on the same host."""

    def __init__(self, place: World) -> None:
        self.environ = place.environ

    def command(self, *words: str) -> list[str]:
        """The words of a verb on the host."""
        return ["genvx", "remote", "-H", HOST, *words]

    def start(self, *command: str, options: Sequence[str] = ()) -> str:
        """Start a run and return its id."""
        words = self.command("run", "-q", "-d", *options, "--", *command)
        started = subprocess.run(
            words, env=self.environ, check=True, capture_output=True, text=True
        )
        return started.stdout.strip()


def _started_by_guild(guild: Guild, operation: str) -> str:
    """Start a run of Guild's and return its id."""
    words = guild.command("run", "-y", "-n", operation)
    said = subprocess.run(words, env=guild.environ, check=False, capture_output=True, text=True)
    found = re.search(r"\b[0-9a-f]{32}\b", said.stdout + said.stderr)
    if said.returncode or found is None:
        raise SystemExit(f"Guild names no run: {said.stdout}{said.stderr}")
    return found[0]


def run(rounds: int) -> Table:
    """Medians of the wall time of each verb."""
    rows, verdicts = [], []
    with world() as place:
        ours, guild = Genvx(place), Guild(place, HOST)
        over = [ours.start("echo", "done") for _ in range(_OVER)][-1]
        theirs_over = [_started_by_guild(guild, "nothing") for _ in range(_OVER)][-1]

        def stop(
            start: Callable[[], str], words: Callable[[str], list[str]], env: dict[str, str]
        ) -> Sample:
            return measured(words(start()), env=env)

        verbs: dict[str, tuple[Callable[[], Sample], Callable[[], Sample]]] = {
            "start": (
                partial(measured, ours.command("run", "-d", "--", "true"), env=ours.environ),
                partial(measured, guild.command("run", "-y", "-n", "nothing"), env=guild.environ),
            ),
            "list": (
                partial(measured, ours.command("runs"), env=ours.environ),
                partial(measured, guild.command("runs"), env=guild.environ),
            ),
            "watch a run that is over": (
                partial(measured, ours.command("watch", over), env=ours.environ),
                partial(measured, guild.command("watch", theirs_over), env=guild.environ),
            ),
            "stop": (
                partial(
                    stop,
                    partial(ours.start, "sleep", "600"),
                    lambda run: ours.command("runs", "stop", run),
                    ours.environ,
                ),
                partial(
                    stop,
                    partial(_started_by_guild, guild, "sleeper"),
                    lambda run: guild.command("stop", "-y", run),
                    guild.environ,
                ),
            ),
        }
        empty = partial(measured, ["ssh", HOST, "true"], env=place.environ)
        for verb, (our_way, their_way) in verbs.items():
            ways: dict[str, Callable[[], Sample]] = {
                "genvx": our_way,
                "guild": their_way,
                "ssh HOST true": empty,
            }
            series = side_by_side(ways, rounds)
            theirs = series["guild"].wall
            for name, found in series.items():
                rows.append([verb, name, f"{found.wall:.2f}", f"{found.wall / theirs:.2f}"])
            got = series["genvx"].wall / theirs
            verdicts.append(verdict("R5", f"{verb}: wall over Guild's", got, 0.15))
    return Table(("verb", "command", "wall, s", "wall / guild"), rows, verdicts)
