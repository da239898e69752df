"""F20: people who type before their remote shell is there, at hosts that refuse some of them; and
start-up files that run something else.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.terminals import Terminal
from genvx.sandbox import sandbox as rooms
from torture import ground
from torture.trial import Outcome, Trial

_TERMINALS = {"OpenSSH's client": "", "the built-in terminal": "builtin"}
_PATIENCE = 60.0
_CODE = 7
# As people write it where they may not change their login shell.
_SWALLOWS = "[ -t 1 ] && exec sh -c 'echo welcome; exit 0'\n"


def typed_ahead(trial: Trial) -> Outcome:
    """F20."""
    outcome = Outcome()
    at_once = trial.size(5, 10)
    # The first two look free to all who start at once, and each takes one of them.
    gpus = ["1", "1", str(2 * at_once), "64"]
    sandbox = rooms.up(str(trial.place / "sandbox"), gpus)
    *_, swallowing = sandbox.hosts
    start_up = Path(swallowing.home, ".bashrc")
    start_up.write_text(_SWALLOWS + start_up.read_text())
    try:
        for name, how in _TERMINALS.items():
            environ = ground.command_environ(
                {
                    "GENVX_HOSTFILE": sandbox.hostfile,
                    "GENVX_SSH_CONFIG": sandbox.ssh_config,
                    "GENVX_TERMINAL": how,
                    "TERM": "xterm",
                }
            )
            lost = 0
            shells = trial.size(5, 100)
            for batch in range(shells // at_once):
                lost += _batch(outcome, trial, name, environ, at_once, batch)
                if outcome.enough:
                    break
            outcome.seen.append(f"{name}: {lost} of {shells} lost")
            _swallowed(outcome, name, environ, swallowing.name)
    finally:
        rooms.down(sandbox.directory)
    return outcome


def _batch(
    outcome: Outcome, trial: Trial, name: str, environ: dict[str, str], at_once: int, batch: int
) -> int:
    """Shells that are started at once, and told to end before they can be there; how many are lost
    on it.
    """
    chance = trial.chance(name, batch)
    command = ground.genvx("remote", "-t", f"{_PATIENCE:g}", "activate", "--gpus", "1")
    command += ["--exclude-host", "gpu-server-4"]
    terminals = [Terminal(command, environ) for _ in range(at_once)]
    begin = time.monotonic()
    for typed in sorted(
        (chance.choice((0.0, chance.random(), 2 * chance.random())), n) for n in range(at_once)
    ):
        time.sleep(max(0.0, begin + typed[0] - time.monotonic()))
        terminals[typed[1]].type(f"exit {_CODE}\r".encode())
    # Of a mutant one is lost for certain, and waited for to the end.
    lost, end = 0, time.monotonic() + (_PATIENCE / 2 if Outcome.most == 1 else _PATIENCE)
    for terminal in terminals:
        code = terminal.ended(max(0.5, end - time.monotonic()))
        if code is None:
            terminal.close()
        if code != _CODE:
            lost += 1
            outcome.violated(f"{name}: typed ahead and lost, exit code {code}: {terminal.shown}")
    return lost


def _swallowed(outcome: Outcome, name: str, environ: dict[str, str], host: str) -> None:
    """A shell whose start-up file runs something else is an error, whatever that ends with."""
    command = ground.genvx("remote", "-H", host, "activate", "--gpus", "1")
    terminal = Terminal(command, environ)
    code = terminal.ended(_PATIENCE)
    if code is None:
        terminal.close()
    outcome.check(code == 4, f"{name}: a shell without GPUs, exit code {code}: {terminal.shown}")
    outcome.check(".bashrc" in terminal.shown, f"{name}: no file is named: {terminal.shown}")
