"""Running a sweep at a terminal: what is shown meanwhile, and what Ctrl-C asks."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from genvx.cli.ask.where import Where
from genvx.cli.runs.project import ProjectOptions, sending
from genvx.cli.runs.python import PythonOptions
from genvx.core.notifying.message import Message
from genvx.core.notifying.notifier import Event
from genvx.core.quantities.ages import format_duration
from genvx.errors import GenvxError, InvalidInput, StateError
from genvx.fleet.hosts.selection import Selection
from genvx.shown.console import INTERRUPTED, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from genvx.core.notifying.notifier import Notifier
    from genvx.fleet.shipping.shipment import Shipment
    from genvx.sweeps.coordinator import Coordinator
    from genvx.sweeps.spec import Hosts, SweepSpec
    from genvx.sweeps.store import SweepDirectory
    from genvx.sweeps.trial import Trial
    from genvx.sweeps.tuners.tuner import Tuner

_ENDS = {
    "trials": "all trials have ended",
    "space": "the search space is used up",
    "value": "a value is good enough",
    "time": "its time was over",
    "stopped": "it was stopped",
}


def where_of(hosts: Hosts, where: Where) -> tuple[Where, Selection, dict[str, int]]:
    """Return which hosts a stored sweep is on, which of them, and how many trials share a GPU on
    each, if its file says so. where: of this command, which says how hosts are asked.
    """
    shares: dict[str, int] = {}
    specs = None
    if hosts.carried is not None:
        from genvx.ssh.config.sshconfig import Settler
        from genvx.sweeps import carried

        settler = Settler(os.environ.get("GENVX_SSH_CONFIG") or None)
        specs, shares = carried.read(hosts.carried, settler.settings)
    if hosts.config is not None:
        from genvx.sweeps.nni.reading import load

        machines = load(hosts.config).machines
        if machines and not hosts.hosts and not hosts.hostfile and not hosts.named:
            # Read again each time: there may be passwords among them, which are stored nowhere.
            specs = tuple(each.spec for each in machines)
            shares = {each.spec.name: each.max_per_gpu for each in machines}
    made = Where(
        remote=hosts.remote,
        quiet=where.quiet,
        hostfile=hosts.hostfile,
        hosts=hosts.hosts,
        named=hosts.named,
        specs=specs,
        login=hosts.login,
        timeout=where.timeout,
        fanout=where.fanout,
        accept_new_host_keys=hosts.accept_new_host_keys,
        host_lost_after=where.host_lost_after,
    )
    return made, Selection(hosts.only, hosts.excluded, hosts.tags), shares


def trees_of(spec: SweepSpec) -> list[Shipment]:
    """Read again what the trials of a stored sweep need; what is another now is left out."""
    if spec.hosts.carried is not None:
        from genvx.cli.sweeps.parcels import trees_in

        return trees_in(os.path.dirname(os.path.abspath(spec.hosts.carried)))
    if spec.project is None or spec.directory is None:
        return []
    read = ProjectOptions(spec.directory, yes=True).read()
    if read is None or read.recorded.tree != spec.project.tree:
        say(
            f"genvx: {spec.directory} has changed since the sweep began; hosts that do not have "
            "the code as it was then get no trial"
        )
        return []
    if spec.needs is None:
        return [read]
    needs = spec.needs
    python, trees = PythonOptions(needs.python, wheels=needs.wheels, extras=needs.extras).read(read)
    if python != spec.python:
        say(
            "genvx: the packages for the Python of the trials have changed since the sweep began; "
            "hosts that do not have the former ones get no trial"
        )
        return [read]
    return [read, *trees]


def run_sweep(
    where: Where,
    directory: SweepDirectory,
    trees: Sequence[Shipment],
    *,
    stops: bool = False,
    json: bool = False,
    storage: str | None = None,
) -> int:
    """Run a sweep until it ends or is left; return the exit code.

    where: how hosts are asked. trees: what its trials need there. stops: end all its trials, and
    the sweep. json: print the sweep as JSON at the end, and no lines for people. storage: of
    Optuna, which gets a copy.
    """
    from genvx.cli.views.sweeps import Live, plainly
    from genvx.sweeps.coordinator import Coordinator
    from genvx.sweeps.reading import Metric
    from genvx.sweeps.tuners.names import tuner_of

    spec = directory.spec()
    begins = not directory.events()
    tuner: Tuner = tuner_of(
        spec.tuner,
        spec.space,
        spec.goal,
        spec.seed,
        spec.options,
        pruner=spec.pruner,
        pruner_options=spec.pruner_options,
    ).tuner
    mirror = None
    reader = Metric(spec.metric) if spec.metric else None
    there, selection, shares = where_of(spec.hosts, where)
    directory.lock()
    try:
        if storage is not None:
            from genvx.sweeps.mirroring import Mirrored
            from genvx.sweeps.tuners.mirror import Mirror

            name = spec.name or spec.id
            mirror = Mirror(
                storage, name, spec.space, spec.goal, lambda line: say(f"genvx: {line}")
            )
            tuner = Mirrored(tuner, mirror)
        with there.fleet(selection) as fleet, sending(trees) as ship:
            observer = Live(spec, quiet=json or where.quiet)
            hosts: Any = fleet  # every host of a verb has runs
            coordinator = Coordinator(
                directory, hosts, tuner, observer, reader=reader, per_gpu=shares, ship=ship
            )
            observer.show(coordinator)
            if stops:
                coordinator.stop()
            directory.write_pid()
            try:
                with (
                    observer,
                    _listening(coordinator, directory) as listen,
                    _ticking(coordinator, observer),
                ):
                    why = _to_its_end(coordinator, observer, listen)
            except StateError:
                if coordinator.out:
                    _leave(spec)
                raise
            finally:
                coordinator.close()
    except GenvxError:
        if begins:
            directory.discard_unbegun()
        raise
    finally:
        directory.unlock()
        if mirror is not None:
            mirror.close()
    if json:
        plainly(directory, verb="sweep")
    elif why in _ENDS:
        observer.conclude(_ENDS[why])
    if why in _ENDS:
        _tell(directory, spec, coordinator, why)
    if why == "left":
        _leave(spec)
        return INTERRUPTED
    if why == "stopped" and not stops and not directory.is_to_stop():
        return INTERRUPTED
    return 1 if why != "stopped" and _failed(coordinator) else 0


def _leave(spec: SweepSpec) -> None:
    say(f"genvx: the trials go on; genvx sweep resume {spec.id} goes on with the sweep")


def _failed(coordinator: Coordinator) -> bool:
    from genvx.sweeps.trial import Stage

    ledger = coordinator.ledger
    return bool(ledger.count(Stage.FAILED)) and not ledger.count(Stage.COMPLETED)


def _to_its_end(coordinator: Coordinator, observer: Any, listen: Callable[[], object]) -> str:
    """Run to the end, or until a person leaves it; return why it ended, or "left".

    listen: has Ctrl-C be heard by the sweep again.
    """
    while True:
        try:
            why = coordinator.run()
        except KeyboardInterrupt:
            return "left"
        if why != "interrupted":
            return why
        with observer.paused():
            answer = _ask(len(coordinator.out))
        listen()
        if answer == "leave":
            return "left"
        if answer == "stop":
            coordinator.stop()


def _ask(many: int) -> str:
    """Ask what becomes of the trials that are out; Ctrl-C once more leaves them."""
    if not many:
        return "stop"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "leave"
    trials = f"{many} trial{'s' * (many != 1)}"
    try:
        sys.stderr.write(f"genvx: stop the {trials} on the hosts, leave them, or go on? [s/l/g] ")
        sys.stderr.flush()
        word = sys.stdin.readline().strip().lower()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return "leave"
    return {"s": "stop", "stop": "stop", "g": "on", "go on": "on"}.get(word, "leave")


@contextmanager
def _listening(
    coordinator: Coordinator, directory: SweepDirectory
) -> Iterator[Callable[[], object]]:
    """Have Ctrl-C and `sweep stop` be heard by the sweep, between two of its decisions; give what
    has the next Ctrl-C be heard.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        coordinator.interrupt()
        # The second one, while a person is asked, must be heard at once.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def wake(number: int, frame: FrameType | None) -> None:
        if directory.is_to_stop():
            coordinator.stop()

    before = signal.signal(signal.SIGINT, interrupt)
    woken = signal.signal(signal.SIGUSR1, wake)
    try:
        yield lambda: signal.signal(signal.SIGINT, interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGUSR1, woken)


