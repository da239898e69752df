"""Sweeps that a host of their fleet runs, so that this machine may be closed meanwhile."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from genvx.cli.runs.project import SendingInterrupted, sending
from genvx.cli.sweeps import parcels
from genvx.cli.sweeps.terminal import trees_of, where_of
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.runstate import is_over
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.core.wire.runoperations import FindRuns
from genvx.errors import GenvxError, HostError, HostLost, InvalidInput
from genvx.fleet.detaching.run import Run
from genvx.fleet.detaching.runs import submit_to
from genvx.fleet.detaching.submission import spec_of
from genvx.shown.console import say
from genvx.ssh.config.sshconfig import Settler
from genvx.sweeps.away import MOST_RUNS, Away, away_of, replace_file, write_away
from genvx.sweeps.carried import CarriedHost, carried

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from genvx.cli.ask.where import Where
    from genvx.core.runs.runinfo import RunInfo
    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.shipping.shipment import Shipment
    from genvx.sweeps.store import SweepDirectory

# The journal of a large sweep; more is no journal.
_MOST_BYTES = 1 << 30
_STOP_SECONDS = 60.0
# Seconds for which it is shown how a sweep begins.
_MOMENT = 2.0
_LINES = 5
_PREFIX = "genvx: "


def start(where: Where, directory: SweepDirectory, trees: Sequence[Shipment], away: Away) -> int:
    """Have a host run a new sweep, and show how it begins; return the exit code.

    trees: what its trials need.

    Raises:
        InvalidInput: a host needs a password. UnknownHost: there is no such host. Otherwise as
        `genvx.fleet.detaching.runs.submit_to`; then there is no sweep, but after HostLost.
    """
    directory.lock()
    try:
        code = _hand_over(where, directory, trees, away, "resume")
    except HostLost:
        raise
    except (GenvxError, SendingInterrupted):
        directory.discard_unbegun()
        raise
    finally:
        directory.unlock()
    if code:
        directory.discard_unbegun()
    return code


def resume(where: Where, directory: SweepDirectory, away: Away) -> int:
    """Have the host of a sweep go on with it, if it does not run it any more; return the exit code.

    Raises:
        InvalidInput: it runs it. HostError: it does not answer. StateError: as `SweepDirectory`.
    """
    directory.lock()
    try:
        run = _refresh(where, directory, away)
        if directory.why_ended() in ("trials", "space"):
            raise InvalidInput(f"sweep {directory.id} has ended: there are no more trials")
        _require_journal(directory, away, run)
        if run is not None and not is_over(run.state):
            raise InvalidInput(
                f"sweep {directory.id} goes on in run {run.id} on {away.host}; "
                f"genvx sweep show {directory.id} shows it"
            )
        return _hand_over(where, directory, trees_of(directory.spec()), away, "resume")
    finally:
        directory.unlock()


def stop(where: Where, directory: SweepDirectory, away: Away) -> int:
    """Have the host of a sweep end it, and all its trials; return the exit code.

    Raises: as `resume`.
    """
    directory.lock()
    try:
        run = _refresh(where, directory, away)
        if directory.why_ended():
            print(f"Sweep {directory.id} has ended already")
            return 0
        _require_journal(directory, away, run)
        if run is None or is_over(run.state):
            return _hand_over(where, directory, [], away, "stop")
        with _at(where, directory, away.host) as host:
            _tell(Run(host, run), ["python3", parcels.START, "sweeps", "stop", directory.id])
        print(f"Stopping sweep {directory.id}")
        return 0
    finally:
        directory.unlock()


def refresh(where: Where, directory: SweepDirectory) -> str | None:
    """Get the journal of a sweep that a host runs, if one does; return how it is: running, left or
    ended. None: this machine runs it, or it has ended here, or its host does not say; then a line
    says so.
    """
    away = away_of(directory)
    if away is None or directory.why_ended():
        return None
    try:
        run = _refresh(where, directory, away)
    except HostError as error:
        say(f"genvx: {error}; this is what was known before")
        return None
    if directory.why_ended():
        return "ended"
    return "left" if run is None or is_over(run.state) else "running"


def _require_journal(directory: SweepDirectory, away: Away, run: RunInfo | None) -> None:
    """Raise InvalidInput if the journal is gone, so that nobody knows which trials there are."""
    if run is None and away.accepted:
        raise InvalidInput(
            f"run {away.runs[-1]} is not on {away.host} any more, and it had the journal of the "
            f"sweep. genvx remote runs stop --tag sweep={directory.id} ends its trials"
        )


def _hand_over(
    where: Where,
    directory: SweepDirectory,
    trees: Sequence[Shipment],
    away: Away,
    act: str,
) -> int:
    """Start a run that does this with a sweep on its host; show how it begins, and return 0 or why
    it has failed.
    """
    spec = directory.spec()
    hosts = _hosts_of(where, directory)
    with _as_typed():
        python, needs = parcels.python_for(spec, away.python, away.wheels)
    parcel: Any = parcels.parcel_of(directory, hosts, trees)
    asked = spec_of(
        ["python3", parcels.START, "sweeps", act, spec.id],
        Ask(Requirements(), f"sweep-{spec.id}"),
        notifiers=directory.notifiers() if act == "resume" else (),
        project=parcel.recorded,
        python=python,
        stays=True,
    )
    with _at(where, directory, away.host) as host:
        # Before the host hears of it: whoever is killed now finds the run that may be there.
        away = replace(away, runs=(*away.runs, asked.id)[-MOST_RUNS:])
        write_away(directory, away)
        tags = (f"sweep-of={spec.id}",)
        with (
            _as_typed(),
            _named_after_ctrl_c(spec.id, host.name),
            sending([parcel, *needs]) as ship,
        ):
            started = submit_to(host, asked, tags=tags, ship=ship)
        write_away(directory, replace(away, accepted=True))
        # Its environment may take minutes, and somebody may want to stop it meanwhile.
        directory.unlock()
        where.note(f"run {asked.id} on {host.name} runs sweep {spec.id}")
        run = Run(host, started)
        code = _begun(where, run, spec.id) if act == "resume" else _ended(where, run)
        if is_over(run.info.state):
            _fetch(directory, run)
        return code


@contextmanager
def _as_typed() -> Iterator[None]:
    """Have errors name the options for the Python of the host as they were typed: for its run they
    are --python and --wheels.
    """
    try:
        yield
    except InvalidInput as error:
        said = str(error)
        for word in ("python", "wheels"):
            said = said.replace(f"--{word}", f"--on-{word}")
        raise type(error)(said) from None


@contextmanager
def _named_after_ctrl_c(identifier: str, host: str) -> Iterator[None]:
    """Name the sweep that may be there, if somebody presses Ctrl-C while its host is asked."""
    try:
        yield
    except SendingInterrupted:
        say("genvx: interrupted; the host was not asked, and what has been sent is not sent again")
        raise
    except KeyboardInterrupt:
        say(
            f"genvx: {host} may run sweep {identifier}; genvx sweep show {identifier} tells, and "
            f"genvx sweep stop {identifier} ends it"
        )
        raise


def _hosts_of(where: Where, directory: SweepDirectory) -> list[CarriedHost]:
    there, selection, shares = where_of(directory.spec().hosts, where)
    settler = Settler(os.environ.get("GENVX_SSH_CONFIG") or None)
    with there.remote_fleet(selection) as fleet:
        return [
            carried(host.spec, settler.settings(host.spec), shares.get(host.name, 0))
            for host in fleet.hosts
        ]


@contextmanager
def _at(where: Where, directory: SweepDirectory, name: str) -> Iterator[Any]:
    """Give the host with this name, which has answered.

    Raises:
        UnknownHost: there is none. HostError: it does not answer.
    """
    there, _, _ = where_of(directory.spec().hosts, where)
    with there.remote_fleet() as everyone:
        spec: HostSpec = everyone.host(name).spec
    one = replace(there, specs=(spec,), hosts=None, hostfile=None, named=None)
    with one.remote_fleet() as fleet:
        # A password is asked for here, once.
        for error in one.look(fleet).failed.values():
            raise HostError(f"{name}: {error}") from error
        yield fleet.hosts[0]


def _refresh(where: Where, directory: SweepDirectory, away: Away) -> RunInfo | None:
    """Get the journal from the host; return the run that has it, None if there is none."""
    with _at(where, directory, away.host) as host:
        for identifier in reversed(away.runs):
            found: tuple[RunInfo, ...] = host.answer(FindRuns(identifier))
            run = next((each for each in found if each.id == identifier), None)
            if run is not None:
                _fetch(directory, Run(host, run))
                return run
    return None


def _fetch(directory: SweepDirectory, run: Run) -> None:
    """Copy the journal of a sweep from its run, if that has more than is known here."""
    name = f"{parcels.DATA}/genvx/sweeps/{directory.id}/journal"
    with tempfile.TemporaryDirectory(prefix="genvx-") as place:
        run.pull(place, only=name, everything=True, bare=True)
        path = os.path.join(place, name)
        if not os.path.isfile(path) or os.path.islink(path):
            return
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES)
    ours = os.path.join(directory.path, "journal")
    # A journal only grows: one that is shorter is from before.
    if not os.path.exists(ours) or len(data) > os.path.getsize(ours):
        replace_file(ours, data)


def _tell(run: Run, words: list[str]) -> None:
    """Run a command inside of a run, to its end.

    Raises:
        HostError: it has failed.
    """
    inside = run.enter(words, None)
    running = inside.start(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = running.stderr
    assert errors is not None, "a pipe"
    said = errors.read().decode("utf-8", "replace").strip()
    if running.wait(_STOP_SECONDS):
        last = printable(said.splitlines()[-1] if said else "no message", 300)
        raise HostError(f"{run.host.name} cannot stop the sweep: {last}")


def _begun(where: Where, run: Run, identifier: str) -> int:
    """Show how a sweep begins on its host; return 0, or the exit code if it has failed at once."""
    host = run.host.name
    told = _Told(where, host)
    # A moment more, because what no host can run is refused then.
    over = threading.Event()
    moment = threading.Timer(_MOMENT, over.set)
    moment.daemon = True
    begun = False
    try:
        for line in run.follow(stop=over):
            if not begun and told.line(line).startswith(f"sweep {identifier}"):
                begun = True
                moment.start()
            elif begun:
                told.line(line)
    except KeyboardInterrupt:
        begun = True
    finally:
        moment.cancel()
    code = run.returncode
    if code:
        told.rest()
        return code
    print(identifier, flush=True)
    if code is None:
        where.note("it goes on without this machine")
        where.note(f"to see it: genvx sweep show {identifier}")
        where.note(f"to end it: genvx sweep stop {identifier}")
    return 0


def _ended(where: Where, run: Run) -> int:
    """Show how a run ends a sweep; return its exit code."""
    told = _Told(where, run.host.name)
    for line in run.follow():
        told.line(line)
    code = run.returncode
    if code:
        told.rest()
    return code or 0


class _Told:
    """What the run on a host says, as people see it: the lines of genvx, and where it fails without
    one, the last of its log.
    """

    def __init__(self, where: Where, host: str) -> None:
        self._where = where
        self._host = host
        self._said = False
        self._last: deque[str] = deque(maxlen=_LINES)

    def line(self, line: bytes) -> str:
        """Show a line, if genvx has said it; return what it says."""
        text = printable(line.decode("utf-8", "replace").rstrip("\n"), 500)
        self._last.append(text)
        said = text.removeprefix(_PREFIX)
        if said != text:
            self._said = True
            self._where.note(f"{self._host}: {said}")
        return said

    def rest(self) -> None:
        """Show why the run has failed, as far as nothing of genvx has."""
        if not self._said:
            for line in self._last:
                self._where.note(f"{self._host}: {line}")
            self._where.note(
                f"to run a sweep {self._host} needs Python {parcels.LEAST} and the packages of "
                "genvx: --on-python names one that has them, --on-wheels a directory with them"
            )
