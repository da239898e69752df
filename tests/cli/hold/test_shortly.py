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


def test_it_fails_as_it_does_with_typer(sandbox):
    for gpus in ("9", "nonsense:x", "2"):
        short = run_genvx("remote", "run", "-g", gpus, "--", "no-such-command")
        # --name goes through typer.
        whole = run_genvx("remote", "run", "-g", gpus, "--name=", "--", "no-such-command")
        assert (short.returncode, short.stderr) == (whole.returncode, whole.stderr)
        assert short.returncode
