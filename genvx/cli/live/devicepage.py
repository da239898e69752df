"""The page of GPUs: a row for each host, and below it one for each of its devices."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from genvx.cli.live.paint import bar
from genvx.cli.live.rows import Row, Target, cell, safe
from genvx.cli.views import hostrows
from genvx.core.quantities.ages import brief_age, format_age
from genvx.core.snapshot import State
from genvx.errors import kind_of
from genvx.shown import devices as shown
from genvx.shown.columns import Fitting

if TYPE_CHECKING:
    from genvx.cli.live.known import Seen
    from genvx.cli.live.paint import Spans
    from genvx.core.device import Device
    from genvx.core.snapshot import Snapshot

COLUMNS = ("GPU", "NAME", "STATE", "MEMORY", "UTIL", "USER", "ENV", "SINCE")
FITTING = Fitting(
    yielding={"NAME": 12, "USER": 8, "ENV": 8, "SINCE": 8},
    dropped=("SINCE", "NAME", "UTIL", "MEMORY", "USER"),
    kept=("GPU",),
)
# As on the page of genvx web.
SIGNS = {
    State.FREE: ("○", "good"),
    State.LEASED: ("●", "held"),
    State.SHARED: ("◐", "held"),
    State.BUSY: ("▲", "warn"),
    State.LOST: ("✕", "bad"),
    State.UNHEALTHY: ("!", "bad"),
    State.UNKNOWN: ("?", "warn"),
}
_GPU, _NAME, _MEMORY, _USED, _UTIL, _STATE, _USER, _ENV, _SINCE = range(len(shown.COLUMNS))
_GIB = 1 << 30
# Columns of a terminal, and the cells that a bar has there.
_BARS = ((140, 10), (100, 6), (70, 4))
# A host with more devices has the rest of its signs behind an ellipsis.
_MOST_SIGNS = 64


def bar_size(columns: int) -> int:
    """Return the cells of a bar on a terminal of so many columns; 0 where only numbers fit."""
    return next((size for least, size in _BARS if columns >= least), 0)


def rows_of(seen: Seen, size: int) -> list[Row]:
    """Return the row of a host, and those of its devices. size: the cells of a bar."""
    snapshot = seen.snapshot
    if snapshot is None:
        return [_without_answer(seen)]
    devices = [_device(seen.host, device, snapshot, size) for device in snapshot.devices]
    return [_host(seen.host, snapshot, size), *devices]


def _without_answer(seen: Seen) -> Row:
    if seen.error is None:
        what: tuple[Spans, ...] = (cell("asked", "dim"),)
    else:
        # In the columns that every terminal has room for.
        what = (cell(f"✕ {kind_of(seen.error)}", "bad"),)
    why = "" if seen.error is None else str(seen.error)
    empty = cell("")
    cells = (
        cell(f"  {seen.host}", "host"),
        empty,
        *what,
        empty,
        empty,
        cell("down" if seen.error else "", "bad"),
        cell(why, "bad"),
        empty,
    )
    return Row(("host", seen.host), seen.host, cells, (seen.host, "", -1, -1, -1, "", "", 0))


def _host(name: str, snapshot: Snapshot, size: int) -> Row:
    devices = snapshot.devices
    usages = [snapshot.usage_of(device) for device in devices]
    used = sum(usage.memory_used or 0 for usage in usages)
    memory = sum(device.memory or 0 for device in devices)
    rates = [usage.utilization for usage in usages if usage.utilization is not None]
    rate = round(sum(rates) / len(rates)) if rates else None
    free = len(snapshot.available)
    states = [snapshot.state(device) for device in devices]
    models = Counter(device.shown_name for device in devices)
    model = next(iter(models)) if len(models) == 1 else f"{len(models)} models"
    users = _names(", ".join(hostrows.users(snapshot)))
    fault = snapshot.driver.error
    signs = tuple(SIGNS[state] for state in states[:_MOST_SIGNS])
    signs += (("…", ""),) * (len(states) > _MOST_SIGNS)
    cells = (
        cell(f"  {name}", "host"),
        cell(f"{len(devices)} x {model}" if devices else ""),
        cell(f"{free} of {len(devices)} free", "good" if free else ""),
        _memory(used if devices else None, memory, size),
        _rate(rate, size),
        cell(users),
        signs if fault is None else cell(fault, "bad"),
        cell(""),
    )
    order = (name, model, free, used, -1 if rate is None else rate, users, "", 0)
    return Row(("host", name), name, cells, order, parent=bool(devices))


def _device(host: str, device: Device, snapshot: Snapshot, size: int) -> Row:
    text = shown.row(device, snapshot, format_age)
    usage, state = snapshot.usage_of(device), snapshot.state(device)
    sign, style = SIGNS[state]
    mine = [env for env in snapshot.environments if device.uuid in env.devices]
    why = usage.reason or text[_ENV]
    cells = (
        cell(f"    {text[_GPU]}"),
        cell(text[_NAME]),
        (safe(f"{sign} {text[_STATE]}", style),),
        _memory(usage.memory_used, device.memory, size),
        _rate(usage.utilization, size),
        cell(_names(text[_USER])),
        cell(why, "bad" if usage.reason else ""),
        cell(brief_age(text[_SINCE]).removesuffix(" ago")),
    )
    targets = tuple(Target.of(host, env) for env in mine)
    since = min((env.since_ns for env in mine), default=snapshot.boottime_ns)
    order = (
        device.index,
        text[_NAME],
        list(State).index(state),
        usage.memory_used or 0,
        -1 if usage.utilization is None else usage.utilization,
        text[_USER],
        text[_ENV],
        snapshot.age_seconds(since),
    )
    return Row(("device", host, device.uuid), host, cells, order, targets)


def _names(users: str) -> str:
    """Users without their uids, for which there is room among the details."""
    return re.sub(r"\(\d+\)", "", users)


def _memory(used: int | None, size: int | None, cells: int) -> Spans:
    if used is None or not size:
        return cell("?")
    return _measured(used / size, cells, f"{round(used / _GIB)}/{round(size / _GIB)}G")


def _rate(percent: int | None, cells: int) -> Spans:
    if percent is None:
        return cell("?")
    return _measured(percent / 100, cells, f"{percent:>3}%")


def _measured(share: float, cells: int, text: str) -> Spans:
    return ((bar(share, cells), "held"), (f" {text}", "")) if cells else ((text, ""),)
