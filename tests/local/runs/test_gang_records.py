from __future__ import annotations

import os

import pytest

from genvx.core.requests.requirements import Requirements
from genvx.core.runs.part import Meeting, Part
from genvx.core.runs.run import Moment, RunSpec
from genvx.local import facts, processes
from genvx.local.host import LocalHost
from genvx.local.runs.catalog import RunCatalog
from genvx.local.runs.shelf import RunShelf


def spec(rank, machine):
    now = Moment(1, processes.boottime_ns() - 10**12)
    part = Part(rank, ("a", "b"))
    return RunSpec("abcd1234", ("x",), Requirements(0), machine, "h", now, part=part)


def test_parts_on_hosts_that_share_a_home_have_directories_of_their_own(
    state, short_tmp, monkeypatch
):
    home = short_tmp / "runs"
    monkeypatch.setenv("GENVX_RUNS_DIR", str(home))
    shelf = RunShelf(str(home))
    for rank, machine in enumerate(["another", facts.machine_id()]):
        shelf.create(spec(rank, machine)).close()
    assert sorted(os.listdir(home)) == ["abcd1234.0", "abcd1234.1"]
    catalog = RunCatalog(LocalHost())
    for typed in ("abcd1234", "abcd", "1", ""):
        assert catalog.find(typed).spec.part.rank == 1
    catalog.delete("abcd1234")
    assert os.listdir(home / ".trash") == ["abcd1234.1"]
    catalog.restore("abcd1234")
    catalog.delete("abcd1234")
    catalog.purge("abcd1234")
    assert sorted(os.listdir(home)) == [".trash", "abcd1234.0"]


def test_the_first_decision_counts_and_the_secret_is_for_its_owner_alone(short_tmp):
    with RunShelf(str(short_tmp)).create(spec(0, "m")) as directory:
        directory.write_meeting(Meeting("secret", "127.0.0.1"))
        assert directory.decision() == ""
        assert directory.decide("withdraw") == "withdraw"
        assert directory.decide("start") == "withdraw"
        assert os.stat(f"{directory.path}/gang.json").st_mode & 0o777 == 0o600
        assert os.stat(directory.path).st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "name", ["abcd1234.", "abcd1234.x", "abcd1234.1.2", ".1", "abcd1234.\u0661"]
)
def test_no_other_name_is_that_of_a_run(short_tmp, name):
    (short_tmp / name).mkdir()
    (short_tmp / name / "spec.json").write_text("{}")
    assert list(RunShelf(str(short_tmp)).newest()) == []
    assert RunShelf(str(short_tmp)).parts("abcd1234") == []
