"""One TensorBoard here over the event files of all trials of a sweep, which are copied here.

SWEEPS/<id>/tensorboard/pulled/<trial>/    as they were copied last
                        logs/<name>/       what TensorBoard reads: a directory for each trial
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from genvx.cli.sweeps.terminal import where_of
from genvx.cli.views.reports import parameters_line
from genvx.core.text import printable
from genvx.core.wire.runoperations import FindRuns
from genvx.core.wire.treeoperations import PullRun
from genvx.errors import GenvxError, HostError, InvalidInput, ProjectChanged, StateError, UnknownRun
from genvx.fleet.shipping.pulling import pull_into
from genvx.fleet.tunnels.forward import Forward
from genvx.fleet.tunnels.listening import Listening
from genvx.shown.console import INTERRUPTED, say
from genvx.sweeps.ledger import Ledger
from genvx.sweeps.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from genvx.cli.ask.where import Where
    from genvx.sweeps.store import SweepDirectory

# As TensorFlow, PyTorch and tensorboardX name them.
EVENTS = "*tfevents*"
# The port on which people expect TensorBoard.
_USUAL = 6006
_AGAIN = 5.0
_LOOK = 0.2
# Seconds. It loads TensorFlow before it listens, if that is there.
_STARTS_WITHIN = 120.0
_ENDS_WITHIN = 10.0
_LONGEST_NAME = 120
_ODD = re.compile(r"[^A-Za-z0-9._+=,@ -]")


def board(
    where: Where,
    directory: SweepDirectory,
    port: int | None,
    refresh: Callable[[], object] = lambda: None,
) -> int:
    """Show the event files of a sweep in a TensorBoard here, until Ctrl-C; return the exit code.

    port: to listen on; None takes the usual one, or the next that is free. refresh: gets the
    journal of a sweep that another machine runs.

    Raises:
        InvalidInput: TensorBoard is not installed here, the port is taken, or the sweep has ended
        and no trial has event files. GenvxError: TensorBoard ends by itself.
    """
    program = shutil.which("tensorboard")
    if program is None:
        raise InvalidInput("tensorboard is not installed here: pip install tensorboard")
    copies = Copies(where, directory)
    try:
        copies.bring()
        if copies.over and not copies.files:
            raise InvalidInput(
                f"no trial of sweep {directory.id} has event files ({EVENTS}) in its directory"
            )
        if not copies.files:
            where.note("no trial has event files yet; those that run are looked at again")
        with _running(program, copies.logs, port) as (process, last, got):
            _show(where, process, last, got)
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_AGAIN)
                    break
                if not copies.over:
                    refresh()
                    copies.bring()
            raise GenvxError(_ended(process, last))
    except KeyboardInterrupt:
        return INTERRUPTED


class Copies:
    """The event files of all trials of a sweep, as far as they are here.

    logs: what TensorBoard reads. files: how many there are. over: whether all that will ever be
    there is here.
    """

    def __init__(self, where: Where, directory: SweepDirectory) -> None:
        self._where = where
        self._directory = directory
        place = os.path.join(directory.path, "tensorboard")
        self._pulled = os.path.join(place, "pulled")
        self.logs = os.path.join(place, "logs")
        self.files = 0
        self.over = False
        self._done: set[str] = set()
        self._told: set[str] = set()
        with _writing(self.logs):
            os.makedirs(self.logs, 0o700, exist_ok=True)

    def bring(self) -> None:
        """Copy what is new, from all hosts at once; a line says which do not answer."""
        spec = self._directory.spec()
        ledger = Ledger.of(spec.goal, self._directory.events())
        wanted: dict[str, list[Trial]] = {}
        for _, trial in sorted(ledger.trials.items()):
            if trial.run and trial.run not in self._done:
                wanted.setdefault(trial.host, []).append(trial)
        if wanted:
            there, _, _ = where_of(spec.hosts, self._where)
            with there.fleet() as fleet:

                def bring(host: Any) -> None:
                    for trial in wanted.get(host.name, ()):
                        self._bring(host, trial)

                for name, error in fleet.ask(bring).failed.items():
                    if name not in self._told:
                        self._told.add(name)
                        say(f"genvx: {name}: {error}; its trials are not up to date")
        out = any(trial.run not in self._done for trial in ledger.trials.values() if trial.run)
        self.over = bool(ledger.ended) and not out
        self.files = sum(len(names) for _, _, names in os.walk(self.logs))

    def _bring(self, host: Any, trial: Trial) -> None:
        """Copy the event files of a trial that are new or have grown."""
        found = [each for each in host.answer(FindRuns(trial.run)) if each.id == trial.run]
        place = os.path.join(self._pulled, str(trial.number))
        try:
            if found:
                pull_into({host: found[0]}, PullRun("", only=(EVENTS,), bare=True), place)
        except UnknownRun:
            found = []  # it was deleted meanwhile
        except ProjectChanged:
            return  # one is written all the time; the next time
        if found:
            _grow(place, os.path.join(self.logs, name_of(trial)))
        if trial.is_over or not found:
            self._done.add(trial.run)


def name_of(trial: Trial) -> str:
    """Return how a trial is called in TensorBoard: its number and its parameters."""
    named = _ODD.sub("_", f"{trial.number} {parameters_line(trial.parameters)}")
    return named[:_LONGEST_NAME].rstrip(" .")


def _grow(source: str, target: str) -> None:
    """Append to the files of a directory what those of another one have more.

    TensorBoard has them open, and would not see files that take their place.
    """
    with _writing(target):
        for place, _, names in os.walk(source):
            for name in names:
                path = os.path.join(place, name)
                ours = os.path.join(target, os.path.relpath(path, source))
                if os.path.islink(path):
                    continue
                os.makedirs(os.path.dirname(ours), 0o700, exist_ok=True)
                with open(path, "rb") as file, open(ours, "ab") as grown:
                    file.seek(grown.tell())
                    shutil.copyfileobj(file, grown)


@contextmanager
def _writing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(f"cannot write {printable(what, 300)}: {error.strerror}") from None


@contextmanager
def _running(
    program: str, logs: str, port: int | None
) -> Iterator[tuple[subprocess.Popen[bytes], deque[str], int]]:
    """Run TensorBoard for the block; give its process, what it says last, and its port."""
    wanted = Forward(_USUAL if port is None else port, 1)
    # The port is let go of only now, so that it is most probably still free.
    with Listening((wanted,), strict=port is not None) as listening:
        got = listening.forwards[0].local
    words = [program, "--logdir", logs, "--host", "127.0.0.1", "--port", str(got)]
    last: deque[str] = deque(maxlen=1)
    process = subprocess.Popen(
        [*words, "--reload_interval", f"{_AGAIN:g}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # Ctrl-C is for us; we end it.
        start_new_session=True,
    )
    errors = process.stderr
    assert errors is not None, "a pipe"
    threading.Thread(target=_read, args=(errors, last), daemon=True).start()
    try:
        yield process, last, got
    finally:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _read(errors: IO[bytes], last: deque[str]) -> None:
    with errors:
        for line in errors:
            if text := printable(line.decode("utf-8", "replace").strip(), 300):
                last.append(text)


def _show(where: Where, process: subprocess.Popen[bytes], last: deque[str], port: int) -> None:
    """Say where TensorBoard is once it answers."""
    end = time.monotonic() + _STARTS_WITHIN
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            where.note(f"TensorBoard: http://localhost:{port}/ (Ctrl-C ends it)")
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK)
            raise GenvxError(_ended(process, last))
        if time.monotonic() > end:
            raise HostError(f"TensorBoard does not answer after {_STARTS_WITHIN:g} s")


def _ended(process: subprocess.Popen[bytes], last: deque[str]) -> str:
    said = f": {last[0]}" if last else ""
    return f"TensorBoard has ended with exit code {process.returncode}{said}"
