"""Sweeps as studies of Optuna."""

from __future__ import annotations

import optuna
import pytest

from genvx.core.sweeps.goal import Goal
from genvx.core.sweeps.outcome import Completed, Failed, Pruned
from genvx.core.sweeps.space import Branch, Choice, Normal, SearchSpace, Uniform, Whole
from genvx.errors import InvalidInput
from genvx.sweeps.tuners.mirror import Mirror, TrialRecord, export

SPACE = SearchSpace(
    (
        Choice("a", ([1, 2], None, Branch("b", (Whole("n", 1, 9),)))),
        Uniform("lr", 1e-5, 1, None, True),
        Normal("z", 0, 1, 0.5),
    )
)
PARAMETERS = [
    {"a": [1, 2], "lr": 0.5, "z": 1.5},
    {"a": None, "lr": 0.25, "z": 0.0},
    {"a": {"_name": "b", "n": 3}, "lr": 1.0, "z": -8.5},
]
SHOWN = [
    {"a": "[1,2]", "lr": 0.5, "z": 1.5},
    {"a": None, "lr": 0.25, "z": 0.0},
    {"a": "b", "a/b/n": 3, "lr": 1.0, "z": -8.5},
]


def study(path):
    backend = optuna.storages.journal.JournalFileBackend(path)
    return optuna.load_study(study_name="sweep", storage=optuna.storages.JournalStorage(backend))


def seen(storage):
    return [
        (each.state.name, each.value, each.intermediate_values, each.params)
        for each in study(storage).trials
    ]


def test_a_sweep_is_shown_as_it_runs_and_after_a_restart(tmp_path):
    storage = f"{tmp_path}/s.log"
    lines = []
    mirror = Mirror(storage, "sweep", SPACE, Goal.MINIMIZE, lines.append)
    for number in (0, 1):
        mirror.asked(number, PARAMETERS[number])
        mirror.reported(number, 0, 0.5)
        mirror.reported(number, 0, 0.6)
        mirror.reported(number, 1, float("nan"))
    mirror.told(0, Completed(0.25))
    mirror.close()
    assert seen(storage) == [
        ("COMPLETE", 0.25, {0: 0.5}, SHOWN[0]),
        ("RUNNING", None, {0: 0.5}, SHOWN[1]),
    ]
    again = Mirror(storage, "sweep", SPACE, Goal.MINIMIZE, lines.append)
    for number in (0, 1, 2):
        again.asked(number, PARAMETERS[number])
        again.told(0, Failed("x"))
    again.reported(1, 2, 0.4)
    again.told(1, Pruned(2, 0.4))
    again.told(2, Completed())
    again.close()
    assert seen(storage) == [
        ("COMPLETE", 0.25, {0: 0.5}, SHOWN[0]),
        ("PRUNED", 0.4, {0: 0.5, 2: 0.4}, SHOWN[1]),
        ("FAIL", None, {}, SHOWN[2]),
    ]
    assert study(storage).direction.name == "MINIMIZE"
    assert lines == []


def test_a_storage_that_breaks_is_said_once_and_the_sweep_goes_on(tmp_path):
    lines = []
    mirror = Mirror(f"{tmp_path}/s.log", "sweep", SPACE, Goal.MINIMIZE, lines.append)
    # A study of this name that is deleted while the sweep goes on.
    optuna.delete_study(study_name="sweep", storage=study(f"{tmp_path}/s.log")._storage)
    for number, parameters in enumerate(PARAMETERS):
        mirror.asked(number, parameters)
    mirror.close()
    (line,) = lines
    assert line.startswith(f"the Optuna storage {tmp_path}/s.log fails, and is written no longer: ")


@pytest.mark.parametrize(
    "storage",
    ["postgresql://u:hunter2@127.0.0.1:1/x", "nonsense://u:hunter2@h/x", "/nonexistent/x"],
)
def test_a_storage_that_cannot_be_opened_is_a_line_without_its_password(storage):
    with pytest.raises(InvalidInput, match="cannot be used") as caught:
        Mirror(storage, "sweep", SPACE, Goal.MINIMIZE)
    assert "hunter2" not in str(caught.value)


def test_a_finished_sweep_becomes_a_journal_file_of_optuna(tmp_path):
    records = [
        TrialRecord(0, PARAMETERS[0], Completed(0.25), {0: 0.5, 1: float("inf")}),
        TrialRecord(1, PARAMETERS[1], Pruned(0, 0.5), {0: 0.5}),
        TrialRecord(2, PARAMETERS[2], Failed("x")),
    ]
    path = str(tmp_path / "sweep.log")
    export(path, "sweep", SPACE, Goal.MAXIMIZE, records)
    assert seen(path) == [
        ("COMPLETE", 0.25, {0: 0.5}, SHOWN[0]),
        ("PRUNED", 0.5, {0: 0.5}, SHOWN[1]),
        ("FAIL", None, {}, SHOWN[2]),
    ]
    assert study(path).best_params == SHOWN[0]
    with pytest.raises(InvalidInput, match="is there already"):
        export(path, "sweep", SPACE, Goal.MAXIMIZE, records)
    with pytest.raises(InvalidInput, match="cannot write"):
        export("/nonexistent/x", "sweep", SPACE, Goal.MAXIMIZE, records)
