"""NNI's configuration files: what each key becomes, and what is refused, with its place."""

from __future__ import annotations

import copy
import dataclasses
import os
import pickle
import re
import shlex
import subprocess

import pytest

from genvx.core.device import MOST_DEVICES
from genvx.core.prelude import Prelude, with_prelude
from genvx.core.requests.requirements import Requirements
from genvx.core.sweeps.goal import Goal
from genvx.core.sweeps.parameters import fill
from genvx.core.sweeps.space import Choice, SearchSpace, Uniform, Whole
from genvx.errors import InvalidInput
from genvx.fleet.fleet import connect_fleet
from genvx.fleet.hosts.hostspec import HostSpec
from genvx.fleet.offer import within
from genvx.ssh.config.secret import Secret
from genvx.sweeps.nni import machines, reading
from genvx.sweeps.nni.experiment import Experiment, Machine
from genvx.sweeps.nni.reading import load
from genvx.sweeps.tuners.names import tuner_of
from tests.doors import PASSWORD, door

SECRET = "pa%ss 1x*"

REMOTE = """\
searchSpaceFile: search_space.json
trialCommand: python3 mnist.py
trialCodeDirectory: .
trialGpuNumber: 0
trialConcurrency: 4
maxTrialNumber: 20
tuner:
  name: TPE
  classArgs:
    optimize_mode: maximize
trainingService:
  platform: remote
  machineList:
    - host: 127.0.0.2
      user: alice
      ssh_key_file: ~/.ssh/id_rsa
    - host: 127.0.0.3
      port: 10022
      user: bob
      password: bob123
"""
SPACE = SearchSpace((Uniform("lr", 1e-4, 0.1, None, True), Choice("layers", (2, 4))))
SPACE_TEXT = (
    '{"lr": {"_type": "loguniform", "_value": [0.0001, 0.1]},'
    ' "layers": {"_type": "choice", "_value": [2, 4]}}'
)
BASE = {
    "searchSpace": "{x: {_type: choice, _value: [1]}}",
    "trialCommand": "run",
    "trialConcurrency": "1",
    "maxTrialNumber": "9",
    "tuner": "{name: random, classArgs: {optimize_mode: maximize}}",
}
MACHINE = {"host": "h", "user": "ann"}


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes a configuration beside its code, and returns its path."""
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_rsa").write_text("")
    (tmp_path / "search_space.json").write_text(SPACE_TEXT)
    monkeypatch.setenv("HOME", str(tmp_path))

    def write(text, mode=0o600):
        path = tmp_path / "nni.yml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return str(path)

    return write


def lines(keys):
    return "".join(f"{key}: {value}\n" for key, value in keys.items())


def remote(keys):
    machine = "".join(f"      {key}: {value}\n" for key, value in keys.items())
    return f"trainingService:\n  platform: remote\n  machineList:\n    -\n{machine}"


def refusal(path):
    with pytest.raises(InvalidInput) as caught:
        load(path)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_configuration_of_the_documentation_is_read_as_it_stands(file, tmp_path):
    alice = HostSpec("127.0.0.2", "127.0.0.2", user="alice", key=str(tmp_path / ".ssh/id_rsa"))
    bob = HostSpec(
        "127.0.0.3:10022", "127.0.0.3", user="bob", port=10022, password=Secret("bob123")
    )
    assert load(file(REMOTE)) == Experiment(
        source=str(tmp_path / "nni.yml"),
        name="",
        command=("bash", "-c", "python3 mnist.py"),
        space=SPACE,
        directory=str(tmp_path),
        gpus=0,
        concurrency=4,
        trials=20,
        goal=Goal.MAXIMIZE,
        tuner="TPE",
        machines=(Machine(alice), Machine(bob)),
    )


# Each key, with a value and what it becomes. A function of the experiment, or of its machine.

TOP = {
    "experimentName": ("mnist 1", lambda found: found.name == "mnist 1"),
    "experimentType": ("hpo", lambda found: True),
    "searchSpace": (
        "{a: {_type: choice, _value: [1, '1', 1e-4, yes, ~, 'no', x y]}}",
        lambda found: (
            repr(found.space.dimensions[0].values) == repr((1, "1", 1e-4, True, None, "no", "x y"))
        ),
    ),
    "searchSpaceFile": ("search_space.json", lambda found: found.space == SPACE),
    "trialCommand": (
        "'for i in {1..3}; do ./run {x} $i; done'",
        lambda found: (
            fill(found.command, {"x": 1})
            == ["bash", "-c", "for i in {1..3}; do ./run {x} $i; done"]
        ),
    ),
    "trialCodeDirectory": (".ssh", lambda found: found.directory.endswith("/.ssh")),
    "trialConcurrency": ("4", lambda found: found.concurrency == 4),
    "trialGpuNumber": ("0", lambda found: found.gpus == 0),
    "maxExperimentDuration": ("0.5h", lambda found: found.duration == 1800.0),
    "maxTrialNumber": ("20", lambda found: found.trials == 20),
    "maxTrialDuration": ("90", lambda found: found.trial_duration == 90.0),
    "nniManagerIp": ("10.0.0.1", lambda found: "nniManagerIp has no effect" in found.notes[0]),
    "useAnnotation": ("false", lambda found: found.notes == ()),
    "debug": ("true", lambda found: "debug has no effect" in found.notes[0]),
    "logLevel": ("trace", lambda found: "logLevel has no effect" in found.notes[0]),
    "experimentWorkingDirectory": ("~/x", lambda found: "sweeps are kept" in found.notes[0]),
    "tunerGpuIndices": ("[0]", lambda found: "tuners use no GPU" in found.notes[0]),
    "tuner": (
        "{name: tpe, classArgs: {seed: 3, optimize_mode: minimize, tpe_args: {gamma: 0.5}}}",
        lambda found: (
            (found.tuner, found.seed, found.goal, found.options)
            == ("TPE", 3, Goal.MINIMIZE, {"tpe_args": {"gamma": 0.5}})
        ),
    ),
    "assessor": (
        "{name: Medianstop, classArgs: {optimize_mode: maximize, start_step: 3}}",
        lambda found: (found.pruner, found.pruner_options) == ("Medianstop", {"start_step": 3}),
    ),
    "advisor": (
        "{name: BOHB, classArgs: {eta: 2}}",
        lambda found: (
            (found.tuner, found.options, found.goal) == ("BOHB", {"eta": 2}, Goal.MAXIMIZE)
        ),
    ),
    "trainingService": ("{platform: local, reuseMode: true}", lambda found: len(found.notes) == 2),
    "sharedStorage": None,
}
OF_MACHINE = {
    "host": ("my.host", lambda found: found.spec.address == "my.host"),
    "port": ("10022", lambda found: (found.spec.port, found.spec.name) == (10022, "h:10022")),
    "user": ("bob", lambda found: found.spec.user == "bob"),
    "password": (f"'{SECRET}'", lambda found: found.spec.password == Secret(SECRET)),
    "sshKeyFile": (".ssh/id_rsa", lambda found: found.spec.key.endswith("/.ssh/id_rsa")),
    "sshPassphrase": (
        "012",
        lambda found: (
            (os.path.basename(found.spec.key), found.spec.password) == ("id_rsa", Secret("012"))
        ),
    ),
    "useActiveGpu": ("yes", lambda found: within(found.spec, Requirements(1)).in_use),
    "maxTrialNumberPerGpu": ("3", lambda found: found.max_per_gpu == 3),
    "gpuIndices": ("'0, 3'", lambda found: found.spec.gpus == (0, 3)),
    "pythonPath": (
        "/opt/py/bin/",
        lambda found: found.spec.prelude == Prelude("python-path", "/opt/py/bin"),
    ),
}


def snake(name):
    return re.sub("([A-Z])", lambda match: "_" + match[1].lower(), name)


def test_no_key_is_left_out_here():
    assert set(TOP) == set(reading._KEYS)
    assert set(OF_MACHINE) == set(machines._MACHINE)


@pytest.mark.parametrize("spelled", [str, snake], ids=["camel", "snake"])
@pytest.mark.parametrize("key", [key for key, each in TOP.items() if each])
def test_each_key_in_both_spellings_becomes_what_it_means(file, key, spelled):
    value, holds = TOP[key]
    keys = {**BASE, key: value}
    if key == "searchSpaceFile":
        del keys["searchSpace"]
    if key == "advisor":
        del keys["tuner"]
    assert holds(load(file(lines({spelled(name): each for name, each in keys.items()}))))


@pytest.mark.parametrize("spelled", [str, snake], ids=["camel", "snake"])
@pytest.mark.parametrize("key", OF_MACHINE)
def test_each_key_of_a_machine_in_both_spellings_becomes_what_it_means(file, key, spelled):
    value, holds = OF_MACHINE[key]
    keys = {spelled(name): each for name, each in {**MACHINE, key: value}.items()}
    (machine,) = load(file(lines(BASE) + remote(keys))).machines
    assert holds(machine)


@pytest.mark.parametrize("null", ["", "~", "null"])
def test_a_key_that_is_null_is_one_that_is_not_there(file, null):
    """trialGpuNumber: nothing is asked for, and trials see what their host has."""
    found = load(file(lines({**BASE, "trialGpuNumber": null, "maxTrialDuration": null})))
    assert (found.gpus, found.trial_duration) == (None, None)


@pytest.mark.parametrize(
    ("written", "indices"), [("[0, 2]", (0, 2)), ("3", (3,)), ('"0,3"', (0, 3)), ("1,2", (1, 2))]
)
def test_gpu_indices_are_a_list_a_number_or_a_text(file, written, indices):
    found = load(file(lines(BASE) + remote({**MACHINE, "gpuIndices": written})))
    assert found.machines[0].spec.gpus == indices


def test_a_search_space_may_be_yaml(file, tmp_path):
    (tmp_path / "s.yaml").write_text("x: {_type: randint, _value: [0, 3]}\n")
    keys = {**BASE, "searchSpaceFile": "s.yaml"}
    del keys["searchSpace"]
    assert load(file(lines(keys))).space == SearchSpace((Whole("x", 0, 2),))


def test_the_batch_tuner_takes_objects_for_what_they_are(file):
    space = "{c: {_type: choice, _value: [{lr: 1}, {lr: 2}]}}"
    found = load(file(lines({**BASE, "searchSpace": space, "tuner": "{name: BatchTuner}"})))
    tuner = tuner_of(found.tuner, found.space, found.goal, 1, found.options).tuner
    assert [tuner.ask(number) for number in range(3)] == [{"lr": 1}, {"lr": 2}, None]


@pytest.mark.parametrize(
    ("keys", "notes"),
    [
        ({"tuner": "{name: TPE}"}, ["minimize, as TPE of NNI does without one"]),
        ({"tuner": "{name: GridSearch}"}, ["no optimize_mode is named: maximize"]),
        ({"tuner": "{name: Evolution}"}, ["maximize, as Evolution of NNI does without one"]),
        ({"tuner": "~"}, ["no tuner is named: random is used"]),
        ({"maxTrialNumber": "~"}, ["it goes on until stopped"]),
        (
            {"tuner": "{name: Hyperband, classArgs: {optimize_mode: maximize}}"},
            ["parameters have no TRIAL_BUDGET"],
        ),
        (
            {"trainingService": "{platform: local, reuse_mode: no}"},
            ["reuseMode has no effect", "the hosts are those that you name"],
        ),
    ],
)
def test_what_has_no_effect_or_is_not_said_is_said(file, keys, notes):
    found = load(file(lines({**BASE, **keys}))).notes
    assert len(found) == len(notes)
    for line, words in zip(found, notes, strict=True):
        assert words in line


def test_a_key_beside_a_password_has_no_effect_as_with_nni(file):
    keys = {**MACHINE, "password": "x", "sshKeyFile": "none", "sshPassphrase": "y"}
    found = load(file(lines(BASE) + remote(keys)))
    assert found.machines[0].spec == HostSpec("h", "h", user="ann", password=Secret("x"))
    assert found.notes == (
        "h: sshKeyFile has no effect beside password",
        "h: sshPassphrase has no effect beside password",
    )


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"trialCommad": "x"}, "nni.yml:6:1: unknown key 'trialCommad' of an"),
        ({"trialCommad": "x"}, "did you mean trialCommand?"),
        ({"banana": "x"}, "keys are experimentName, experimentType, searchSpace"),
        ({"trial_command": "x"}, "trialCommand is here already, as trialCommand on line 2"),
        ({"authorName": "x"}, "is a key of NNI 1, and none of NNI 2"),
        ({"maxExecDuration": "1h"}, "is a key of NNI 1; in NNI 2 it is maxExperimentDuration"),
        ({"useAnnotation": "true"}, "nni.yml:6:16: useAnnotation: genvx changes no code"),
        ({"useAnnotation": "maybe"}, "useAnnotation is true or false"),
        ({"experimentType": "nas"}, "type hpo only"),
        ({"sharedStorage": "{}"}, "nni.yml:6:1: sharedStorage: genvx mounts nothing"),
        ({"trialConcurrency": "0"}, "nni.yml:3:19: trialConcurrency is a whole number from 1"),
        ({"trialConcurrency": "two"}, "not two"),
        ({"trialConcurrency": "~"}, "an experiment needs trialConcurrency"),
        ({"trialCommand": "~"}, "an experiment needs trialCommand"),
        ({"trialCommand": "[a]"}, "trialCommand is one value"),
        ({"trialCommand": '"a\\0b"'}, "cannot be printed"),
        ({"trialGpuNumber": "-1"}, "from 0 to 1024, not -1"),
        ({"trialGpuNumber": "1.5"}, "not 1.5"),
        ({"maxTrialNumber": "1e3"}, "not 1e3"),
        ({"maxTrialDuration": "3 parsecs"}, "maxTrialDuration is a duration such as 10m or 0.5h"),
        ({"maxTrialDuration": "0s"}, "a duration such as"),
        ({"trialCodeDirectory": "none"}, "there is no directory none"),
        ({"searchSpace": "~"}, "needs searchSpace or searchSpaceFile"),
        ({"searchSpaceFile": "search_space.json"}, "either searchSpace or searchSpaceFile"),
        (
            {"searchSpace": "{x: {_type: unifrom}}"},
            "nni.yml:1:14: searchSpace: x: no type 'unifrom'",
        ),
        ({"searchSpace": "{x: {_type: uniform, _value: [0, .inf]}}"}, "not a finite number: inf"),
        ({"searchSpace": "{x: {_type: choice, _value: [1, -.NaN]}}"}, "not a finite number: nan"),
        ({"tuner": "[]"}, "the tuner is a mapping"),
        ({"tuner": "{name: TPA}"}, "nni.yml:5:15: no tuner 'TPA'; did you mean tpe?"),
        ({"tuner": "{name: TPE, classArgs: {optimise_mode: x}}"}, "did you mean optimize_mode?"),
        ({"tuner": "{name: TPE, classArgs: {optimize_mode: max}}"}, "maximize or minimize"),
        ({"tuner": "{name: TPE, classArgs: {seed: x}}"}, "seed is a whole number"),
        ({"tuner": "{className: my.Tuner, codeDirectory: .}"}, "no algorithms of your own"),
        ({"tuner": "{classArgs: {}}"}, "the tuner needs name"),
        ({"tuner": "{builtinTunerName: TPE}"}, "in NNI 2 it is name"),
        ({"advisor": "{name: BOHB}"}, "either a tuner or an advisor"),
        ({"assessor": "{name: Best}"}, "no pruner 'Best'"),
        (
            {"assessor": "{name: Medianstop, classArgs: {optimize_mode: minimize}}"},
            "the assessor is to minimize, the tuner to maximize",
        ),
        ({"tuner": "{name: BOHB}", "assessor": "{name: Medianstop}"}, "BOHB ends trials by itself"),
        ({"trainingService": "[{platform: remote}]"}, "(hybrid); genvx has the platform remote"),
        ({"trainingService": "{}"}, "needs a platform"),
        ({"trainingService": "{platform: kubeflow, x: y}"}, "NNI's platform kubeflow; there are"),
        ({"trainingService": "{platform: moon}"}, "does not have a platform 'moon'"),
        (
            {"trainingService": "{platform: local, gpuIndices: 1}"},
            "is for the platform remote, within",
        ),
        ({"trainingService": "{platform: remote}"}, "the platform remote needs machineList"),
        ({"trainingService": "{platform: remote, machineList: []}"}, "is a list of machines"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name_and_place(file, keys, words):
    assert words in refusal(file(lines({**BASE, **keys})))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"host": "~"}, "a machine needs host"),
        ({"host": "a b"}, "host: not a host name: 'a b'"),
        ({"host": "ann@h"}, "host is one name or address"),
        ({"host": "h:22"}, "host is one name or address"),
        ({"host": "h[1-3]"}, "host is one name or address"),
        ({"host": "-oProxyCommand=x"}, "not a host name"),
        ({"port": "0"}, "nni.yml:12:13: port is a whole number from 1 to 65535, not 0"),
        ({"user": "a;b"}, "not a user name: 'a;b'"),
        ({"ip": "h"}, "ip is a key of NNI 1; in NNI 2 it is host"),
        ({"passwd": f"'{SECRET}'"}, "passwd is a key of NNI 1; in NNI 2 it is password"),
        ({"pasword": f"'{SECRET}'"}, "did you mean password?"),
        ({"password": f"['{SECRET}']"}, "password is a text of at most"),
        ({"password": "'" + SECRET * 200 + "'"}, "password is a text of at most"),
        ({"ssh_password": "x"}, "unknown key 'ssh_password' of a machine"),
        ({"sshKeyFile": "~/none"}, "nni.yml:12:19: sshKeyFile: there is no file ~/none"),
        ({"gpuIndices": "0-3"}, "gpuIndices are indices below"),
        ({"gpuIndices": str(MOST_DEVICES)}, "gpuIndices are indices below"),
        ({"gpuIndices": "[]"}, "gpuIndices are indices below"),
        ({"gpuIndices": "[1, 1]"}, "an index twice"),
        ({"maxTrialNumberPerGpu": "0"}, "from 1 to 1000"),
        ({"useActiveGpu": "3"}, "true or false"),
        ({"pythonPath": "C:/Python37"}, "a directory of Linux"),
    ],
)
def test_what_a_machine_cannot_be_is_refused_by_its_place(file, keys, words):
    assert words in refusal(file(lines(BASE) + remote({**MACHINE, **keys})))


def test_a_machine_that_is_there_twice_is_refused(file):
    text = REMOTE.replace("127.0.0.3\n      port: 10022", "127.0.0.2")
    assert "nni.yml:17:7: 127.0.0.2 is here already, on line 14" in refusal(file(text))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_password_that_others_can_read_is_refused_with_what_to_type(file, mode):
    path = file(REMOTE, mode)
    assert refusal(path) == (
        f"{path}:20:7: a password in a file that others can read: type chmod 600 {path}"
    )
    load(file(REMOTE.replace("password: bob123", "sshKeyFile: ~/.ssh/id_rsa"), mode))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("*hunter2", "put a text that begins with * in quotes"),
        ("!hunter2 x", "put a text that begins with ! in quotes"),
        ("!hunter2!x y", "put a text that begins with ! in quotes"),
        ('"hunter2', "not YAML"),
        ("@hunter2", "not YAML"),
        ("&a 'hunter2", "not YAML"),
        ("{hunter2", "not YAML"),
        ("{hunter2}", "is a text of at most"),
        ("hunter2: x", "not YAML"),
    ],
)
def test_no_error_shows_a_password_that_lacks_its_quotes(file, written, words):
    message = refusal(file(lines(BASE) + remote({**MACHINE, "password": written})))
    assert words in message
    assert "hunter2" not in message


def test_nothing_shows_or_writes_a_password(file):
    found = load(file(lines(BASE) + remote({**MACHINE, "password": f"'{SECRET}'"})))
    for shown in (repr(found), str(found), repr(found.machines[0].spec.password)):
        assert SECRET not in shown
    for write in (pickle.dumps, copy.deepcopy, dataclasses.asdict):
        with pytest.raises(TypeError, match="a secret is not written"):
            write(found.machines[0])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"[]", "an experiment is a mapping"),
        (b"a: [", "nni.yml:1:5: not YAML"),
        (b"\xff", "not UTF-8"),
        (b"trialCommand: &a [*a]", "no anchor"),
        (b"#" * (1 << 20) + b"\n", "larger than 1 MiB"),
        (b"searchSpace: " + b"[" * 5000, "more than 16 levels"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(file, content, words):
    assert words in refusal(file(content))


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    assert "is no regular file" in refusal(str(tmp_path / "fifo"))
    assert "No such file" in refusal(str(tmp_path / "none"))
    assert "Is a directory" in refusal(str(tmp_path))


def test_a_python_path_comes_first_on_the_path(tmp_path):
    (tmp_path / "a py").mkdir()
    (tmp_path / "a py/tool").write_text("#!/bin/sh\necho found\n")
    (tmp_path / "a py/tool").chmod(0o755)

    def ran(path):
        argv = with_prelude(Prelude("python-path", path), ("tool",))
        return subprocess.run(argv, env={"PATH": "/bin"}, capture_output=True, text=True)

    assert ran(str(tmp_path / "a py")).stdout == "found\n"
    assert ran(f"{tmp_path}/a py:/usr/bin").stdout == "found\n"
    missing = ran(str(tmp_path / "none"))
    assert (missing.returncode, missing.stderr) == (126, f"genvx: no directory {tmp_path}/none\n")


@pytest.mark.needs("openssh", "root", "namespaces")
def test_a_host_is_entered_with_the_password_of_the_file(short_tmp, file):
    with door("openssh", short_tmp) as server:
        config = server.environ("IdentityFile none", "IdentitiesOnly yes", "IdentityAgent none")

        def snapshot(password):
            keys = {"host": "door", "user": "bob", "password": shlex.quote(password)}
            specs = [each.spec for each in load(file(lines(BASE) + remote(keys))).machines]
            with connect_fleet(specs, config=config["GENVX_SSH_CONFIG"]) as fleet:
                return fleet.snapshot()

        assert len(snapshot(PASSWORD).values()["door"].devices) == 2
        error = str(snapshot(SECRET).failed["door"])
        assert "does not accept the password of bob" in error
        assert SECRET not in error
