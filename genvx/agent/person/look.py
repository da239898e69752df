"""Verbs that show something."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Optional

from genvx.agent.person.options import environment
from genvx.core.quantities.ages import format_age
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genvx.agent.person.options import Given
    from genvx.core.snapshot import Snapshot
    from genvx.local.host import LocalHost
    from genvx.shown.columns import Fitting


def _table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    summary: str = "",
    *,
    fitting: Optional[Fitting] = None,
) -> None:
    from genvx.shown.cells import safe
    from genvx.shown.columns import table_for

    shown = [[safe(cell, sys.stdout) for cell in row] for row in rows]
    for line in table_for(sys.stdout, columns, shown, fitting).lines:
        print(line)
    if summary:
        print(f"\n{summary}")


def _say_drivers(snapshot: Snapshot) -> None:
    from genvx.shown.ending import ending

    for note in (snapshot.driver.error, *snapshot.driver.notes, ending(snapshot)):
        if note:
            say(f"genvx: {note}")


def status(host: LocalHost, given: Given, words: list[str]) -> int:
    """Show this environment, or this host."""
    from genvx.shown import status

    rows = status.rows(host.snapshot(holders=True))
    _table(status.COLUMNS, rows, fitting=status.FITTING)
    return 0


def devices(host: LocalHost, given: Given, words: list[str]) -> int:
    """Show the devices of this host."""
    from genvx.shown import devices

    snapshot = host.snapshot()
    many = len(snapshot.devices)
    rows = devices.rows(
        snapshot.devices, snapshot, format_age, compact=devices.is_long(many, sys.stdout)
    )
    total = devices.total_of(many, len(snapshot.available))
    _table(devices.COLUMNS, rows, total, fitting=devices.FITTING)
    _say_drivers(snapshot)
    return 0


def envs(host: LocalHost, given: Given, words: list[str]) -> int:
    """Show the environments of this host."""
    from genvx.shown import envs

    snapshot = host.snapshot(holders=True)
    rows = [envs.row(env, snapshot, format_age) for env in snapshot.environments]
    _table(envs.COLUMNS, rows, envs.total_of(len(rows)), fitting=envs.FITTING)
    for note in envs.notes_on([(snapshot, snapshot.environments)]):
        say(f"genvx: {note}")
    return 0


def smi(host: LocalHost, given: Given, words: list[str]) -> int:
    """Show the devices and processes of an environment."""
    from genvx.local.use import processes_of
    from genvx.shown import smi

    own = environment(host, given)
    snapshot, env = host.snapshot(), host.mine(own)
    devices, running = smi.rows(env, snapshot, processes_of(env, snapshot))
    _table(smi.DEVICES, devices, fitting=smi.FITTING)
    print()
    _table(smi.PROCESSES, running, fitting=smi.FITTING)
    return 0
