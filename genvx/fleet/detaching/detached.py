"""Runs as a program has them: started, listed and found, on one host or on those of a fleet."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Any

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import requirements_of
from genvx.core.runs.debugport import DebugPort
from genvx.core.runs.run import LEAST_LOG, HoldWhen, require_tags
from genvx.core.runs.runselect import Filter, find
from genvx.core.runs.service import TAG, Service
from genvx.core.text import printable, require_name
from genvx.core.wire.runoperations import MOST_RUNS, ListRuns
from genvx.errors import InvalidInput
from genvx.fleet import userconfig
from genvx.fleet.containers import container_of, require_no_python
from genvx.fleet.detaching import runs
from genvx.fleet.detaching.foundruns import FoundRuns
from genvx.fleet.detaching.run import Run
from genvx.fleet.detaching.submission import spec_of
from genvx.fleet.shipping.reading import place_in, python_of, read, shipping

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from genvx.core.command import Command
    from genvx.core.runs.run import RunSpec
    from genvx.fleet.ask import HostGroup
    from genvx.fleet.detaching.runs import RunHost


class Request:
    """Request is what a program says of a new run, checked.

    spec: the run. patience: seconds to wait in line; None does not wait. tags: its first ones.
    ship: sends its project to a host, if it has one. here: whether the run is one of this machine,
    so that mounts are counted from this directory.

    Raises:
        InvalidInput: an argument makes no sense, or the project cannot be sent. ProjectChanged: a
        file of it was changed while it was read.
    """

    def __init__(
        self,
        command: Command,
        gpus: int | str = 0,
        *,
        memory: int | None = None,
        name: str = "",
        wait: float | None = None,
        time: float | None = None,
        visible_as: str | None = None,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        tags: Sequence[str] = (),
        hold: float | None = None,
        hold_when: str = "always",
        retries: int = 0,
        notify: str | Sequence[str] = (),
        tty: bool = False,
        log_limit: int | None = None,
        debug_port: DebugPort | None = None,
        service: Service | None = None,
        project: str | os.PathLike[str] | None = None,
        follow_links: bool = False,
        yes: bool = False,
        python: str | None = None,
        extras: Sequence[str] = (),
        wheels: str | os.PathLike[str] | None = None,
        setup: str = "",
        image: str | None = None,
        runtime: str | None = None,
        mounts: str | Sequence[str] = (),
        here: bool = False,
    ) -> None:
        ask = Ask(
            requirements_of(gpus, memory, visible_as),
            require_name(name),
            lasts=_seconds("time", time),
            patience=wait,
        )
        keep = _seconds("hold", hold)
        container = container_of(image, runtime, mounts, remote=not here)
        if container is not None:
            require_no_python(python, wheels, _words(extras))
        code = None
        if project is not None:
            code = read(
                os.fspath(project), follow_links=follow_links, confirm=_pass if yes else _refuse
            )
        its, trees = python_of(
            code,
            python if container is None else "none",
            wheels=None if wheels is None else os.fspath(wheels),
            extras=_words(extras),
        )
        self.ship = shipping(trees if code is None else [code, *trees])
        self.patience = ask.patience
        served = (TAG,) if service is not None else ()
        self.tags = require_tags(tuple(dict.fromkeys([*served, *_words(tags)])))
        self.spec: RunSpec = spec_of(
            command,
            ask,
            cwd=_from_home(cwd or "") if code is None else place_in(code.manifest, cwd or ""),
            project=None if code is None else code.recorded,
            python=its,
            setup=setup,
            container=container,
            variables=env,
            hold=None if keep is None else max(1, round(keep)),
            hold_when=_hold_when(hold_when),
            retries=retries,
            notifiers=userconfig.load(os.environ).chosen(_words(notify)) if notify else (),
            tty=bool(tty),
            log_limit=_log_limit(log_limit),
            debug_port=_debug_port(debug_port),
            service=_service(service),
        )


def _pass(large: str) -> None:
    """A large project is sent."""


def _refuse(large: str) -> None:
    raise InvalidInput(f"{large}; .genvxignore can leave files out, yes=True sends all")


def start(fleet: HostGroup[RunHost], asked: Request) -> Run:
    """Start a run on the best host of a fleet; see genvx.fleet.detaching.runs.submit."""
    seen = fleet.snapshot()
    how: dict[str, Any] = {"patience": asked.patience, "tags": asked.tags, "ship": asked.ship}
    return Run(*runs.submit(fleet, asked.spec, seen, **how), fleet=fleet)


def start_gang(fleet: HostGroup[RunHost], asked: Request, nodes: int, *, mixed: bool) -> Run:
    """Start a run on several hosts at once; see genvx.fleet.detaching.rungang.submit_gang."""
    if not (type(nodes) is int and nodes >= 1):
        raise InvalidInput(f"nodes is a number of hosts, not {nodes!r}")
    if asked.spec.retries:
        raise InvalidInput("retries does not go with nodes: the other nodes would be ended")
    if asked.spec.service is not None:
        raise InvalidInput("service does not go with nodes: each node would choose its own port")
    if not all(hasattr(host, "free_port") for host in fleet.hosts):
        raise InvalidInput("a run on several hosts needs hosts over SSH")
    # Imported here: its threads cost what a run on one host does not need.
    from genvx.fleet.detaching.rungang import submit_gang

    notes: list[str] = []
    hosts: Any = fleet
    parts = submit_gang(
        hosts,
        asked.spec,
        nodes,
        patience=asked.patience,
        tags=asked.tags,
        mixed=mixed,
        say=notes.append,
        ship=asked.ship,
    )
    first, *others = parts
    return Run(*first, *others, note="\n".join(notes), fleet=fleet)


def start_on(host: RunHost, asked: Request) -> Run:
    """Start a run on one host."""
    how: dict[str, Any] = {"patience": asked.patience, "tags": asked.tags, "ship": asked.ship}
    return Run(host, runs.submit_to(host, asked.spec, **how))


def listing(
    state: str | Sequence[str] = (),
    tags: str | Sequence[str] = (),
    name: str | None = None,
    since: float | None = None,
    most: int = MOST_RUNS,
    *,
    deleted: bool = False,
    pulled: bool = False,
) -> ListRuns:
    """Make the question for runs that match all that is given.

    Raises:
        InvalidInput: an argument makes no sense.
    """
    if not (isinstance(most, int) and 1 <= most <= MOST_RUNS):
        raise InvalidInput(f"most is a number from 1 to {MOST_RUNS}, not {most!r}")
    ago = _seconds("since", since)
    # By the wall clock, as people mean it.
    first = None if ago is None else max(0, time.time_ns() - round(ago * 1e9))
    narrowed = Filter(
        _words(state),
        require_tags(_words(tags)),
        None if name is None else require_name(name),
        first,
    )
    return ListRuns(narrowed, most, deleted, pulled)


def listed(fleet: HostGroup[RunHost], asked: ListRuns) -> FoundRuns[Run]:
    """List the runs of a fleet.

    Raises:
        FleetError: no host answered.
    """
    outcomes = fleet.ask(lambda host: host.answer(asked))
    if not outcomes.succeeded:
        raise fleet.nowhere({}, outcomes.failed)
    groups = runs.grouped(outcomes, asked, lambda every: fleet.ask(lambda h: h.answer(every)))
    found = [
        Run(*first, *others, fleet=fleet)
        for first, *others in (
            [(fleet.host(name), run) for name, run in parts] for parts in groups[: asked.most]
        )
    ]
    return FoundRuns(found, outcomes.failed)


def listed_on(host: RunHost, asked: ListRuns) -> list[Run]:
    """List the runs of one host."""
    return [Run(host, info) for info in host.answer(asked)]


def found(fleet: HostGroup[RunHost], wanted: str | int) -> Run:
    """Find the run that is meant; see genvx.fleet.detaching.runs.locate."""
    text = str(wanted)
    parts = runs.locate_parts(fleet, fleet.ask(runs.question(text)), text)
    first, run = parts[0]
    if run.spec.part is not None and len(parts) < len(run.spec.part.nodes):
        # Some parts may not have what was typed, such as a number; the id they all have.
        parts = runs.locate_parts(fleet, fleet.ask(runs.question(run.id)), run.id)
        first, run = parts[0]
    return Run(first, run, *parts[1:], fleet=fleet)


def found_on(host: RunHost, wanted: str | int) -> Run:
    """Find the run that is meant on one host."""
    text = str(wanted)
    return Run(host, find(runs.question(text)(host), text))


def _words(given: str | Sequence[str]) -> tuple[str, ...]:
    """A word alone is one word, not its letters."""
    return (given,) if isinstance(given, str) else tuple(given)


def _seconds(what: str, given: float | None) -> float | None:
    if given is not None and not (type(given) in (int, float) and 0 <= given < math.inf):
        raise InvalidInput(f"{what} is a number of seconds, not {given!r}")
    return given


def _log_limit(given: int | None) -> int | None:
    if given is not None and not (type(given) is int and given >= LEAST_LOG):
        raise InvalidInput(f"log_limit is a number of bytes, {LEAST_LOG} at least, not {given!r}")
    return given


def _debug_port(given: DebugPort | None) -> DebugPort | None:
    if given is not None and not isinstance(given, DebugPort):
        raise InvalidInput(f"debug_port is a genvx.DebugPort, not {given!r}")
    return given


def _service(given: Service | None) -> Service | None:
    if given is not None and not isinstance(given, Service):
        raise InvalidInput(f"service is a genvx.Service, not {given!r}")
    return given


def _from_home(directory: str) -> str:
    """The directories of a host are counted from the home there."""
    return directory[2:] or "." if directory == "~" or directory.startswith("~/") else directory


def _hold_when(word: str) -> HoldWhen:
    try:
        return HoldWhen(word)
    except ValueError:
        words = " or ".join(repr(each.value) for each in HoldWhen)
        raise InvalidInput(f"hold_when is {words}, not {printable(str(word), 40)!r}") from None
