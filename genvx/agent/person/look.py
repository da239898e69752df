"""Verbs that show something."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Optional

from genvx.agent.person.options import environment
from genvx.core.quantities.ages import format_age
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.agent.person.options import Given
    from genvx.core.snapshot import Snapshot
    from genvx.local.host import LocalHost


def _table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    summary: str = "",
    *,
    yielding: Optional[Mapping[str, int]] = None,
    wrapping: Sequence[str] = (),
) -> None:
    from genvx.shown.cells import safe
    from genvx.shown.columns import table_for

    shown = [[safe(cell, sys.stdout) for cell in row] for row in rows]
    for line in table_for(sys.stdout, columns, shown, yielding=yielding, wrapping=wrapping):
        print(line)
    if summary:
        print(f"\n{summary}")


def _say_drivers(snapshot: Snapshot) -> None:
    for note in (snapshot.driver.error, *snapshot.driver.notes):
        if note is not None:
            say(f"genvx: {note}")


def status(host: LocalHost, given: Given, words: list[str]) -> int:
    """Show this environment, or this host."""
    from genvx.shown import status

    rows = status.rows(host.snapshot(holders=True))
    _table(status.COLUMNS, rows, wrapping=status.WRAPPING)
    return 0


def devices(host: LocalHost, given: Given, words: list[str]) -> int:
    """Show the devices of this host."""
    from genvx.shown import devices

    snapshot = host.snapshot()
    rows = [devices.row(device, snapshot, format_age) for device in snapshot.devices]
    total = devices.total_of(len(rows), len(snapshot.available))
    _table(devices.COLUMNS, rows, total, yielding=devices.YIELDING)
    _say_drivers(snapshot)
    return 0


def envs(host: LocalHost, given: Given, words: list[str]) -> int:
    """Show the environments of this host."""
    from genvx.shown import envs

    snapshot = host.snapshot(holders=True)
    rows = [envs.row(env, snapshot, format_age) for env in snapshot.environments]
    _table(envs.COLUMNS, rows, envs.total_of(len(rows)), yielding=envs.YIELDING)
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
    _table(smi.DEVICES, devices, yielding=smi.YIELDING)
    print()
    _table(smi.PROCESSES, running, yielding=smi.YIELDING)
    return 0
