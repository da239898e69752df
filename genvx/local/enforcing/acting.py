"""Does what was decided: lines on terminals, signals, releases, and the administrator's hook."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from genvx.core.enforcing.action import Action, Kind
from genvx.core.text import printable
from genvx.local import processes, signals
from genvx.local.running.apart import apart
from genvx.local.running.terminals import write_line
from genvx.local.state.removal import unpublish

if TYPE_CHECKING:
    from typing import Callable

    from genvx.core.policies.enforcement import Enforcement
    from genvx.local.machine import Machine

# Seconds that a hook may take, and how many may be running.
_HOOK = 30.0
_MOST_HOOKS = 32
_TERM = (signal.SIGTERM, signal.SIGHUP, signal.SIGCONT)  # a stopped process gets none before CONT


def act(action: Action, machine: Machine) -> str:
    """Do it; return what became of it, in a word or two.

    Raises:
        StateError: the state directory cannot be read or written.
    """
    if action.kind is Kind.RELEASE:
        return _release(action, machine)
    if action.kind is Kind.TELL:
        return _tell(action)
    numbers = (signal.SIGKILL,) if action.kind is Kind.KILL else _TERM
    _tell(action)
    met = []

    def is_meant() -> bool:
        met.append(_is_there(action))
        return met[-1]

    for number in numbers:
        signals.send(action.pid, number, is_meant)
    return "sent" if any(met) else "gone"


def _is_there(action: Action) -> bool:
    """Whether the pid still belongs to the process that was judged."""
    now = processes.describe(action.pid)
    return now is not None and (now.uid, now.starttime) == (action.uid, action.starttime)


def _release(action: Action, machine: Machine) -> str:
    # By the owner's uid as well: another user may have given an environment the same id.
    key = (action.uid, action.environment)
    leases = [lease for lease in machine.store.scan().leases if lease.key == key]
    if not leases:
        return "gone"
    _tell(action)
    unpublish(machine.state, leases)
    return "released"


def _tell(action: Action) -> str:
    """Show the line on the terminal of the process; or on all of its user's, if it has none."""
    there = processes.describe(action.pid) if action.pid and _is_there(action) else None
    terminals = {there.terminal} if there is not None and there.terminal else set()
    if not terminals:
        every = (processes.describe(pid) for pid in processes.pids())
        terminals = {p.terminal for p in every if p and p.uid == action.uid and p.terminal}
    for terminal in terminals:
        write_line(terminal, action.uid, action.line)
    return f"told on {len(terminals)} terminal{'' if len(terminals) == 1 else 's'}"


class Hooks:
    """Runs the hook of the policy for each action, and waits for none of them.

    tell: called with a line about one that failed. apart: each has a process of its own that ends
    it, because we end soon; then nobody hears of its failure.
    """

    def __init__(self, tell: Callable[[str], object], *, apart: bool = False) -> None:
        self._tell = tell
        self._apart = apart
        self._running: list[tuple[subprocess.Popen[bytes], float]] = []

    def start(self, action: Action, rules: Enforcement) -> None:
        """Run the hook for an action, if there is one."""
        self.reap()
        if not rules.hook:
            return
        if self._apart:
            try:
                apart(lambda: Hooks(lambda line: None).run(action, rules))
            except OSError as error:
                self._tell(f"cannot run {printable(rules.hook[0], 200)}: {error.strerror}")
            return
        if len(self._running) >= _MOST_HOOKS:
            self._tell(f"{_MOST_HOOKS} hooks are running; none is run for this one")
            return
        try:
            process = subprocess.Popen(
                rules.hook,
                env=facts(action),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self._tell(f"cannot run {printable(rules.hook[0], 200)}: {error.strerror}")
            return
        self._running.append((process, time.monotonic() + _HOOK))

    def run(self, action: Action, rules: Enforcement) -> None:
        """Run the hook for an action, and wait until it has ended, or has been ended."""
        self.start(action, rules)
        self.finish()

    def reap(self) -> None:
        """Note which hooks have ended, and end those that take too long."""
        left = []
        for process, end in self._running:
            if process.poll() is None:
                if time.monotonic() >= end:
                    os.killpg(process.pid, signal.SIGKILL)
                    self._tell("a hook has taken too long, and was ended")
                left.append((process, end))
            elif process.returncode:
                self._tell(f"a hook has failed with exit code {process.returncode}")
        self._running = left

    def finish(self) -> None:
        """Wait until all hooks have ended, or have been ended."""
        while self._running:
            self.reap()
            time.sleep(0.05 if self._running else 0)


def facts(action: Action) -> dict[str, str]:
    """Return the variables of a hook. Nothing in them is to be evaluated: users choose names and
    commands.
    """
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "GENVX_ACTION": action.kind.value,
        "GENVX_RULE": action.rule.value,
        "GENVX_OWNER": printable(action.user, 64),
        "GENVX_UID": str(action.uid),
        "GENVX_PID": str(action.pid or ""),
        "GENVX_COMMAND": printable(action.command, 256),
        "GENVX_ENVIRONMENT": action.environment,
        "GENVX_NAME": printable(action.name, 128),
        "GENVX_GPUS": ",".join(action.devices),
        "GENVX_WHY": f"{action.subject} {action.why}",
        "GENVX_LEFT": "" if action.left is None else str(round(action.left)),
    }