@contextmanager
def _ticking(coordinator: Coordinator, observer: Any) -> Iterator[None]:
    """Have what is shown be drawn again once a second, where it is drawn at all."""
    over = threading.Event()
    if observer.draws:

        def tick() -> None:
            while not over.wait(1.0):
                coordinator.tick()

        threading.Thread(target=tick, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def told(where: Where, typed: list[str] | None) -> tuple[Notifier, ...]:
    """Return who is told of the end of a sweep, by what was typed and by config.toml.

    Raises:
        InvalidInput, CommandNotFound: one of the notifiers cannot be, or cannot work here.
    """
    from genvx.cli.notifying import chosen
    from genvx.local.runs.notify.sending import require

    found = chosen(typed, where.note)
    for each in found:
        require(each, os.environ)
    return found


def _tell(directory: SweepDirectory, spec: SweepSpec, coordinator: Coordinator, why: str) -> None:
    """Tell people that a sweep has ended."""
    wanting = [each for each in directory.notifiers() if each.wants(Event.ENDED)]
    if not wanting:
        return
    from genvx.cli.notifying import Errands
    from genvx.cli.views.reports import shown_number

    best = coordinator.ledger.best
    value = None if best is None else best.value
    more = "" if value is None else f"; the best value is {shown_number(value)}"
    errands = Errands()
    errands.send(
        Message(
            Event.ENDED,
            "sweep",
            socket.gethostname(),
            spec.id,
            spec.name,
            getpass.getuser(),
            "stopped" if why == "stopped" else "failed" if _failed(coordinator) else "completed",
            seconds=max(0.0, (time.time_ns() - spec.began_epoch_ns) / 1e9),
            why=f"{_ENDS[why]}{more}",
            command=" ".join(spec.command),
        ),
        wanting,
    )
    errands.conclude()


def start_detached(where: Where, directory: SweepDirectory) -> int:
    """Have a run of this machine run the sweep; print the id of the sweep."""
    from genvx.core.requests.ask import Ask
    from genvx.core.requests.requirements import Requirements
    from genvx.fleet.detaching.submission import spec_of
    from genvx.local.host import LocalHost

    words = [sys.executable, "-m", "genvx", "sweeps", "resume", directory.id]
    asked = spec_of(words, Ask(Requirements(), f"sweep-{directory.id}"), cwd=os.getcwd())
    run = LocalHost().submit(asked, tags=(f"sweep-of={directory.id}",))
    print(directory.id, flush=True)
    where.note(f"sweep {directory.id} goes on in run {run.id} of this machine")
    where.note(f"to see it: genvx sweep show {directory.id}")
    where.note(f"to end it: genvx sweep stop {directory.id}")
    return 0


def require_one_goal(*, maximize: bool, minimize: bool) -> None:
    """Raise InvalidInput if a value should be both large and small."""
    if maximize and minimize:
        raise InvalidInput("give either --maximize or --minimize, not both")


def took(trial: Trial) -> str:
    """Return how long a trial took, for people."""
    return "" if trial.seconds is None else format_duration(round(trial.seconds, 1))
