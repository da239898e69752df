"""How fast bytes go through a tunnel, beside `ssh -L`."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

from benchmarks.form import sized
from benchmarks.measure import measured, side_by_side
from benchmarks.report import Table
from benchmarks.runs import HOST, Genvx
from benchmarks.world import World, world

_MEGABYTES = sized(100, 1)
_PORT = 7001
# Not the next one, which genvx takes where the first is taken.
_SSH_PORT = 7901
# A server on the host: it gives or takes, by the first byte that it gets, and ends with how much
# there was.
_SERVER = f"""
import socket, threading
total = {_MEGABYTES}000000
block = bytes(range(256)) * 256
def serve(connection):
    with connection:
        if connection.recv(1) == b"g":
            left = total
            while left:
                left -= connection.send(block[:left])
        else:
            got = 0
            while data := connection.recv(1 << 18):
                got += len(data)
            connection.sendall(str(got).encode())
listener = socket.create_server(("127.0.0.1", {_PORT}))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],)).start()
"""
_CLIENT = f"""
import socket, sys
total, (word, port) = {_MEGABYTES}000000, sys.argv[1:]
with socket.create_connection(("127.0.0.1", int(port))) as connection:
    connection.sendall(word[:1].encode())
    if word == "get":
        got = 0
        while data := connection.recv(1 << 18):
            got += len(data)
    else:
        block = bytes(range(256)) * 256
        for _ in range(total // len(block)):
            connection.sendall(block)
        connection.sendall(block[: total % len(block)])
        connection.shutdown(socket.SHUT_WR)
        got = int(connection.recv(100))
print(got)
"""


@contextlib.contextmanager
def _ended(command: list[str], place: World) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, env=place.environ, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def _answers(port: int) -> bool:
    words = [sys.executable, "-c", _CLIENT, "get", str(port)]
    return subprocess.run(words, capture_output=True).stdout == b"%d000000\n" % _MEGABYTES


def run(rounds: int) -> Table:
    """The wall time of 100 MB from the host and to it."""
    with world() as place:
        ours = Genvx(place)
        name = ours.start("python3", "-c", _SERVER)
        forward = ["ssh", "-N", "-L", f"127.0.0.1:{_SSH_PORT}:127.0.0.1:{_PORT}", HOST]
        with (
            _ended(ours.command("tunnel", name, str(_PORT)), place) as tunnel,
            _ended(forward, place),
        ):
            assert tunnel.stdout is not None
            # The host is this machine, so the port is taken here.
            found = re.match(r"127\.0\.0\.1:(\d+) -> ", tunnel.stdout.readline())
            if found is None:
                raise SystemExit("the tunnel did not open")
            ports = {"genvx remote tunnel": int(found[1]), "ssh -L": _SSH_PORT}
            for port in ports.values():
                while not _answers(port):
                    time.sleep(0.1)
            contenders = {
                f"{word} {name}": partial(
                    measured, [sys.executable, "-c", _CLIENT, word, str(port)], env=place.environ
                )
                for word in ("get", "put")
                for name, port in ports.items()
            }
            expected = b"%d000000" % _MEGABYTES
            series = side_by_side(
                contenders, rounds, lambda name, sample: sample.output.strip() == expected
            )
    rows, ratios = [], {}
    for key, found_series in series.items():
        word, _, name = key.partition(" ")
        wall = found_series.wall
        ratios[word, name] = wall / series[f"{word} ssh -L"].wall
        way = "from the host" if word == "get" else "to the host"
        rows.append(
            [way, name, f"{wall:.2f}", f"{_MEGABYTES / wall:.0f}", f"{ratios[word, name]:.2f}"]
        )
    worst = max(ratios.values())
    return Table(
        (f"{_MEGABYTES} MB", "through", "wall, s", "MB/s", "wall / ssh"),
        rows,
        [f"The slower way takes {worst:.2f} times as long as through `ssh -L`."],
    )
