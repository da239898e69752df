"""genvx sweep: many runs of one command with different parameters, and the best of them."""

from __future__ import annotations

import os
import time
from typing import Any

from genvx.cli.ask import options, runoptions, sweepoptions
from genvx.cli.ask.request import Request
from genvx.cli.ask.requesting import requesting
from genvx.cli.ask.where import Where, here
from genvx.cli.parse.declaring import Context, Exit
from genvx.core.quantities.durations import parse_duration
from genvx.core.quantities.naming import naming
from genvx.core.text import printable
from genvx.core.value import replace
from genvx.errors import InvalidInput

# Of a file with a search space.
_MOST_BYTES = 1 << 20
# What is typed behind sweep in place of a command; `genvx sweeps` has the same.
_WORDS = ("list", "show", "stop", "resume", "export", "tensorboard")


@requesting("wait", "id")
def sweep(
    context: Context,
    request: Request,
    command: options.Command = None,
    parameter: sweepoptions.Parameter = None,
    config: sweepoptions.Config = None,
    space: sweepoptions.Space = None,
    trials: sweepoptions.Trials = None,
    tuner: sweepoptions.Tuner = None,
    tuner_option: sweepoptions.TunerOption = None,
    pruner: sweepoptions.Pruner = None,
    maximize: sweepoptions.Maximize = False,
    minimize: sweepoptions.Minimize = False,
    metric: sweepoptions.Metric = None,
    concurrency: sweepoptions.Concurrency = None,
    max_per_gpu: sweepoptions.PerGpu = None,
    duration: sweepoptions.Duration = None,
    stop_when: sweepoptions.StopWhen = None,
    retries: sweepoptions.Retries = 0,
    seed: sweepoptions.Seed = None,
    notify: sweepoptions.Notify = None,
    env: sweepoptions.Env = None,
    chdir: sweepoptions.Chdir = None,
    project: sweepoptions.Project = None,
    follow_links: runoptions.FollowLinks = False,
    yes: runoptions.Yes = False,
    python: sweepoptions.Python = None,
    extra: runoptions.Extra = None,
    wheels: runoptions.Wheels = None,
    setup: sweepoptions.Setup = None,
    image: runoptions.Image = None,
    runtime: runoptions.RuntimeOfRun = None,
    mount: runoptions.MountOfRun = None,
    optuna_storage: sweepoptions.OptunaStorage = None,
    detached: sweepoptions.Detached = False,
    on: sweepoptions.On = None,
    on_python: sweepoptions.OnPython = None,
    on_wheels: sweepoptions.OnWheels = None,
    json: options.Json = False,
) -> None:
    """Run a command with many different parameters, and find the best.

    Its runs are trials, on all hosts at once. {NAME} in the command stands for a parameter, and
    $GENVX_PARAMETERS has all of them as JSON. A trial reports how good they are as a line in the
    file $GENVX_REPORT, or with the Python module genvx_trial, which need not be installed.

    Ctrl-C asks what to do with the trials. genvx sweep list, show, stop, resume, export and
    tensorboard are the same as those of genvx sweeps.

    Example: genvx remote sweep -P lr=log:1e-5..1e-1 --trials 20 -g 1 -- python train.py --lr {lr}
    """
    if command and not (parameter or config or space):
        if command[0] in _WORDS:
            raise Exit(_other(context, command))
        _require_no_typo(command)
    from genvx.cli.ask.variables import variables_of
    from genvx.cli.runs.detach import notifiers
    from genvx.cli.runs.python import code_of
    from genvx.cli.sweeps import terminal
    from genvx.fleet.containers import container_of
    from genvx.fleet.shipping.reading import place_in
    from genvx.sweeps import store
    from genvx.sweeps.spec import Needs

    where = here(context)
    _require_together(on, on_python or on_wheels, optuna_storage, detached=detached)
    terminal.require_one_goal(maximize=maximize, minimize=minimize)
    asked: dict[str, Any] = {
        "trials": trials,
        "concurrency": concurrency,
        "tuner": tuner,
        "options": _options(tuner_option),
        "pruner": pruner,
        "goal": "minimize" if minimize else "maximize" if maximize else None,
        "seed": seed,
        "seconds": _seconds("--duration", duration),
        "per_gpu": max_per_gpu,
        "time": None if request.time is None else max(1, round(request.time)),
    }
    spec, notes, directory = _asked(where, request, command, parameter, space, config, asked)
    # NNI installs nothing, so a file of it means the Python of the host.
    named = "none" if python is None and config is not None else python
    place, load = project or directory, config is None
    inside = container_of(image, runtime, mount, remote=where.remote or spec.hosts.remote)
    boxed = inside is not None
    found, its = code_of(
        place, follow_links, yes, named, setup, wheels, extra, load=load, image=boxed
    )
    code = found.read()
    its_python, trees = (None, []) if boxed else its.read(code)
    if code is not None:
        chdir = place_in(code.manifest, chdir or "")
    elif not where.remote and not spec.hosts.remote:
        chdir = os.path.abspath(os.path.expanduser(chdir or "."))
    spec = replace(
        spec,
        metric=metric or "",
        stop_when=stop_when or "",
        retries=retries,
        variables=variables_of(env),
        cwd=chdir or "",
        project=None if code is None else code.recorded,
        directory=None if code is None else os.path.abspath(str(found.directory)),
        python=its_python,
        needs=Needs(its.python, its.wheels and os.path.abspath(its.wheels), tuple(its.extras)),
        setup=its.setup,
        container=inside,
        name=request.name or spec.name,
    )
    if on is not None and not spec.hosts.remote:
        raise InvalidInput("--on names a host of genvx remote: genvx remote sweep --on HOST")
    if on is not None:
        there, _, _ = terminal.where_of(spec.hosts, where)
        with there.remote_fleet() as fleet:
            fleet.host(on)
    notes += _check(spec)
    # With --on the host sends the messages, so it says what can work there.
    told = terminal.told(where, notify) if on is None else notifiers(notify, where.note)
    for note in notes:
        where.note(note)
    sent = [] if code is None else [code, *trees]
    made = store.create(store.sweeps_root(os.environ), spec, told)
    if on is not None:
        from genvx.cli.sweeps import elsewhere
        from genvx.sweeps.away import Away

        its_wheels = on_wheels and os.path.abspath(on_wheels)
        raise Exit(elsewhere.start(where, made, sent, Away(on, on_python, its_wheels)))
    if detached:
        raise Exit(terminal.start_detached(where, made))
    raise Exit(terminal.run_sweep(where, made, sent, json=json, storage=optuna_storage))


