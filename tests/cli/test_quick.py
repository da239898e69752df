"""The usual command lines are answered without typer, and the same."""

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
    *("remotes", "sweeps list", "usage", "config", "notify list", "explain -g 1"),
)
# What is shown of what can be typed.
HELP = ("--help", "help run", "run -h", "remote runs --help", "remote ssh-proxy --help")


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
        *(["run"], ["device"], ["release"], ["sweeps"], ["sweeps list"], ["no", "--help"]),
        *(["remote"], ["remote", "-H"], ["remote", "-H", "a"], ["remote", "devices", "-H", "a"]),
        *(["remote", "-H", "a", "-H", "b", "devices"], ["devices", "-v", "--help"]),
    ],
)
def test_everything_else_goes_through_typer(words):
    assert quick.quick(words) is None


@pytest.mark.parametrize(
    "words",
    [
        *(["devices", "--all-rows"], ["envs", "-w", "--help"], ["explain", "-g1"], ["no-verb"]),
        *(["run", "-g", "1", "true"], ["remote", "-H", "localhost", "--help"]),
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
@pytest.mark.parametrize("verb", [*(verb for verb in VERBS if verb != "doctor"), "version", *HELP])
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
