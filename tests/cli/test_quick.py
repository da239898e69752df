"""Questions without options, or with --json alone, are answered without typer, and the same."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from genvx.cli import app, main, quick
from genvx.shown import door
from tests.helpers import genvx_env

VERBS = (
    *("devices", "envs", "status", "queue", "policy", "doctor", "runs", "runs list", "smi"),
    *("remotes", "sweeps list", "usage"),
)


def said(run, capsys, words):
    code = door.answered(lambda: run(words))
    return code, capsys.readouterr()


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
@pytest.mark.parametrize("verb", VERBS)
def test_it_says_the_same_as_through_typer(state, tmp_path, capsys, monkeypatch, verb, options):
    now = time.time_ns()
    monkeypatch.setattr("time.time_ns", lambda: now)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    words = [*verb.split(), *options]
    short = said(quick.quick, capsys, words)
    assert short == said(app.invoke, capsys, words)
    assert short[0] == (2 if verb == "smi" else 0)  # smi: no environment is active
    assert "".join(short[1])


def test_hosts_that_fail_fail_the_same_as_through_typer(tmp_path, capsys):
    for words in (
        ["remote", "-H", "127.0.0.1:1", "devices"],
        ["remote", "-l", "me", "-f", "/no/file", "envs", "--json"],
    ):
        assert said(main.run, capsys, words) == said(app.invoke, capsys, words)


@pytest.mark.parametrize(
    "words",
    [
        *([], ["devices", "-v"], ["run"], ["--help"], ["device"], ["runs", "info"]),
        *(["sweeps"], ["sweeps list"], ["remote", "-H", "a", "smi"], ["remote", "usage"]),
        *(["remote"], ["remote", "-H"], ["remote", "-H", "a"], ["remote", "devices", "-H", "a"]),
        *(["remote", "-H", "a", "-H", "b", "devices"], ["remote", "-t", "1", "devices"]),
    ],
)
def test_everything_else_goes_through_typer(words):
    assert quick.quick(words) is None


@pytest.mark.parametrize(
    "words",
    [
        *(["--help"], ["devices", "-v"], ["envs", "-w", "--help"], ["status", "--csv"]),
        *(["explain", "-g", "1"], ["runs", "-a"], ["smi", "-h"], ["config", "show"], ["version"]),
        *(["run", "-g", "1", "--", "true"], ["remote", "-H", "localhost", "--help"]),
    ],
    ids=" ".join,
)
def test_no_verb_loads_pydantic_or_rich(state, words):
    code = (
        "import sys, genvx.cli.main as m; m.run(sys.argv[1:]); "
        "print([x for x in ('typer', 'pydantic', 'rich') if x in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=genvx_env()
    )
    assert answer.stdout.splitlines()[-1] == "['typer']", answer.stderr


# doctor is to find out whether NVML can be loaded, and whether locks work.
@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "doctor"])
def test_it_imports_neither_typer_nor_what_reaches_hosts(state, verb):
    heavy = ("typer", "click", "pydantic", "rich", "fabric", "paramiko", "filelock", "pynvml")
    code = (
        "import sys, genvx.cli.main as m; m.run(sys.argv[1:]); "
        f"print([x for x in {heavy} if x in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *verb.split()],
        capture_output=True,
        text=True,
        env=genvx_env(XDG_DATA_HOME=str(state)),
    )
    assert answer.stdout.splitlines()[-1] == "[]", answer.stderr