def _asked(
    where: Where,
    request: Request,
    command: list[str] | None,
    parameter: list[str] | None,
    space: str | None,
    config: str | None,
    asked: dict[str, Any],
) -> tuple[Any, list[str], str | None]:
    """Return the sweep that was asked for, notes, and the directory of its code if a file names
    one.
    """
    from genvx.core.requests.requirements import Requirements
    from genvx.core.sweeps.goal import Goal
    from genvx.sweeps.spec import Hosts, SweepSpec

    notes: list[str] = []
    directory: str | None = None
    given = {name: each for name, each in asked.items() if each not in (None, {})}
    selection = request.selection
    hosts = Hosts(
        where.remote,
        where.hosts,
        None if where.hostfile is None else os.path.abspath(where.hostfile),
        where.named,
        where.login,
        selection.hosts,
        selection.excluded,
        selection.tags,
        accept_new_host_keys=where.accept_new_host_keys,
    )
    requirements = request.requirements
    if config is not None:
        from genvx.sweeps.nni.reading import load

        if command or parameter or space:
            raise InvalidInput("--config has the command and the space; leave out those here")
        if not os.path.isfile(config):
            raise InvalidInput(f"no such file: {config}")
        nni = load(config)
        notes += nni.notes
        directory, words, dimensions = nni.directory, nni.command, nni.space
        if not request.counted:
            requirements = replace(requirements, gpus=nni.gpus or 0)
            if nni.gpus is None:
                notes.append(
                    "trialGpuNumber is not set: with NNI such trials see all GPUs of their host; "
                    "here they hold none and see none. -g 1 gives one to each"
                )
        of_file = {
            "name": nni.name,
            "trials": nni.trials,
            "concurrency": nni.concurrency,
            "seconds": nni.duration,
            "time": None if nni.trial_duration is None else max(1, round(nni.trial_duration)),
            "goal": nni.goal.value,
            "tuner": nni.tuner,
            "options": nni.options,
            "pruner": nni.pruner,
            "pruner_options": nni.pruner_options,
            "seed": nni.seed,
        }
        given = {name: each for name, each in of_file.items() if each is not None} | given
        hosts = replace(hosts, config=os.path.abspath(config), remote=bool(nni.machines))
        if where.remote:
            hosts = replace(hosts, remote=True)
    else:
        dimensions = _space(parameter, space)
        if not command:
            raise InvalidInput(
                "no command to run; write it after --, as in: "
                "genvx sweep -P lr=log:1e-5..1e-1 --trials 20 -g 1 -- python train.py --lr {lr}"
            )
        words = tuple(command)
        if not request.counted:
            notes.append("without --gpus trials hold no GPU, and see none")
    if "tuner" not in given:
        import importlib.util

        given["tuner"] = "tpe" if importlib.util.find_spec("optuna") else "random"
        if given["tuner"] == "random":
            notes.append("trials are chosen at random; pip install 'genvx[sweep]' has tpe")
    given["goal"] = Goal(given.get("goal", "maximize"))
    given.setdefault("seed", int.from_bytes(os.urandom(4), "big") >> 1)
    spec = SweepSpec(
        os.urandom(4).hex(),
        words,
        dimensions,
        Requirements() if requirements is None else requirements,
        hosts=hosts,
        nni=config is not None,
        began_epoch_ns=time.time_ns(),  # for people, and across restarts
        **given,
    )
    if not requirements.gpus and spec.concurrency is None:
        notes.append("trials without a GPU: one on each host at a time; --concurrency says more")
    return spec, notes, directory


