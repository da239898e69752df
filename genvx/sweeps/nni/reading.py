"""From a configuration file of NNI to an Experiment."""

from __future__ import annotations

import os
import shlex
import stat
from typing import TYPE_CHECKING

from genvx.core.sweeps.nnispace import space_of_json, space_of_nni
from genvx.core.sweeps.parameters import literally
from genvx.core.text import printable
from genvx.errors import InvalidInput, InvalidRemotes
from genvx.fleet.remotes.yamltext import parse
from genvx.sweeps.nni import scalars
from genvx.sweeps.nni.algorithms import algorithms
from genvx.sweeps.nni.experiment import Experiment
from genvx.sweeps.nni.machines import Service, service
from genvx.sweeps.nni.section import Section

if TYPE_CHECKING:
    from genvx.core.sweeps.space import SearchSpace

_MOST_BYTES = 1 << 20
_MOST_TRIALS = 1_000_000
_MOST_AT_ONCE = 100_000
_MOST_GPUS = 1024

_KEYS = (
    *("experimentName", "experimentType", "searchSpace", "searchSpaceFile", "trialCommand"),
    *("trialCodeDirectory", "trialConcurrency", "trialGpuNumber", "maxExperimentDuration"),
    *("maxTrialNumber", "maxTrialDuration", "nniManagerIp", "useAnnotation", "debug", "logLevel"),
    *("experimentWorkingDirectory", "tunerGpuIndices", "tuner", "assessor", "advisor"),
    *("trainingService", "sharedStorage"),
)
_WITHOUT_EFFECT = {
    "nniManagerIp": "hosts never connect to this machine",
    "debug": "genvx has no such mode",
    "logLevel": "genvx writes no log of its own",
    "experimentWorkingDirectory": "sweeps are kept in ~/.local/share/genvx/sweeps",
    "tunerGpuIndices": "tuners use no GPU",
}
_REFUSED = {
    "sharedStorage": "genvx mounts nothing; pull results with genvx pull",
}


def load(path: str) -> Experiment:
    """Read a configuration file of NNI 2 or 3; paths in it are relative to it.

    Raises:
        InvalidInput: the file cannot be read, asks for what genvx cannot do, or has a fault; the
        message names file, line and key.
    """
    status, content = _read(path, "the configuration")
    base = os.path.dirname(os.path.abspath(os.path.expanduser(path)))
    try:
        node = parse(content, path)
        if node is None:
            raise InvalidInput(f"{printable(path, 200)} is empty")
        return _experiment(Section(node, "an experiment", _KEYS), path, base, status)
    except InvalidRemotes as error:
        raise InvalidInput(str(error)) from None


def _experiment(section: Section, path: str, base: str, status: os.stat_result) -> Experiment:
    section.refuse(_REFUSED)
    kind = section.get("experimentType")
    if kind is not None and scalars.text("experimentType", kind) != "hpo":
        kind.place.fail("genvx has experiments of type hpo only")
    annotation = section.get("useAnnotation")
    if annotation is not None and scalars.flag("useAnnotation", annotation):
        annotation.place.fail(
            "useAnnotation: genvx changes no code; write the search space into searchSpace"
        )
    training = section.get("trainingService")
    reached = Service() if training is None else service(training, base)
    if reached.secret is not None and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        reached.secret.fail(
            f"a password in a file that others can read: type chmod 600 {shlex.quote(path)}"
        )
    chosen = algorithms(section)
    notes = [
        f"{name} has no effect: {_WITHOUT_EFFECT[name]}"
        for name in section.names
        if name in _WITHOUT_EFFECT
    ]
    trials, limit = section.get("maxTrialNumber"), section.get("maxExperimentDuration")
    if trials is None and limit is None:
        notes.append("neither maxTrialNumber nor maxExperimentDuration: it goes on until stopped")
    gpus, each = section.get("trialGpuNumber"), section.get("maxTrialDuration")
    name = section.get("experimentName")
    command = scalars.text("trialCommand", section.need("trialCommand"), lines=True)
    return Experiment(
        source=os.path.abspath(os.path.expanduser(path)),
        name="" if name is None else scalars.text("experimentName", name),
        # NNI runs it in bash.
        command=("bash", "-c", literally(command)),
        space=_space(section, base, batch=chosen.batch),
        directory=_directory(section, base),
        gpus=None if gpus is None else scalars.whole("trialGpuNumber", gpus, 0, _MOST_GPUS),
        concurrency=scalars.whole(
            "trialConcurrency", section.need("trialConcurrency"), 1, _MOST_AT_ONCE
        ),
        trials=None if trials is None else scalars.whole("maxTrialNumber", trials, 1, _MOST_TRIALS),
        duration=None if limit is None else scalars.duration("maxExperimentDuration", limit),
        trial_duration=None if each is None else scalars.duration("maxTrialDuration", each),
        goal=chosen.goal,
        tuner=chosen.tuner,
        options=chosen.options,
        pruner=chosen.pruner,
        pruner_options=chosen.pruner_options,
        seed=chosen.seed,
        machines=reached.machines,
        notes=(*notes, *reached.notes, *chosen.notes),
    )


def _space(section: Section, base: str, *, batch: bool) -> SearchSpace:
    inline, named = section.get("searchSpace"), section.get("searchSpaceFile")
    if inline is not None and named is not None:
        section.key_place("searchSpaceFile").fail("give either searchSpace or searchSpaceFile")
    if inline is not None:
        try:
            return space_of_nni(scalars.plain(inline), batch=batch)
        except InvalidInput as error:
            inline.place.fail(f"searchSpace: {error}")
    if named is None:
        section.place.fail("an experiment needs searchSpace or searchSpaceFile")
    written = scalars.text("searchSpaceFile", named)
    path = os.path.join(base, os.path.expanduser(written))
    try:
        _, content = _read(path, "the search space")
        if path.endswith((".yml", ".yaml")):
            node = parse(content, path)
            return space_of_nni({} if node is None else scalars.plain(node), batch=batch)
        return space_of_json(content, path, batch=batch)
    except InvalidRemotes:
        raise
    except InvalidInput as error:
        named.place.fail(f"searchSpaceFile: {error}")


def _directory(section: Section, base: str) -> str:
    node = section.get("trialCodeDirectory")
    if node is None:
        return base
    written = scalars.text("trialCodeDirectory", node)
    path = os.path.normpath(os.path.join(base, os.path.expanduser(written)))
    if not os.path.isdir(path):
        node.place.fail(f"trialCodeDirectory: there is no directory {written}")
    return path


def _read(path: str, what: str) -> tuple[os.stat_result, str]:
    shown = printable(path, 200)
    try:
        # O_NONBLOCK: opening a FIFO would block. fstat of the open file: between a check by name
        # and the open it could be exchanged.
        opened = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(opened, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InvalidInput(f"{shown} is no regular file")
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read {what} {shown}: {error.strerror}") from None
    if len(data) > _MOST_BYTES:
        raise InvalidInput(f"{shown} is larger than {_MOST_BYTES >> 20} MiB")
    try:
        return status, data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{shown} is not UTF-8 text (byte {error.start})") from None


__all__ = ["load"]
