"""What is asked of a sweep, and how that is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genvx.core.command import require_variables
from genvx.core.runs.run import MOST_RETRIES
from genvx.core.sweeps.goal import Goal, StopWhen
from genvx.core.sweeps.parameters import require_used
from genvx.core.sweeps.plainspace import space_of_plain, space_to_plain
from genvx.core.text import NAME_LIMIT, require_name
from genvx.core.value import field, value
from genvx.core.wire.containercodec import CONTAINER
from genvx.core.wire.plain import Malformed
from genvx.core.wire.requestcodec import REQUIREMENTS
from genvx.core.wire.runcodec import (
    LONGEST_PATH,
    LONGEST_WORD,
    MOST_WORDS,
    PROJECT,
    PYTHON,
)
from genvx.core.wire.tables import (
    Kind,
    Table,
    choice,
    flag,
    identifier,
    integer,
    one,
    optional,
    plain_object,
    seconds,
    string,
    strings,
    text,
    texts_by_name,
)
from genvx.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.core.projects.project import Project
    from genvx.core.projects.python import Python
    from genvx.core.requests.requirements import Requirements
    from genvx.core.runs.container import Container
    from genvx.core.sweeps.space import SearchSpace
    from genvx.core.wire.fields import Fields

MOST_TRIALS = 1_000_000
MOST_CONCURRENCY = 4096
MOST_PER_GPU = 64


@value
class Hosts:
    """On which hosts a sweep is, as somebody typed it; `genvx remote` reads it in the same way.

    remote: whether they are those of `genvx remote`, not this machine. hostfile: an absolute path.
    config: the path of the file for NNI that has them. carried: the path of the file with which
    they have come here, if another machine sent the sweep.
    """

    remote: bool = False
    hosts: str | None = None
    hostfile: str | None = None
    named: str | None = None
    login: str | None = None
    only: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    config: str | None = None
    accept_new_host_keys: bool = False
    carried: str | None = None


@value
class Needs:
    """What the Python of trials is made from, as somebody typed it, so that it can be read again.

    wheels: an absolute path here.
    """

    python: str | None = None
    wheels: str | None = None
    extras: tuple[str, ...] = ()


@value
class SweepSpec:
    """What was asked of a sweep; it never changes.

    command: the words, with {name} in the place of parameters. trials: at most so many; None goes
    on until the space is used up, or somebody stops it. tuner, options, seed: what chooses the
    parameters; pruner: what ends trials that fall behind. concurrency: so many trials run or wait
    at once; None is as many as fit. seconds: of the whole sweep. retries: how often a trial starts
    again that was lost on its host. requirements, time, variables, cwd, project: of each trial.
    directory: of the project, here. python, setup: as of a run; needs: what its Python was made
    from; container: in which each starts. per_gpu: so many trials share a GPU. metric: a pattern
    in whose first group the value is, in a line of the output. nni: whether the command is written
    for NNI. began_epoch_ns: when it was asked for.

    Raises:
        InvalidInput: a field makes no sense, or the command does not go with the space.
    """

    id: str
    command: tuple[str, ...]
    space: SearchSpace
    requirements: Requirements
    goal: Goal = Goal.MAXIMIZE
    tuner: str = "random"
    options: Mapping[str, Any] = field(default_factory=dict)
    pruner: str = ""
    pruner_options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    trials: int | None = None
    concurrency: int | None = None
    seconds: float | None = None
    retries: int = 0
    per_gpu: int = 1
    stop_when: str = ""
    metric: str = ""
    time: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    cwd: str = ""
    project: Project | None = None
    directory: str | None = None
    python: Python | None = None
    needs: Needs | None = None
    setup: str = ""
    container: Container | None = None
    nni: bool = False
    name: str = ""
    hosts: Hosts = field(default_factory=Hosts)
    began_epoch_ns: int = 0

    def __post_init__(self) -> None:
        if not self.command or not self.command[0]:
            raise InvalidInput("no command to run; write it after --")
        require_name(self.name)
        require_variables(self.variables)
        _within("--trials", self.trials, MOST_TRIALS)
        _within("--concurrency", self.concurrency, MOST_CONCURRENCY)
        _within("--max-per-gpu", self.per_gpu, MOST_PER_GPU)
        if not 0 <= self.retries <= MOST_RETRIES:
            raise InvalidInput(f"--retries is from 0 to {MOST_RETRIES}, not {self.retries}")
        if self.stop_when:
            StopWhen.parse(self.stop_when)
        require_used(self.command, self.space.names)


def _within(what: str, given: int | None, most: int) -> None:
    if given is not None and not 1 <= given <= most:
        raise InvalidInput(f"{what} is from 1 to {most}, not {given}")


def _space(fields: Fields, key: str) -> SearchSpace:
    try:
        return space_of_plain(fields.raw(key))
    except InvalidInput as error:
        raise Malformed(str(error)) from None


_HOSTS = Table(
    Hosts,
    "hosts of a sweep",
    remote=flag(),
    hosts=optional(string(LONGEST_WORD)),
    hostfile=optional(string(LONGEST_PATH)),
    named=optional(string(NAME_LIMIT * 8)),
    login=optional(string(NAME_LIMIT)),
    only=strings(LONGEST_PATH, MOST_WORDS),
    excluded=strings(LONGEST_PATH, MOST_WORDS),
    tags=strings(LONGEST_PATH, MOST_WORDS),
    config=optional(string(LONGEST_PATH)),
    accept_new_host_keys=flag(),
    carried=optional(string(LONGEST_PATH)),
)
_NEEDS = Table(
    Needs,
    "needs of a sweep",
    python=optional(string(LONGEST_PATH)),
    wheels=optional(string(LONGEST_PATH)),
    extras=strings(NAME_LIMIT, MOST_WORDS),
)
SWEEP = Table(
    SweepSpec,
    "sweep",
    id=identifier(),
    command=strings(LONGEST_WORD, MOST_WORDS),
    space=Kind(_space, space_to_plain),
    requirements=one(REQUIREMENTS),
    goal=choice(Goal),
    tuner=text(NAME_LIMIT),
    options=plain_object(MOST_WORDS),
    pruner=text(NAME_LIMIT),
    pruner_options=plain_object(MOST_WORDS),
    seed=integer(),
    trials=optional(integer(1)),
    concurrency=optional(integer(1)),
    seconds=optional(seconds()),
    retries=integer(),
    per_gpu=integer(1),
    stop_when=string(NAME_LIMIT),
    metric=string(LONGEST_PATH),
    time=optional(integer(1)),
    variables=texts_by_name(LONGEST_WORD, MOST_WORDS),
    cwd=string(LONGEST_PATH),
    project=optional(one(PROJECT)),
    directory=optional(string(LONGEST_PATH)),
    python=optional(one(PYTHON)),
    needs=optional(one(_NEEDS)),
    setup=string(LONGEST_PATH),
    container=optional(one(CONTAINER)),
    nni=flag(),
    name=text(NAME_LIMIT),
    hosts=one(_HOSTS),
    began_epoch_ns=integer(),
)