def _space(parameter: list[str] | None, space: str | None) -> Any:
    from genvx.core.sweeps.nnispace import space_of_json
    from genvx.core.sweeps.shortform import FORMS, dimension_of
    from genvx.core.sweeps.space import SearchSpace

    if space is not None:
        if parameter:
            raise InvalidInput("give either -P or --space, not both")
        try:
            with open(space, "rb") as file:
                data = file.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise InvalidInput(f"{space} is larger than 1 MiB")
            return space_of_json(data.decode("utf-8"), space)
        except OSError as error:
            raise InvalidInput(f"cannot read {space}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise InvalidInput(f"{space} is not UTF-8 text") from None
    if not parameter:
        raise InvalidInput(f"no parameters; give -P for each, such as {FORMS}")
    return SearchSpace(tuple(dimension_of(each) for each in parameter))


def _check(spec: Any) -> list[str]:
    """Refuse what cannot be, before anything is written; return what is not as it was typed."""
    from genvx.sweeps.reading import Metric
    from genvx.sweeps.tuners.names import tuner_of

    if spec.metric:
        Metric(spec.metric)
    chosen = tuner_of(
        spec.tuner,
        spec.space,
        spec.goal,
        spec.seed,
        spec.options,
        pruner=spec.pruner,
        pruner_options=spec.pruner_options,
    )
    if spec.trials is None and spec.space.size is None:
        raise InvalidInput("the space has no end; say how many trials there are: --trials 20")
    return list(chosen.notes)


def _options(given: list[str] | None) -> dict[str, Any]:
    import json

    found: dict[str, Any] = {}
    for each in given or ():
        name, equals, text = each.partition("=")
        if not equals:
            raise InvalidInput("--tuner-option is NAME=VALUE")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _seconds(option: str, text: str | None) -> float | None:
    with naming(option):
        return None if text is None else parse_duration(text)


def _require_together(
    on: str | None,
    of_the_host: str | None,
    optuna_storage: str | None,
    *,
    detached: bool,
) -> None:
    """Raise InvalidInput for options that do not go together. of_the_host: --on-python and such."""
    if (detached or on is not None) and optuna_storage is not None:
        word = "-d" if on is None else "--on"
        raise InvalidInput(f"--optuna-storage does not go with {word}: it may have a password")
    if on is None and of_the_host is not None:
        raise InvalidInput("--on-python and --on-wheels go with --on HOST")


def _require_no_typo(command: list[str]) -> None:
    """Raise InvalidInput if a command without parameters is nearly one of our words."""
    import difflib

    near = difflib.get_close_matches(command[0], _WORDS, 1, 0.75)
    if near:
        shown = printable(command[0], 40)
        raise InvalidInput(f"{shown}: no parameters (-P); did you mean genvx sweep {near[0]}?")


def _other(context: Context, words: list[str]) -> int:
    """Do what `genvx sweeps` does with these words."""
    from genvx.cli.parse.building import built
    from genvx.cli.verbs.runs.sweeps import sweeps

    group = built(sweeps)
    with group.make_context("genvx sweeps", list(words), obj=context.obj) as made:
        group.invoke(made)
    return 0
