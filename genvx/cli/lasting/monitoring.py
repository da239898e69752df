"""genvx monitor: says what it does and where, and goes on until a signal ends it."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from genvx.cli.ask.where import LOCAL_NAME
from genvx.cli.lasting.ending import until_signal
from genvx.core.quantities.ages import format_duration
from genvx.core.value import replace, value
from genvx.errors import InvalidInput
from genvx.shown.console import say
from genvx.watching import textfile
from genvx.watching.board import Board
from genvx.watching.monitor import Monitor
from genvx.watching.places import usual_history
from genvx.watching.server import MetricsServer, parse_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from genvx.cli.ask.where import Where
    from genvx.fleet.fleet import Fleet
    from genvx.watching.history.recorder import Recorder
    from genvx.watching.sight import Sight

# What a host has shown is shown for so many rounds, if none ends meanwhile.
_ROUNDS_SHOWN = 3


@value
class Wanted:
    """The options of genvx monitor. every: seconds. listen, textfile: one of them is None.
    history: a file; None is the usual one. notify: who is told of idle environments, as it was
    typed.
    """

    every: float
    listen: str | None
    textfile: str | None
    history: str | None
    no_history: bool
    label_users: bool
    notify: tuple[str, ...] = ()


def monitor(where: Where, wanted: Wanted) -> int:
    """Watch until a signal; return the exit code: 130 after Ctrl-C, else 0."""
    return until_signal(lambda: _monitor(where, wanted))


def _monitor(where: Where, wanted: Wanted) -> None:
    with ExitStack() as stack:
        # What can be refused comes before the first host is asked.
        recorder = _recorder(where, wanted)
        if recorder is not None:
            stack.callback(recorder.close)
        seen = _warner(where, wanted)
        fleet = stack.enter_context(_fleet(where))
        lasts = _ROUNDS_SHOWN * wanted.every + fleet.timeout
        board = Board(len(fleet.hosts), lasts, label_users=wanted.label_users)
        publish, shown = _publisher(where, wanted, board, stack)
        count = len(fleet.hosts)
        what = f"{count} host{'' if count == 1 else 's'}" if where.remote else "this machine"
        where.note(f"{what} every {format_duration(wanted.every)}; metrics {shown}")
        if recorder is not None:
            where.note(f"history in {recorder.path}")
        Monitor(
            fleet,
            board,
            wanted.every,
            recorder=recorder,
            publish=publish,
            tell=where.note,
            seen=seen,
        ).run()


def _warner(where: Where, wanted: Wanted) -> Callable[[Sight], object]:
    """What looks at hosts and has people told of idle environments."""
    if not wanted.notify:
        return lambda sight: None
    from genvx.cli.notifying import Errands, here
    from genvx.watching.idlewarnings import IdleWarnings

    warnings, errands = IdleWarnings(here(wanted.notify, where.note)), Errands()

    def warn(sight: Sight) -> None:
        errands.tend()
        for notifier, message in warnings.take(sight):
            errands.send(message, [notifier])

    return warn


def _fleet(where: Where) -> Fleet:
    if where.remote:
        return where.fleet()
    from genvx.fleet.fleet import Fleet
    from genvx.local.host import LocalHost

    # Not "localhost": one Prometheus scrapes the monitors of many machines.
    return Fleet([LocalHost(socket.gethostname() or LOCAL_NAME)], fanout=0)


def _recorder(where: Where, wanted: Wanted) -> Recorder | None:
    if wanted.no_history:
        return None
    # Imported here: it needs SQLite.
    from genvx.watching.history.recorder import Recorder

    path = (
        usual_history(os.environ, remote=where.remote)
        if wanted.history is None
        else Path(os.path.abspath(os.path.expanduser(wanted.history)))
    )
    return Recorder(path, wanted.every, _complain)


def _complain(line: str) -> None:
    say(f"genvx: {line}")


def _publisher(
    where: Where, wanted: Wanted, board: Board, stack: ExitStack
) -> tuple[Callable[[], object], str]:
    """Begin to publish; return what to call after each round, and where metrics are, in words."""
    if wanted.textfile is not None:
        directory = textfile.require_directory(wanted.textfile)
        stack.callback(textfile.remove, directory)
        return _Writer(directory, board).write, f"in {directory}/{textfile.NAME}"
    assert wanted.listen is not None
    server = MetricsServer(parse_address(wanted.listen), board.page)
    server.start()
    stack.callback(server.stop)
    if not server.is_loopback:
        what = "who holds what, and " if wanted.label_users else ""
        _complain(
            f"everybody who reaches {server.url} can read {what}the load of all hosts; "
            "--listen 127.0.0.1:9400 serves this machine only"
        )
    return (lambda: None), f"at {server.url}"


class _Writer:
    """Writes the metrics for node_exporter; says once that it cannot."""

    def __init__(self, directory: str, board: Board) -> None:
        self._directory = directory
        self._board = board
        self._fails = False

    def write(self) -> None:
        """Replace the file."""
        try:
            textfile.write(self._directory, self._board.page())
        except OSError as error:
            if not self._fails:
                _complain(f"cannot write metrics to {self._directory}: {error.strerror}")
            self._fails = True
        else:
            self._fails = False


def unit(where: Where, wanted: Wanted) -> str:
    """Return a unit of systemd that starts this monitor as this user."""
    from genvx.watching.units import user_unit

    if where.hostfile is not None:
        where = replace(where, hostfile=os.path.abspath(where.hostfile))
    import shlex

    from genvx.cli.notifying import has_address

    if has_address(wanted.notify):
        raise InvalidInput(
            "a unit would show the address of the webhook to everybody; give it a name in "
            "~/.config/genvx/config.toml, and that name to --notify"
        )
    # systemd gives no shell, and no PATH of ours.
    words = [*program(), *shlex.split(where.typed)[1:], "monitor"]
    words += ["--every", f"{wanted.every:g}s"]
    if wanted.textfile is not None:
        words += ["--textfile", os.path.abspath(wanted.textfile)]
    else:
        words += ["--listen", wanted.listen or ""]
    if wanted.history is not None:
        words += ["--history", os.path.abspath(wanted.history)]
    words += [f"--notify={text}" for text in wanted.notify]
    words += ["--no-history"] * wanted.no_history + ["--label-users"] * wanted.label_users
    # systemd has no variables of ours either, and these may say which hosts are meant.
    hostfile = os.environ.get("GENVX_HOSTFILE") if where.remote else None
    variables = {"GENVX_HOSTFILE": os.path.abspath(hostfile)} if hostfile else {}
    return user_unit(words, os.getcwd(), variables)


def program() -> list[str]:
    """Return the words that start this genvx."""
    started = os.path.abspath(sys.argv[0])
    if os.path.basename(started) == "genvx":
        return [started]
    return [sys.executable, "-m", "genvx"]
