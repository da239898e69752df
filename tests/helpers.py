"""Waiting for facts, not for time; and terminals."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pexpect

from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import name_of
from genvx.core.snapshot import Snapshot
from genvx.core.wire.runoperations import ListRuns
from genvx.local import processes
from genvx.local.host import LocalHost
from genvx.sandbox import record
from genvx.sandbox.ending import of_sandbox
from genvx.sandbox.host import SandboxHost

ROOT = Path(__file__).parent.parent

# What only a fault needs, also on a machine with ten times as much to do as it can.
PATIENCE = 45.0


def until(condition: Callable[[], object], what: str = "", *, patience: float = PATIENCE) -> object:
    """Poll until a condition holds and return its value; fail after a time that only a
    fault needs.
    """
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"never happened: {what or condition}"
        select.select([], [], [], 0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def parent_of(pid: int) -> int:
    """The parent of a process; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def children_of(*parents: int) -> list[int]:
    """The children of these processes."""
    return [pid for pid in processes.pids() if parent_of(pid) in parents]


def processes_with(words: str) -> list[int]:
    """The processes with these words in their command line; a NUL is between two arguments."""
    return [pid for pid in processes.pids() if words.encode() in command_line(pid)]


def command_line(pid: int) -> bytes:
    """The command line of a process, a NUL behind each argument; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def as_a_user(monkeypatch) -> None:
    """Have this process's user be called raz: root has no limits."""
    found = pwd.getpwuid(os.getuid())
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: pwd.struct_passwd(["raz", *found[1:]]))


def child_of(pid: int) -> int:
    """The child of a process, once it has one: from then on `genvx run` passes signals on."""

    return int(str(until(lambda: next(iter(children_of(pid)), 0), "a child")))


def genvx_argv(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "genvx", *arguments]


def genvx_env(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **more}


