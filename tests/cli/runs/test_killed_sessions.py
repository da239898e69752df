"""Sessions inside of a run that end by SIGKILL, wherever it hits: nothing of them is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from genvx.sandbox import processes
from tests.conftest import run_genvx
from tests.helpers import Terminal, genvx_argv, genvx_env, snapshot_of, until

pytestmark = pytest.mark.needs("openssh", "bash")

# Five minutes for 200: GENVX_TEST_TRIES=200 scripts/test -k killed_anywhere
_TRIES = int(os.environ.get("GENVX_TEST_TRIES", "5"))
# Seconds in which the far ends notice, at the latest, and end what does not hear a hang-up.
_NOTICED = 60
_LOOPS = "echo u''p; while :; do sleep 0.05; done"


class Run:
    """A run on gpu-server-1, and the sessions inside of it."""

    def __init__(self, sandbox):
        self.sandbox, self.host = sandbox, sandbox.hosts[0]
        begun = run_genvx("remote", "run", "-d", "-g", "1", "--", "sleep", "100000")
        assert begun.returncode == 0, begun.stderr
        self.id = begun.stdout.strip()
        self.directory = Path(self.host.home, ".local/share/genvx/runs", self.id)
        script = str(self.directory / "enter")
        plain = ["ssh", "-F", sandbox.ssh_config, "gpu-server-1", script]
        inside = genvx_argv("remote", "ssh", self.id)
        command = ["sh", "-c", _LOOPS]
        quoted = ["sh", "-c", f'"{_LOOPS}"']
        # By what they are in, and whether they have a terminal.
        self.kinds = {
            "openssh": (inside, {}),
            "builtin": (inside, {"GENVX_TERMINAL": "builtin"}),
            "command in a terminal": ([*inside, "--", *command], {}),
            "script": ([*plain[:1], "-tt", *plain[1:]], {}),
            "streams": ([*inside, "--", *command], None),
            "script without a terminal": ([*plain, *quoted], None),
        }

    def start(self, kind):
        """Start a session; return the pid of its client, and what ends and awaits it."""
        argv, variables = self.kinds[kind]
        if variables is None:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=genvx_env(),
            )
            return process.pid, process.communicate
        terminal = Terminal(argv, genvx_env(**variables))
        return terminal.child.pid, terminal.end

    def on_host(self):
        """The processes below its sshd: those of sessions. The supervisor and its are not."""
        tree = processes.table()
        found = {self.sandbox.servers[0].pid}
        while more := {pid for pid, row in tree.items() if row[0] in found} - found:
            found |= more
        return found - {self.sandbox.servers[0].pid}

    def members(self):
        """The processes with the variables of the run."""
        mark, found = f"GENVX_RUN_ID={self.id}".encode(), set()
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and mark in Path("/proc", entry, "environ").read_bytes():
                    found.add(int(entry))
            except OSError:
                continue
        return found

    def files(self):
        """All files of the state and of the run. What says that a shell has joined is forgotten
        after two minutes, if nobody is left who reads it.
        """
        run_genvx("remote", "--only-host", "gpu-server-1", "envs")  # deletes dead leases
        found = [*Path(self.host.state).rglob("*"), *self.directory.rglob("*")]
        return {str(path) for path in found if path.suffix != ".answer"}

    def leases(self):
        return [lease.id for lease in snapshot_of(self.host).leases]


@pytest.mark.timeout(60 * max(_TRIES, 5))
def test_nothing_is_left_of_a_session_that_is_killed_anywhere(sandbox):
    chance = random.Random(_TRIES)
    run = Run(sandbox)
    for kind in ("openssh", "script"):  # the first shells leave start-up files for all others
        pid, ended = run.start(kind)
        until(lambda: len(run.members()) > 1, f"somebody is inside by {kind}")
        os.kill(pid, signal.SIGKILL)
        ended()
    until(lambda: len(run.members()) == len(run.leases()) == 1, "they are gone")
    before, members, leases = run.files(), run.members(), run.leases()
    kinds = list(run.kinds)
    for number in range(_TRIES):
        kind = kinds[number % len(kinds)]
        client, ended = run.start(kind)
        threading.Event().wait(chance.uniform(0.0, 2.0))
        ssh = [pid for pid, row in processes.table().items() if row[0] == client]
        victims = {"client": [client], "ssh": ssh, "host": sorted(run.on_host())}
        name = chance.choice([name for name, found in victims.items() if found])
        victim = chance.choice(victims[name])
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended by itself just now
        if name == "host":
            # A process that has died on the host need not end the session, such as one of two
            # connections; so its client goes, too.
            threading.Event().wait(chance.uniform(0.0, 0.5))
            try:
                os.kill(client, signal.SIGTERM)
            except ProcessLookupError:
                pass
        elif name == "ssh":
            os.kill(client, signal.SIGHUP)
        ended()
        what = f"nothing is left of {kind} after the end of {name} ({number})"
        until(lambda: run.members() == members and not run.on_host(), what, patience=_NOTICED)
        until(lambda: run.leases() == leases, what, patience=_NOTICED)
    assert run.files() == before
    run_genvx("remote", "runs", "stop", "--force", run.id)
