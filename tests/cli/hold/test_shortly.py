"""`genvx remote run` as it is typed most often is read without typer, and means the same."""

import pytest

from genvx.cli.holds import shortly
from tests.conftest import run_genvx


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("-g 1 -- true", ("1", ["true"], False)),
        ("-q --gpus A100:2 -- a -g 3 -- b", ("A100:2", ["a", "-g", "3", "--", "b"], True)),
        ("--gpus=0.5 --quiet -- true", ("0.5", ["true"], True)),
    ],
)
def test_gpus_and_a_command_are_read(words, read):
    assert shortly.read(words.split()) == read


@pytest.mark.parametrize(
    "words",
    [
        *("-g 1 true", "-- true", "-g 1 --", "-g 1 -g 2 -- true", "-g -1 -- true", "-g1 -- true"),
        *("-g 1 -d -- true", "-g 1 --wait -- true", "--gpus -- true", "-g 1 x -- true", "--help"),
    ],
)
def test_all_else_is_left_to_typer(words):
    assert shortly.read(words.split()) is None


def test_the_hosts_are_those_that_genvx_remote_is_given(monkeypatch):
    ran = []
    monkeypatch.setattr(shortly, "run", lambda *given: ran.append(given) or 7)
    line = "remote -H a -t 1.5 --fanout=3 run -q -g 2 -- x"
    assert shortly.answering(line.split())() == 7
    ((where, gpus, command),) = ran
    assert (where.remote, where.hosts, where.timeout, where.fanout) == (True, "a", 1.5, 3)
    assert (where.quiet, gpus, command) == (True, "2", ["x"])
    for other in ("run -g 1 -- x", "remote -H run -g 1 -- x", "remote -H a runs", "remote"):
        assert shortly.answering(other.split()) is None


def test_it_fails_as_it_does_with_typer(sandbox):
    for gpus in ("9", "nonsense:x", "2"):
        short = run_genvx("remote", "run", "-g", gpus, "--", "no-such-command")
        # --name goes through typer.
        whole = run_genvx("remote", "run", "-g", gpus, "--name=", "--", "no-such-command")
        assert (short.returncode, short.stderr) == (whole.returncode, whole.stderr)
        assert short.returncode
