"""The first part of the agent has what questions need; whatever else is asked of it, the whole
agent answers.
"""

from __future__ import annotations

import ast
import json
import marshal
import zlib
from importlib.util import module_from_spec
from pathlib import Path
from types import CodeType

import pytest

from genvx.fleet import caller
from genvx.fleet.delivery import pack, parts
from genvx.fleet.delivery.installer import compiled
from genvx.fleet.delivery.loader import Modules
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostfile import parse
from genvx.local.questions import ANSWERS

# Each imports within its functions what only one operation needs; or it is the entry.
CHOOSERS = {
    "genvx.agent.__main__",
    "genvx.agent.replied",
    "genvx.agent.serve",
    "genvx.local.host",
    "genvx.local.questions",
    "genvx.local.state.lockfile",
}
# What these import for the questions of the first part.
FOR_QUESTIONS = {
    "genvx.agent.__main__",
    "genvx.agent.serve",
    "genvx.core.policies.limit",
    "genvx.core.policies.policy",
    "genvx.core.wire.policycodec",
    "genvx.core.wire.questioncodec",
    "genvx.local.use",
}


def imported(node, *, within):
    """The names that a module imports. within: also within its functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, (ast.FunctionDef, ast.Lambda)) and not within:
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from imported(child, within=within)


def test_the_first_part_has_whatever_a_question_may_import():
    sources = json.loads(pack._sources(first=False))
    first = json.loads(pack._sources(first=True))
    found, waiting = set(), sorted(FOR_QUESTIONS)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            tree = ast.parse(sources[name][1])
            waiting += sources.keys() & set(imported(tree, within=name not in CHOOSERS))
    assert len(found) > 80
    assert found - first.keys() == set()
    # It is small because what no question imports is not in it.
    spare = first.keys() - found - {"genvx.partial"}
    assert sum(len(first[name][1]) for name in spare) < 40_000, sorted(spare)


def test_what_a_host_will_hardly_import_is_not_compiled_there_and_can_still_be_imported():
    # From Python 3.11 on, tomllib is there in place of tomli.
    modules = Modules(compiled({"genvx.some": (False, "one = 1"), "tomli": (True, "two = 2")}), "")
    kept = {}
    for name in ("genvx.some", "tomli"):
        module = module_from_spec(modules.find_spec(name))
        modules.exec_module(module)
        _, at, size, _ = modules.listed[name]
        code = zlib.decompress(modules.data[at : at + size])
        kept[name] = (type(marshal.loads(code)), vars(module))
    assert [(kind, names.get("one"), names.get("two")) for kind, names in kept.values()] == [
        (CodeType, 1, None),
        (str, None, 2),
    ]


def test_the_operations_of_the_first_part_are_questions_with_one_reply():
    assert parts.QUESTIONS.issubset(ANSWERS)


@pytest.mark.needs("openssh")
def test_what_the_first_part_lacks_is_asked_of_the_whole_agent(unseen, monkeypatch):
    """As if an operation had been added to the questions without what it needs."""
    commands = []
    made = caller.agent_command
    monkeypatch.setattr(
        caller,
        "agent_command",
        lambda *words, **more: commands.append(more["first"]) or made(*words, **more),
    )
    with connect_fleet(parse("gpu-server-1"), config=unseen.ssh_config) as fleet:
        (host,) = fleet.hosts
        assert len(host.snapshot().devices) == 1
        monkeypatch.setattr(caller, "enough_for", lambda operation: True)
        assert host.doctor()
    assert commands == [True, True, False]
    agents = {path.name.split(".")[0] for path in Path(unseen.directory, "cache/genvx").iterdir()}
    assert agents == {f"agent-{pack.digest(first=first)}" for first in (True, False)}
