"""Sentences of the screen: its keys, its questions, and all that is known of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genvx.core.quantities.ages import format_duration
from genvx.core.quantities.amounts import format_memory, format_percent
from genvx.core.requests.ranges import folded
from genvx.core.text import printable
from genvx.errors import kind_of
from genvx.shown.ending import ending

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.cli.live.known import Seen
    from genvx.cli.live.rows import Row, Target
    from genvx.core.device import Device
    from genvx.core.snapshot import Snapshot

    Line = tuple[str, str]

HINTS = (
    "q quit  ? help  / filter  s sort  Space fold  Enter open  l log  x end",
    "q quit  ? help  / filter  x end",
)
SCROLLED = ("Esc or q: back   arrows and PgUp, PgDn: scroll", "Esc: back")
_KEYS = (
    ("1 to 5, Tab", "GPUs, processes, environments, runs, the line"),
    ("arrows, j k, PgUp PgDn, g G", "choose a row; the mouse and its wheel do, too"),
    ("Space, left, right", "fold a host, or show its GPUs"),
    ("c, e", "fold all hosts; show the GPUs of all"),
    ("/", "show only rows with these words; Esc shows all"),
    ("s, S, r", "sort by the next column, the one before; reverse. Or click a column"),
    ("Enter, i", "show all that is known of a row; Enter on a run shows its log"),
    ("l", "show the log of a run, as it grows"),
    ("x", "release your environment or stop your run, after a question"),
    ("Ctrl-L", "draw everything again"),
    ("q, Ctrl-C", "quit"),
)
_SIGNS = "○ free  ● leased  ◐ shared  ▲ used without a lease  ✕ lost  ! unhealthy  ? unknown"
HELP: tuple[Line, ...] = (
    *((f"  {keys:<28} {what}", "") for keys, what in _KEYS),
    ("", ""),
    ("Signs", "bold"),
    (f"  {_SIGNS}", ""),
)


def question(target: Target) -> tuple[str, str]:
    """Return the question before something is ended, and the keys that answer it."""
    place = folded(target.hosts)
    if target.kind == "run":
        return f"Stop run {target.label} on {place}?", "y yes   n no"
    return f"Release {target.label} on {place}?", "y yes   k and end its processes   n no"


def details(
    row: Row | None, columns: Sequence[str], hosts: Sequence[Seen], at: float
) -> list[Line]:
    """Return all that is known of a row, a line each. at: now, in seconds since the epoch."""
    if row is None:
        return []
    what = "Host" if row.key[0] == "host" else f"{row.key[0].capitalize()} on"
    lines: list[Line] = [(f"{what} {row.host}", "bold")]
    seen = next((each for each in hosts if each.host == row.host), None)
    if row.key[0] not in ("host", "device") or seen is None:
        lines += [_line(name.lower(), text) for name, text in zip(columns, row.texts, strict=True)]
        return lines
    if seen.snapshot is None:
        lines += _down(seen, at)
    elif row.key[0] == "host":
        lines += _host(seen.snapshot)
    else:
        device = seen.snapshot.device(row.key[2])
        lines += [] if device is None else list(_device(device, seen.snapshot))
    return lines


def _line(name: str, text: str) -> Line:
    return (f"  {name:<12} {printable(text)}", "")


def _down(seen: Seen, at: float) -> list[Line]:
    if seen.error is None:
        return [_line("state", "it has not answered yet")]
    lines = [_line("error", f"{kind_of(seen.error)}: {seen.error}")]
    if seen.seen_at:
        lines.append(_line("answered", f"{format_duration(max(1, at - seen.seen_at))} ago"))
    return lines


def _host(snapshot: Snapshot) -> list[Line]:
    driver = snapshot.driver
    return [
        _line("hostname", snapshot.hostname),
        _line("genvx", snapshot.version),
        _line("driver", driver.error or driver.version or "of unknown version"),
        *(_line("note", note) for note in driver.notes),
        *(_line("ends", text) for text in (ending(snapshot),) if text),
        _line("devices", f"{len(snapshot.devices)}, {len(snapshot.available)} free"),
        _line("environments", str(len(snapshot.environments))),
        _line("waiting", str(len(snapshot.tickets))),
        *(_line("ignored", odd) for odd in snapshot.odd),
    ]


def _device(device: Device, snapshot: Snapshot) -> Iterator[Line]:
    usage = snapshot.usage_of(device)
    why = usage.reason or snapshot.unseen(device)
    yield _line("GPU", f"{device.label}  {device.shown_name}")
    yield _line("UUID", device.uuid)
    yield _line("state", snapshot.state(device).value + (f": {why}" if why else ""))
    yield _line(
        "memory", f"{format_memory(usage.memory_used)} of {format_memory(device.memory)} in use"
    )
    yield _line("busy", format_percent(usage.utilization))
    sensors = usage.sensors
    if sensors is not None and sensors.power_mw is not None:
        yield _line("power", f"{sensors.power_mw / 1000:.0f} W")
    if sensors is not None and sensors.temperature is not None:
        yield _line("temperature", f"{sensors.temperature} °C")
    for env in snapshot.environments:
        if device.uuid in env.devices:
            part = "all of it" if env.memory is None else f"{format_memory(env.memory)} of it"
            age = format_duration(snapshot.age_seconds(env.since_ns))
            yield _line("environment", f"{env.label} of {env.owner}, {part}, for {age}")
    foreign = set(snapshot.foreign(device))
    for process in usage.processes or ():
        bare = ", without a lease" if process in foreign else ""
        text = f"{process.pid} of {process.user}{bare}: {format_memory(process.memory)}, "
        yield _line("process", f"{text}{process.command}")
    if usage.processes is None:
        yield _line("processes", "cannot be seen from here")
