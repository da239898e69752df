"""genvx run --detach: a run that its host keeps, started here or on the best host."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from genvx.cli.runs.project import ProjectOptions, sending
from genvx.cli.runs.python import PythonOptions
from genvx.core.quantities.amounts import parse_memory
from genvx.core.quantities.durations import parse_duration
from genvx.core.requests.ask import Ask
from genvx.core.runs.run import HoldWhen
from genvx.core.runs.rungang import decisive, require_no_retries
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import (
    Failed,
    Preparing,
    Step,
    Waiting,
    end_of,
    is_over,
    name_of,
)
from genvx.core.value import field, value
from genvx.errors import GenvxError, InvalidInput, InvalidQuantity
from genvx.shown.console import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from genvx.cli.ask.request import Request
    from genvx.cli.ask.where import Where
    from genvx.core.notifying.notifier import Notifier
    from genvx.core.runs.container import Container
    from genvx.core.runs.debugport import DebugPort
    from genvx.core.runs.run import RunSpec
    from genvx.core.runs.service import Service
    from genvx.fleet.fleet import Fleet
    from genvx.fleet.shipping.shipment import Shipment

    # A run with its host, or all parts of a gang with theirs.
    Parts = tuple[tuple[Any, RunInfo], ...]


_PREPARED = {Step.CODE: "its copy of the project", Step.PYTHON: "its Python"}


@value
class Detach:
    """The options of a detached run besides its request for GPUs.

    key: the path of the private key with which one logs in to its debug port; empty if unknown.
    checked: called before a host is asked, when nothing of it is wrong as far as is known here.
    """

    chdir: str = ""
    hold: int | None = None
    hold_when: HoldWhen = HoldWhen.ALWAYS
    retries: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    notifiers: tuple[Notifier, ...] = ()
    tty: bool = False
    log_limit: int | None = None
    debug_port: DebugPort | None = None
    key: str = ""
    service: Service | None = None
    container: Container | None = None
    project: ProjectOptions = field(default_factory=ProjectOptions)
    python: PythonOptions = field(default_factory=PythonOptions)
    checked: Callable[[], object] = lambda: None

    @classmethod
    def parse(
        cls,
        chdir: str | None,
        hold: str | None,
        retries: int | None,
        env: list[str] | None,
        tags: list[str] | None,
        notifiers: tuple[Notifier, ...],
        tty: bool,
        log_limit: str | None,
        code: tuple[ProjectOptions, PythonOptions],
    ) -> Detach:
        """What the options say.

        Raises:
            InvalidInput: one of them makes no sense.
        """
        from genvx.cli.ask.variables import variables_of
        from genvx.core.runs.run import require_log_limit, require_tags

        seconds, when = None, HoldWhen.ALWAYS
        if hold is not None:
            time, colon, word = hold.partition(":")
            try:
                seconds = max(1, round(parse_duration(time)))
                when = HoldWhen(word) if colon else HoldWhen.ALWAYS
            except InvalidQuantity as error:
                raise InvalidQuantity(f"--hold: {error}") from None
            except ValueError:
                raise InvalidInput("--hold is a time, as in 1h or 1h:on-failure") from None
        variables = variables_of(env)
        every = require_tags(tuple(tags or ()))
        most = None
        if log_limit is not None:
            try:
                most = require_log_limit(parse_memory(log_limit))
            except InvalidQuantity as error:
                raise InvalidQuantity(f"--log-limit: {error}") from None
        said = (chdir or "", seconds, when, retries or 0, variables, every, notifiers, tty)
        project, python = code
        return cls(*said, most, project=project, python=python)


def notifiers(typed: list[str] | None, note: Callable[[str], object]) -> tuple[Notifier, ...]:
    """Return who is told of a run: the notifiers that were typed, else those that config.toml takes
    always. Raises as genvx.cli.notifying.chosen.
    """
    # Imported here: most runs have none.
    from genvx.fleet import userconfig

    if typed is None and not os.path.lexists(userconfig.usual(os.environ)):
        return ()
    from genvx.cli.notifying import chosen

    return chosen(typed, note)


@value
class Several:
    """A run on several hosts at once. address: where the others reach node 0, if not as we do."""

    nodes: int
    address: str | None
    mixed: bool


def start_detached(
    where: Where,
    request: Request,
    command: list[str],
    asked: Detach,
    several: Several | None = None,
    *,
    watched: bool = False,
    json: bool = False,
) -> int:
    """Start the run, print its id, and say what to type next; return the exit code.

    several: on how many hosts, if not on one. watched: also show its output until it ends, and
    return its exit code. json: print the run as JSON instead of its id.
    """
    from genvx.fleet.shipping.reading import until_unchanged

    return until_unchanged(
        lambda: _start(where, request, command, asked, several, watched=watched, json=json),
        where.note,
    )


def _start(
    where: Where,
    request: Request,
    command: list[str],
    asked: Detach,
    several: Several | None,
    *,
    watched: bool,
    json: bool,
) -> int:
    with submitted(where, request, command, asked, several) as (fleet, parts):
        code = announce(where, parts, verb="run" if json else None, key=asked.key)
        if code or not watched:
            return code
        from genvx.cli.runs.following import follow, follow_gang

        if len(parts) > 1:
            return follow_gang(where, parts)
        return follow(where, fleet, *parts[0], looked=True)


@contextmanager
def submitted(
    where: Where,
    request: Request,
    command: list[str],
    asked: Detach,
    several: Several | None = None,
) -> Iterator[tuple[Fleet, Parts]]:
    """Start a run; give its hosts, and its parts with theirs."""
    from genvx.fleet.detaching.submission import spec_of
    from genvx.fleet.shipping.reading import place_in

    if request.environment is not None:
        raise InvalidInput("--id joins an environment; a run with --detach is one of its own")
    if several is not None:
        require_no_retries(asked.retries)
    chdir = asked.chdir
    project = asked.project.read()
    if project is not None:
        chdir = place_in(project.manifest, chdir)
    elif not where.remote:
        chdir = os.path.abspath(os.path.expanduser(chdir or "."))
    elif chdir == "~" or chdir.startswith("~/"):
        chdir = chdir[2:] or "."  # the directories of a host are counted from the home there
    python, trees = (None, []) if asked.container else asked.python.read(project)
    if project is not None:
        trees.insert(0, project)
    spec = spec_of(
        command,
        Ask(request.requirements, request.name, lasts=request.time),
        cwd=chdir,
        variables=asked.variables,
        hold=asked.hold,
        hold_when=asked.hold_when,
        retries=asked.retries,
        log_limit=asked.log_limit,
        tty=asked.tty,
        notifiers=asked.notifiers,
        debug_port=asked.debug_port,
        service=asked.service,
        container=asked.container,
        stays=bool(request.selection),
        project=None if project is None else project.recorded,
        python=python,
        setup=asked.python.setup,
    )
    start = _on_one if several is None else _on_several(several)
    with start(where, request, spec, asked, trees) as found:
        yield found


def announce(where: Where, parts: Parts, *, verb: str | None = None, key: str = "") -> int:
    """Print the id of a run that was submitted, and what to type next; return the exit code.

    verb: for JSON in place of the id, the verb that it is the document of. key: the path of the
    private key for its debug port, if that is known.
    """
    run = decisive([part for _, part in parts])
    try:
        if verb is None:
            print(run.id, flush=True)
        else:
            from genvx.cli.schema.runs import plain_act, print_acts

            print_acts(verb, [plain_act(host.name, "started", part) for host, part in parts])
    finally:
        # The run is there also when its id cannot be written, and only this names it then.
        code = _introduce(where, parts, run)
    if not code:
        _show_debug_port(where, parts[0][1], key)
    return code


def _introduce(where: Where, parts: Parts, run: RunInfo) -> int:
    place = f" on {', '.join(host.name for host, _ in parts)}" if where.remote else ""
    where.note(f"run {run.label_or_id}{place} {beginning(run)}")
    if run.note:
        where.note(run.note)
    if isinstance(run.state, Failed) and end_of(run.state) is None:
        say(f"genvx: {run.state.why}")
        return 1
    genvx = where.typed
    # A line each: in one, they would wrap in the middle of what people are to type.
    where.note(f"to see its output: {genvx} watch {run.id}")
    if run.spec.tty:
        where.note(f"to work in its terminal: {genvx} watch -i {run.id}")
    where.note(f"to enter it: {_way_in(where, *parts[0])}")
    where.note(f"to end it: {genvx} runs stop {run.id}")
    return 0


def _way_in(where: Where, host: Any, run: RunInfo) -> str:
    """What to type to enter a run: where that is possible now, a line that needs no genvx."""
    if isinstance(run.state, Waiting):
        return f"{where.typed} ssh --wait {run.id}"
    if where.remote:
        from genvx.fleet.detaching.plainline import plain_line

        with suppress(GenvxError):  # one of its words cannot be written for every shell
            return plain_line(host, run)
    return f"{where.typed} ssh {run.id}"


def _show_debug_port(where: Where, run: RunInfo, key: str) -> None:
    if run.spec.debug_port is None or is_over(run.state):
        return
    port = run.open_port
    if port is None:
        where.note(
            f"its debug port opens when it starts; {where.typed} runs info {run.id} shows it then"
        )
        return
    where.note(f"to enter it with the debug key: {port.line(run.id, key)}")
    server = port.server_key
    where.note(f"the host key of its debug port: {server.fingerprint} ({server.family})")


@contextmanager
def named_after_ctrl_c(where: Where, spec: RunSpec) -> Iterator[None]:
    """Submit a run; after Ctrl-C, say its id, because a host may have accepted it already."""
    from genvx.cli.runs.project import SendingInterrupted

    try:
        yield
    except SendingInterrupted:
        say("genvx: interrupted; no run was started, and what has been sent is not sent again")
        raise
    except KeyboardInterrupt:
        say(
            f"genvx: run {spec.id} may have started; {where.typed} runs stop {spec.id} ends it then"
        )
        raise


@contextmanager
def _on_one(
    where: Where,
    request: Request,
    spec: RunSpec,
    asked: Detach,
    trees: Sequence[Shipment],
) -> Iterator[tuple[Fleet, Parts]]:
    """Start a run on the best host; give the hosts, and the run with its own."""
    from genvx.fleet.detaching import runs

    with where.fleet(request.selection) as fleet:
        asked.checked()
        ours: Any = fleet  # every host of a verb has runs
        seen = where.look(fleet, request.requirements)
        with named_after_ctrl_c(where, spec), sending(trees) as ship:
            started = runs.submit(
                ours, spec, seen, patience=request.wait, tags=asked.tags, ship=ship
            )
        yield fleet, (started,)


def _on_several(several: Several) -> Callable[..., AbstractContextManager[tuple[Fleet, Parts]]]:
    @contextmanager
    def start(
        where: Where,
        request: Request,
        spec: RunSpec,
        asked: Detach,
        trees: Sequence[Shipment],
    ) -> Iterator[tuple[Fleet, Parts]]:
        """Start a run on several hosts; give the hosts, and the parts with theirs."""
        from genvx.cli.show.waiting_line import WaitingLine
        from genvx.fleet.detaching.rungang import submit_gang

        with where.remote_fleet(request.selection) as fleet:
            asked.checked()
            with (
                WaitingLine(request.requirements) as waiting,
                sending(trees) as ship,
            ):
                parts = submit_gang(
                    fleet,
                    spec,
                    several.nodes,
                    patience=request.wait,
                    tags=asked.tags,
                    address=several.address,
                    mixed=several.mixed,
                    seen=where.look(fleet),
                    tell=waiting.stands_on,
                    say=lambda line: say(f"genvx: {line}"),
                    ship=ship,
                )
                waiting.clear()
            yield fleet, parts

    return start


def beginning(run: RunInfo) -> str:
    """What a run does that was just submitted, in words behind its name."""
    if isinstance(run.state, Waiting):
        return f"waits in line: place {run.state.place}" + (
            f" ({run.state.reason})" if run.state.reason else ""
        )
    if is_over(run.state) or end_of(run.state) is not None:
        return f"is {name_of(run.state)} already"
    if isinstance(run.state, Preparing) and run.state.step in _PREPARED:
        return f"gets {_PREPARED[run.state.step]}: {run.state.progress or 'it begins'}"
    devices = getattr(run.state, "devices", ())
    if not devices:
        return f"is {name_of(run.state)}, without a GPU"
    each = "" if run.spec.part is None else " each"
    many = f"{len(devices)} GPU{'' if len(devices) == 1 else 's'}"
    return f"is {name_of(run.state)} with {many}{each}"
