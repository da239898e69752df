"""The output of a run in a pipe and on a terminal, from any line on, through cut connections."""

from __future__ import annotations

import pytest

from genvx.cli.ask.where import Where
from genvx.cli.views.log import LogView
from genvx.core.runs.runinfo import LogPiece
from genvx.core.wire.runoperations import LogEnd, WatchRun
from genvx.errors import HostUnreachable
from genvx.fleet.detaching.runs import watch
from genvx.local.host import LocalHost
from tests.cli.runs.test_runs import ID, runs, started  # noqa: F401  (a fixture)
from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env, until


def shown(capfd, *pieces, terminal=False):
    view = LogView(Where(), "h", terminal)
    at = 0
    for data in pieces:
        view.take(LogPiece(at, data))
        at += len(data)
    view.finish()
    return capfd.readouterr().out


@pytest.mark.parametrize(
    ("pieces", "out"),
    [
        ((b"a\nb",), "a\nb"),
        ((b"1%\r2%\r3%\nend\n",), "3%\nend\n"),
        ((b"1%\r", b"2%\r", b"3%\r"), "3%"),
        ((b"1%", b"\r2", b"%\n"), "2%\n"),
        ((b"a\r\nb\r", b"\nc\r\n"), "a\nb\nc\n"),
        ((b"x" * (1 << 20), b"yy", b"z\n"), "x" * (1 << 20) + "yyz\n"),
    ],
)
def test_in_a_pipe_the_last_state_of_a_line_is_left(capfd, pieces, out):
    assert shown(capfd, *pieces) == out


def test_on_a_terminal_all_goes_through(capfd):
    assert shown(capfd, b"1%\r2%\r", terminal=True) == "1%\r2%\r"


def test_a_progress_bar_moves_on_a_terminal_and_is_one_line_in_a_pipe(runs):  # noqa: F811
    run = started("--", "sh", "-c", r"printf '1%%\r2%%\r3%%\n'; kill -USR1 $$")
    watched = run_genvx("watch", run)
    assert (watched.stdout, watched.returncode) == ("3%\n", 138)
    terminal = Terminal(genvx_argv("watch", run), genvx_env())
    terminal.expect("1%\r2%\r3%")
    assert terminal.end() == 138


class _Cut:
    """A host whose first connection ends behind so many answers."""

    name = "h"

    def __init__(self, after, meanwhile):
        self._host, self._after, self._meanwhile = LocalHost(), after, meanwhile

    def watch(self, asked, pause):
        most, self._after = self._after, None
        for number, news in enumerate(self._host.watch(asked, pause)):
            if number == most:
                self._meanwhile()
                raise HostUnreachable("cut")
            yield news


@pytest.mark.parametrize("lines", [0, 1])
@pytest.mark.parametrize("after", [1, 2])
def test_nothing_is_missing_where_the_connection_is_cut_before_the_first_piece(
    runs,  # noqa: F811
    short_tmp,
    monkeypatch,
    lines,
    after,
):
    monkeypatch.setattr("genvx.fleet.detaching.runs._PAUSE", 0.0)
    # Without anything to read, the next answer is a sign of life.
    monkeypatch.setattr("genvx.local.runs.watching._AGAIN", 0.1)
    monkeypatch.setattr("genvx.local.runs.watching._CHECK", 0.1)
    go = short_tmp / "go"
    line = f"echo early; until [ -e {go} ]; do sleep 0.01; done; seq 5"
    run = started("--", "sh", "-c", line)
    log = runs / run / "log"
    until(lambda: log.read_bytes() == b"early\n")

    def meanwhile():
        go.touch()
        until(lambda: log.read_bytes().endswith(b"5\n"))

    news = list(watch(_Cut(after, meanwhile), WatchRun(run, lines=lines)))
    assert isinstance(news[-1], LogEnd)
    data = b"".join(piece.data for piece in news if isinstance(piece, LogPiece))
    assert data == b"early\n" * lines + b"1\n2\n3\n4\n5\n"
