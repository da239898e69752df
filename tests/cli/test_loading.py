"""Verbs are loaded when they are typed, and only the one that is."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from genvx.cli import main
from genvx.cli.parse.loading import root
from genvx.cli.parse.table import VERBS
from tests.helpers import genvx_env


def loaded(*words):
    """The modules of genvx that a command line has loaded."""
    code = (
        "import sys, genvx.cli.main as m; m.run(sys.argv[1:]); "
        "print(*(x for x in sys.modules if x.startswith('genvx.')))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=genvx_env()
    )
    return set(answer.stdout.splitlines()[-1].split())


def verbs_in(modules):
    return {each for each in modules if each.startswith("genvx.cli.verbs.") and each.count(".") > 3}


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (["devices", "--csv"], "look.devices"),
        (["queue", "--help"], "look.queue"),
        (["run", "--help"], "hold.run"),
        (["remote", "-H", "a", "doctor", "--help"], "look.doctor"),
        (["help", "version"], "setup.version"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_only_the_verb_that_is_typed_is_loaded(state, words, module):
    others = verbs_in(loaded(*words)) - {"genvx.cli.verbs.setup.help"}
    assert others == {f"genvx.cli.verbs.{module}"}


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("typer", r"lacks the package typer; \S+ -m pip install 'typer.*>=0\.26.*'\n"),
        ("yaml.reader", r"lacks the package pyyaml; \S+ -m pip install '?pyyaml.*'?\n"),
        ("invoke", r"lacks the package invoke; \S+ -m pip install invoke\n"),
        ("zlib", "a fault of genvx: ModuleNotFoundError: "),
    ],
)
def test_a_package_that_is_missing_is_named_with_what_installs_it(
    module, says, monkeypatch, capsys
):
    def fail(arguments):
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(main, "quick", fail)
    assert main.run(["devices"]) == 1
    assert re.search(says, capsys.readouterr().err)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["remote", "--help"]], ids=" ".join)
def test_to_list_the_verbs_loads_none(state, words):
    assert verbs_in(loaded(*words)) == set()


@pytest.mark.parametrize("entry", VERBS, ids=lambda entry: entry.name)
def test_the_table_has_the_first_line_of_each_help(entry):
    group = root() if entry.here else root().verbs["remote"]
    first = group.verbs[entry.name].text.split("\n")[0]
    assert entry.line == first.rstrip(".")


# What only other questions need. Each costs start-up, of which a question has little else.
NOT_FOR_DEVICES = {
    "genvx.core.policies.policy",
    "genvx.core.placing.placement",
    "genvx.core.runs.run",
    "genvx.core.runs.runinfo",
    "genvx.core.wire.operations",
    "genvx.core.wire.wires",
    "genvx.core.wire.runoperations",
    "genvx.cli.show.progress",
    "genvx.cli.show.watch",
    "genvx.local.granting.taking",
    "genvx.local.doctor.examination",
    "genvx.project",
    "genvx.ssh.credentials.secrets",
}


def test_devices_loads_what_it_shows_and_little_else(state):
    quick = loaded("devices")
    assert quick & NOT_FOR_DEVICES == set()
    assert len(quick) <= 107
    document = loaded("devices", "--json")
    assert document & NOT_FOR_DEVICES == set()
    assert len(document) <= 112


# What is for other hosts.
NOT_FOR_ONE_MACHINE = {"genvx.fleet.connect", "genvx.fleet.detaching.runs", "genvx.fleet.sshhost"}


# A module costs some 0.3 ms. Each of these has room for a few more.
@pytest.mark.parametrize(
    ("words", "most"),
    [
        ("smi --json", 113),
        ("sweeps list --json", 104),
        ("remotes --json", 81),
        ("runs --json", 171),
        ("usage --json", 157),
        ("doctor --json", 129),
        ("explain -g 1 --json", 134),
        ("notify list --json", 46),
        ("config --json", 50),
        ("version --json", 31),
        ("runs --help", 63),
        ("remote run --help", 54),
        ("remote ssh-proxy --help", 46),
    ],
)
def test_a_verb_loads_what_it_shows_and_little_else(state, words, most):
    found = loaded(*words.split())
    assert (len(found) <= most, found & NOT_FOR_ONE_MACHINE) == (True, set())


# What verbs do, not what can be typed: help shows only that.
NOT_FOR_HELP = {
    "genvx.core.wire.runoperations",
    "genvx.fleet.fleet",
    "genvx.local.host",
    "genvx.local.provisioning",
    *("asyncio", "fabric", "filelock", "optuna", "pynvml", "sqlite3", "starlette", "yaml"),
    *("dataclasses", "inspect", "shutil", "subprocess", "typer"),
}
_EACH_HELP = """
import os, sys
import genvx.cli.parse.helping, genvx.cli.main as m
for verb in sys.argv[1:]:
    print(verb, end=" ", flush=True)
    if os.fork() == 0:
        said = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        m.run([verb, "--help"])
        sys.stdout.flush()
        os.write(said, " ".join(sys.modules).encode() + b"\\n")
        os._exit(0)
    os.wait()
"""


def test_the_help_of_a_verb_loads_nothing_that_the_verb_does():
    verbs = [entry.name for entry in VERBS if entry.here]
    answer = subprocess.run(
        [sys.executable, "-c", _EACH_HELP, *verbs], capture_output=True, text=True, env=genvx_env()
    )
    lines = [line.split() for line in answer.stdout.splitlines()]
    assert [verb for verb, *_ in lines] == verbs, answer.stderr
    needless = {verb: set(modules) & NOT_FOR_HELP for verb, *modules in lines}
    assert [(verb, modules) for verb, modules in needless.items() if modules] == []
    assert max(sum(m.startswith("genvx.") for m in modules) for _, *modules in lines) <= 70
