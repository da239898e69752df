"""The code of shells: put together without a rest, the same in the agent, and in one order."""

from __future__ import annotations

import json
import re
import subprocess
import zlib
from pathlib import Path

import pytest

from genvx.core.leases.claim import Owner
from genvx.core.leases.grant import VARIABLES, Grant
from genvx.fleet.delivery import pack
from genvx.shell import answer, assemble, startup, texts
from genvx.shell.init import SHELLS, init, tcsh_code

CODE = Path(texts.__file__).parent / "code"
NAMES = sorted(str(path.relative_to(CODE)) for path in CODE.rglob("*") if path.is_file())
GRANT = Grant("5b7c80ad1cb3", "a  name", Owner(0, "root"), (), None)


def generated():
    """Everything that any shell reads."""
    found = {f"shell-init {shell}": init(shell, "/x") for shell in SHELLS}
    found["genvx.tcsh"] = tcsh_code("/x")
    for shell in SHELLS:
        found.update(startup.files(f"/bin/{shell}", "/x"))
    return found


@pytest.mark.parametrize("name", generated())
def test_nothing_is_left_to_be_replaced(name):
    assert re.findall(r"@[A-Z]+@|^#(?:include|each|end)\b.*", generated()[name], re.MULTILINE) == []


def test_every_file_is_read_by_a_shell(monkeypatch):
    read, seen = texts.read, set()
    monkeypatch.setattr(assemble.texts, "read", lambda name: seen.add(name) or read(name))
    generated()
    assert sorted(seen) == NAMES


def test_the_agent_has_the_same_code():
    modules = json.loads(zlib.decompress(pack.pack().bundle))
    names: dict = {}
    exec(modules["genvx.shell.texts"][1], names)
    assert {name: names["read"](name) for name in NAMES} == {n: texts.read(n) for n in NAMES}


@pytest.mark.parametrize(
    "shell", [pytest.param(each, marks=pytest.mark.needs(each)) for each in ("bash", "zsh", "dash")]
)
def test_a_shell_assigns_each_value_to_its_variable(shell):
    """Also those that are empty at the end, in a shell that stops at the first mistake."""
    code = {"dash": "sh/shared.sh"}.get(shell, f"{shell}/shared.{shell}")
    script = assemble.assemble(code) + '__genvx_assign "$0"\nenv; echo "$__genvx_lease"'
    lines = answer.answer("/a file", "", GRANT)
    seen = subprocess.run(
        [shell, "-eu", "-c", script, "\n".join(lines)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert seen[-1] == "/a file"
    assert {f"{name}={GRANT.variables[name]}" for name in VARIABLES} <= set(seen)