_CROWDED = """\
import os, resource, sys
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(2048, most), most))
for _ in range(1100):
    os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def crowded(argv: Sequence[str]) -> list[str]:
    """A command that finds 1,100 descriptors open: its own are above those that select() takes."""
    return [sys.executable, "-c", _CROWDED, *argv]


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Kill a process of `start_genvx` and its command, and collect what they said."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return process.communicate(timeout=PATIENCE)


def start_genvx(*arguments: str, **options) -> subprocess.Popen[str]:
    """Start the command line in a process group of its own."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("start_new_session", True)
    return subprocess.Popen(
        genvx_argv(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=genvx_env(**options.pop("env", {})),
        **options,
    )


def nest(directory: Path) -> None:
    """Make more directories in directories than Python's stack has room for."""
    script = "import os\nfor _ in range(1500): os.mkdir('d'); os.chdir('d')"
    subprocess.run([sys.executable, "-c", script], cwd=directory, check=True)


def start_up(home: Path, name: str, content: str) -> Path:
    """Write a shell's start-up file in a home of its own; return its path."""
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    # Without it the first fish in a home reads all manual pages, behind our back and for long.
    (home / ".local/share/fish/generated_completions").mkdir(parents=True, exist_ok=True)
    return path


class Terminal:
    """A program in a terminal, as a person has it."""

    def __init__(self, argv: Sequence[str], env: dict[str, str], size=(40, 160)) -> None:
        self.child = pexpect.spawn(
            argv[0],
            list(argv[1:]),
            env=env,
            dimensions=size,
            encoding="utf-8",
            timeout=PATIENCE,
            use_poll=True,  # select() takes no descriptor above 1,023
        )
        # People do not type in the instant in which a prompt appears, and line editors lose keys
        # then.
        self.child.delaybeforesend = 0.05

    def expect(self, text: str) -> str:
        """Wait until `text` is shown; return what was shown before it."""
        self.child.expect_exact(text)
        return str(self.child.before)

    def match(self, pattern: str) -> re.Match[str]:
        self.child.expect(pattern)
        assert isinstance(self.child.match, re.Match)
        return self.child.match

    def line(self, text: str) -> None:
        self.child.send(text + "\r")

    def key(self, text: str) -> None:
        self.child.send(text)

    def paste(self, text: str) -> None:
        """Send text as fast as a terminal does."""
        self.child.delaybeforesend = None
        self.child.send(text)
        self.child.delaybeforesend = 0.05

    def end(self) -> int:
        """Wait for the end; return the exit code."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        return int(self.child.exitstatus if self.child.exitstatus is not None else -1)


def job(directory: Path) -> tuple[str, Callable[[], int]]:
    """A line for a shell that leaves a job behind, as people do with nohup; and what waits for its
    pid.

    The job itself tells its pid, once it is in a session of its own and ignores SIGHUP: what its
    parent says after the fork may come before that.
    """
    script, told = directory / "job.sh", directory / "job.pid"
    script.write_text(f"echo $$ > {told}.new; mv {told}.new {told}; exec sleep 600\n")

    def pid() -> int:
        until(told.exists, "the job runs")
        return int(told.read_text())

    return f"setsid nohup sh {script} >/dev/null 2>&1 &", pid


def itself(host: SandboxHost) -> LocalHost:
    """A host of a sandbox as it sees itself: to ask it so starts no process, and takes no login."""
    return LocalHost(host.name, environ=host.variables(os.path.dirname(host.directory)))


def hosts_themselves() -> list[LocalHost]:
    """The hosts of the selected sandbox."""
    sandbox = record.find(os.path.dirname(os.environ["GENVX_HOSTFILE"]))
    assert sandbox is not None
    return [itself(host) for host in sandbox.hosts]


def on_hosts() -> list[Snapshot]:
    """What each host of the selected sandbox knows of itself, whatever is on its way; for
    conditions that are polled.
    """
    return [host.snapshot() for host in hosts_themselves()]


def snapshot_of(host: SandboxHost) -> Snapshot:
    """What one of them knows of itself."""
    return itself(host).snapshot()


def runs_on_hosts() -> list[tuple[str, RunInfo]]:
    """The runs that the hosts of the selected sandbox know of, each with the name of its host."""
    return [(host.name, run) for host in hosts_themselves() for run in host.answer(ListRuns())]


def states_on_hosts(run: str) -> list[str]:
    """The words for the states of a run's parts, by rank; of a run on one host there is one."""
    found = [each for _, each in runs_on_hosts() if each.id == run]
    return [name_of(each.state) for each in sorted(found, key=lambda each: each.rank)]


def log_on_hosts(run: str) -> str:
    """What a run on the hosts of the selected sandbox has written until now."""
    place = Path(os.environ["GENVX_HOSTFILE"]).parent
    logs = place.glob(f"*/home/.local/share/genvx/runs/{run}/log")
    return "".join(log.read_text() for log in logs)


def end_all_of(directory: str | Path) -> None:
    """Kill what lives for a state directory below this one, with all that it has started: runs that
    a test leaves behind, also deaf ones.
    """

    def left() -> bool:
        found = of_sandbox((), str(directory))
        for process in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        return bool(found)

    until(lambda: not left(), f"processes of {directory} end")


def held_on_hosts() -> list[str]:
    """The names of the environments on the hosts of the selected sandbox."""
    return [env.name for snapshot in on_hosts() for env in snapshot.environments]


def waylay(sandbox, host, lines):
    """Have a host of a sandbox run these lines of sh first when somebody starts its Python.

    For an agent its arguments are -I -S -c STUB LOADER DIGEST TOKEN, and a call where stdin is a
    terminal.
    """
    python = Path(sandbox.directory) / "bin" / "python3"
    real = os.path.realpath(python)
    python.unlink()
    python.write_text(
        f'#!/bin/sh\ncase "$GENVX_STATE_DIR" in */{host}/*)\n{lines}\n;; esac\nexec {real} "$@"\n'
    )
    python.chmod(0o700)
