"""F11: a thousand hosts, one in ten of them dead in some way; and what a host costs in memory."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import socket
import threading
from collections.abc import Iterator
from functools import partial

from benchmarks.form import sized
from benchmarks.measure import Sample, measured, side_by_side
from benchmarks.report import Table, verdict
from benchmarks.world import World, world
from genvx.sandbox import files

_TIMEOUT = sized(20, 2)
SILENT, _GARBAGE, _CLOSED = 2001, 2002, 2003


@contextlib.contextmanager
def bad_servers() -> Iterator[None]:
    """One that says nothing, one that says nonsense; behind _CLOSED there is none."""
    kept: list[socket.socket] = []

    def accept(listener: socket.socket, greeting: bytes) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                kept.append(connection)
                connection.sendall(greeting)

    with (
        socket.create_server(("0.0.0.0", SILENT), backlog=256) as silent,
        socket.create_server(("0.0.0.0", _GARBAGE), backlog=256) as garbage,
    ):
        for listener, greeting in ((silent, b""), (garbage, os.urandom(200) + b"\n")):
            threading.Thread(target=accept, args=(listener, greeting), daemon=True).start()
        yield
        for listener in (silent, garbage):
            listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts, and keeps the port
        for connection in kept:
            connection.close()


def hostfile(place: World, healthy: int, dead: int) -> str:
    """The path of a hostfile with that many of each; the dead ones in six ways by turns."""
    lines = place.hosts(healthy)
    stranger = place.directory / "stranger"
    if not stranger.exists():
        files.make_key(str(stranger), "stranger")
        known = place.directory / "home/.ssh/known_hosts"
        wrong = (place.directory / "stranger.pub").read_text().split()[1]
        known.write_text(f"127.9.* ssh-ed25519 {wrong}\n!127.9.*,{known.read_text()}")
    for n in range(dead):
        name = f"127.8.{n // 250}.{n % 250 + 1}"
        ways = (
            f"{name}:{SILENT}",
            f"{name}:{_GARBAGE}",
            f"{name}:{_CLOSED}",
            name.replace("127.8.", "127.9."),  # another host key than the known one
            f"{name} key={stranger}",
            f"{name} python=/nonexistent/python3",
        )
        lines.append(ways[n % len(ways)])
    path = place.directory / f"hosts-{healthy}-{dead}"
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o600)
    return str(path)


def failures_in(said: str) -> list[str]:
    """The kinds of failure of the hosts that failed, a line each."""
    return re.findall(r"^\S+: ([a-z-]+): ", said, re.MULTILINE)


def run(rounds: int) -> Table:
    """Wall and peak memory of `genvx remote devices`."""
    rows = []
    with world() as place, bad_servers():
        few, some, many, dead = sized((100, 300, 900, 100), (1, 2, 3, 6))
        sizes = {
            "100 hosts": (few, 0),
            "300 hosts": (some, 0),
            "900 hosts": (many, 0),
            "1,000 hosts, 100 of them dead": (many, dead),
        }
        contenders = {
            name: partial(
                measured,
                [
                    *("genvx", "remote", "-f", hostfile(place, *size)),
                    *("-t", str(_TIMEOUT), "devices"),
                ],
                env=place.environ,
            )
            for name, size in sizes.items()
        }

        def right(name: str, sample: Sample) -> bool:
            healthy, dead = sizes[name]
            said = sample.output.decode()
            failures = failures_in(said)
            fits = f"on {healthy} hosts" in said and len(failures) == dead
            if not fits:
                print(f"{len(failures)} failures, not {dead}: {collections.Counter(failures)}")
            return fits

        series = side_by_side(contenders, rounds, right)
    for name, found in series.items():
        number = sum(sizes[name])
        rows.append(
            [
                name,
                f"{found.wall:.1f}",
                f"{found.wall * 1000 / number:.0f}",
                f"{found.cpu * 1000 / number:.1f}",
                f"{found.peak / 1024:.0f}",
            ]
        )
    healthy, mixed = series["900 hosts"], series["1,000 hosts, 100 of them dead"]
    more = (healthy.peak - series["100 hosts"].peak) / 800
    return Table(
        ("fleet", "wall, s", "wall, ms a host", "client CPU, ms a host", "peak, MiB"),
        rows,
        [
            verdict(
                "F11",
                "wall with dead hosts, beyond the healthy ones alone",
                mixed.wall - healthy.wall,
                _TIMEOUT,
                " s",
            ),
            f"All of the 900 answered, and each of the 100 dead ones was one line, in every round. "
            f"A host more costs {more:.0f} KiB at the peak.",
        ],
    )
