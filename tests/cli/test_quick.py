"""Questions without options, or with --json alone, are answered without typer, and the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

from genvx.cli import app, main, quick
from genvx.shown import door
from tests.helpers import genvx_env

VERBS = ("devices", "envs", "status", "queue", "policy", "doctor", "runs")


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
@pytest.mark.parametrize("verb", VERBS)
def test_it_says_the_same_as_through_typer(state, capsys, verb, options):
    assert main.run([verb, *options]) == 0
    short = capsys.readouterr()
    assert app.invoke([verb, *options]) == 0
    assert capsys.readouterr() == short
    assert short.out


def test_hosts_that_fail_fail_the_same_as_through_typer(tmp_path, capsys):
    def said(run, *words):
        code = run(["remote", *words])
        return code, capsys.readouterr()

    for words in (
        ["-H", "127.0.0.1:1", "devices"],
        ["-l", "me", "-f", "/no/file", "envs", "--json"],
    ):
        assert said(main.run, *words) == said(
            lambda typed: door.answered(lambda: app.invoke(typed)), *words
        )


@pytest.mark.parametrize(
    "words",
    [
        *([], ["devices", "-v"], ["run"], ["--help"], ["device"], ["runs", "info"]),
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
        [sys.executable, "-c", code, verb], capture_output=True, text=True, env=genvx_env()
    )
    assert answer.stdout.splitlines()[-1] == "[]", answer.stderr
