"""Keepers of a test, and their processes."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from genvx.keeping import asking, starting
from genvx.sandbox import record
from tests.conftest import run_genvx
from tests.helpers import alive, children_of, processes_with, until


def pids() -> list[int]:
    """The keepers of this test."""
    with contextlib.suppress(OSError):
        return [said["pid"] for said in asking.tell(os.environ, "status") if said is not None]
    return []


def start() -> int:
    # A second one would take over in the moment in which the first is killed.
    if not pids():
        starting.start(os.environ)
    (pid,) = until(pids, "a keeper")
    return pid


def kept() -> list[str]:
    """The hosts to which there is a connection."""
    return [name for said in asking.tell(os.environ, "status") for name in said["hosts"]]


def agents(sandbox: record.Sandbox) -> list[int]:
    """The agents that stay on hosts."""
    return processes_with(f"{sandbox.directory}/bin/python3")


def sessions(sandbox: record.Sandbox) -> list[int]:
    """The processes of sshd that serve connections to hosts."""
    return [pid for pid in children_of(*(each.pid for each in sandbox.servers)) if alive(pid)]


def loaded_by(names: Sequence[str], *words: str) -> list[str]:
    """Run genvx; return which of these modules it has loaded. Its exit code must be 0, and it must
    say nothing on stderr.
    """
    program = (
        "import sys; from genvx.cli.main import run; code = run(sys.argv[1:]); "
        f"print(*(n for n in {tuple(names)!r} if n in sys.modules), file=sys.stderr); "
        "sys.exit(code)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer
    *said, found = answer.stderr.splitlines()
    assert not said, answer
    return found.split()


def cold(*words: str, **options: Any) -> tuple[int, str, str]:
    """Run genvx without a keeper; return its exit code and what it says."""
    return told(run_genvx(*words, env={"GENVX_KEEP": "0"}, **options))


def told(answer: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    """The exit code of a command, and what it has said."""
    return answer.returncode, answer.stdout, answer.stderr
